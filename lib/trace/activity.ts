/**
 * What happens to locks, in terms of files and processes.
 *
 * @module
 */

import type { PathStatus } from "../inspect/locked_path.ts";

/** A process that has to do with locks; it may have ended. */
export interface TracedProcess {
  /** Its process id, in the initial pid namespace. */
  readonly pid: number;
  /** Its command line, printable and short, or as much as is known of it. */
  readonly command: string;
}

/** A file with locks. */
export interface TracedFile {
  /** Major number of its superblock's device. */
  readonly major: number;
  /** Minor number of its superblock's device. */
  readonly minor: number;
  /** Inode number inside the kernel. */
  readonly inode: bigint;
  /** Its path; untrusted. */
  readonly path: string | undefined;
  /** What the path is worth. */
  readonly pathStatus: PathStatus;
}

/**
 * The kinds of lock, in the words of /proc/locks; what `run` tells of itself
 * has others, such as `LINK`.
 */
export type TracedType =
  | "FLOCK"
  | "POSIX"
  | "OFDLCK"
  | "LEASE"
  | (string & Record<never, never>);

/** Shared or exclusive, in the words of /proc/locks. */
export type TracedMode = "READ" | "WRITE";

/**
 * What happened: `held`: it was so when the trace began, or when it was found
 * out later; `waiting`: a wait began; `acquired`: the lock is taken;
 * `refused`: it was busy and isn't waited for; `released`; `gave-up`: a wait
 * ended without the lock. `breaking` and `broken`: somebody waits until a
 * lease is given up, and that wait is over.
 */
export type LockEventName =
  | "held"
  | "waiting"
  | "acquired"
  | "refused"
  | "released"
  | "gave-up"
  | "breaking"
  | "broken";

/** Somebody who is in the way. */
export interface LockHolding {
  /** Who. */
  process: TracedProcess;
  /** For how long by now, in milliseconds; `undefined` when not known. */
  heldMs: number | undefined;
}

/** One thing that happened to a lock. */
export interface LockActivity {
  /** What. */
  event: LockEventName;
  /** When, in milliseconds since 1970, with fractions. */
  timeMs: number;
  /** The file. */
  file: TracedFile;
  /** The kind of lock. */
  type: TracedType;
  /** Shared or exclusive. */
  mode: TracedMode;
  /** First byte. */
  startByte: bigint;
  /** Last byte; `undefined` for the largest possible offset. */
  endByte: bigint | undefined;
  /**
   * Who took or wanted it. If it has ended and the lock is still held, that is
   * its nearest ancestor that lives: a shell, whose flock(1) locked for it.
   */
  process: TracedProcess;
  /** Its thread. */
  threadId: number;
  /** Whether the caller was ready to wait. */
  canWait: boolean;
  /** `acquired` after a wait, `gave-up`, `broken`: how long the wait was. */
  waitedMs?: number | undefined;
  /** `released`: how long it was held; `undefined` when not known. */
  heldMs?: number | undefined;
  /** `waiting`, `refused`, `breaking`: who is in the way. */
  holders?: LockHolding[] | undefined;
  /** What else its process and that one's ancestors hold: `acquired`. */
  alsoHeld?: AlsoHeldLock[] | undefined;
  /**
   * Why: `refused`, the error's name; `gave-up`, `interrupted`, `ended` or
   * the error's name; `released`, `converted` to the other mode, or `unseen`:
   * it was found to be gone.
   */
  reason?: string | undefined;
}

/** A lock that is held. */
export interface TracedLock {
  /** The file. */
  readonly file: TracedFile;
  /** The kind of lock. */
  readonly type: TracedType;
  /** Shared or exclusive. */
  readonly mode: TracedMode;
  /** First byte. */
  readonly startByte: bigint;
  /** Last byte; `undefined` for the largest possible offset. */
  readonly endByte: bigint | undefined;
}

/** A lock that a process holds, itself or by an ancestor. */
export interface AlsoHeldLock extends TracedLock {
  /** Whose it is: its own or an ancestor's; `undefined` when not known. */
  readonly holderPid: number | undefined;
}

/** A file's needle as the kernel prints it, which is also its key. */
export function fileKey(file: TracedFile): string {
  const hex = (value: number) => value.toString(16).padStart(2, "0");
  return `${hex(file.major)}:${hex(file.minor)}:${file.inode}`;
}
