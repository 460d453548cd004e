/**
 * What the parts of `holdfast run` hand to each other.
 *
 * @module
 */

import type { HeldLock } from "../../../lib/lock/held_lock.ts";
import type { LockMode } from "../../../lib/lock/flock/flock.ts";
import type { ByteRange } from "../../../lib/lock/record/record_lock.ts";
import type { SignalName } from "../../../lib/sys/process/signals.ts";
import type { ClusterTarget } from "./cluster/request.ts";
import type { LoadLimit } from "./load_gate.ts";
import type { RunLog } from "./log.ts";

/** What the user asked `run` for. */
export interface RunRequest {
  /** What is locked. */
  readonly target: LockTarget;
  /** The CPUs to reserve besides, once that is locked. */
  readonly cpus: CpuWish | undefined;
  /** Shared or exclusive. */
  readonly mode: LockMode;
  /** Lock even where this kind of lock can't be relied on. */
  readonly allowRemote: boolean;
  /** Wait even for an ancestor that waits for this process. */
  readonly allowNested: boolean;
  /** How long to wait for the lock; 0 doesn't wait. */
  readonly timeoutMs: number;
  /** Exit code when the lock stays busy until the deadline. */
  readonly conflictExitCode: number;
  /** The highest load to start at. */
  readonly maxLoad: LoadLimit | undefined;
  /** How much to say: `quiet` only errors. */
  readonly verbosity: "quiet" | "normal" | "verbose";
  /** What runs under the lock. */
  readonly command: CommandRequest;
  /** Where to write what happens. */
  readonly log: RunLog | undefined;
  /** Called before this thread sleeps until the lock is free. */
  beforeSleep?: () => Promise<void>;
  /**
   * Called before a lock is waited for that others wait for too as long as this
   * wait isn't given up in good order: has a function told of signals instead
   * of their default action.
   */
  beforeQueue?: (onSignal: (name: SignalName) => void) => Promise<void>;
}

/** What is locked, each in its own way. */
export type LockTarget =
  | FilesTarget
  | LinkTarget
  | FairTarget
  | IntervalTarget
  | FencedTarget
  | SlotsTarget
  | ClusterTarget
  | { type: "nothing" };

/** Lock files, all or none. */
export interface FilesTarget {
  type: "files";
  paths: readonly string[];
  kind: "flock" | "posix" | "ofd" | "both";
  /** The bytes that POSIX and OFD locks are on; all unless set. */
  range: ByteRange | undefined;
}

/** A link lock. */
export interface LinkTarget {
  type: "link";
  path: string;
  /** What others are told who find it held. */
  message: string | undefined;
  /** The lock is lost so long after the last heartbeat. */
  leaseMs: number | undefined;
}

/** A lock file whose takers take turns. */
export interface FairTarget {
  type: "fair";
  path: string;
}

/** A lock file whose every taker gets a higher number than the last one. */
export interface FencedTarget {
  type: "fenced";
  path: string;
}

/** A lock file that says when it was taken last. */
export interface IntervalTarget {
  type: "interval";
  path: string;
  intervalMs: number;
}

/** Some of a number of slots. */
export interface SlotsTarget {
  type: "slots";
  /** A name, or a directory. */
  name: string;
  slots: number;
  want: number;
}

/** The CPUs that the command is to have. */
export interface CpuWish {
  /** So many, or these. */
  cpus: number | number[] | undefined;
  /** Those of so many last-level caches. */
  domains: number | undefined;
  /** All behind one last-level cache. */
  sameDomain: boolean;
  /** Nobody else may reserve any behind the same last-level caches. */
  performance: boolean;
}

/** What runs under the lock. */
export interface CommandRequest {
  /** The command and its arguments. */
  readonly argv: readonly string[];
  /** Variables to set for it. */
  readonly variables: readonly (readonly [name: string, value: string])[];
  /** The directory to start it in; this one unless set. */
  readonly directory: string | undefined;
  /** Whether this process becomes the command. */
  readonly exec: boolean;
  /** What becomes of it when this process is killed, where that is said. */
  readonly onDeath: "keep" | "kill" | undefined;
  /** KILL follows a TERM after so many milliseconds. */
  readonly killAfterMs: number | undefined;
}

/** A lock as `run` holds it while the command runs. */
export interface TakenLock {
  /** Released when the command has ended. */
  lock: HeldLock;
  /** Variables that tell the command about it. */
  env: Record<string, string>;
  /** Set when there is nothing to do now: the command isn't run. */
  skip?: true;
  /** Told of the command where it must end before a lease does. */
  process?: LeasedProcess;
  /** Gives up what `lock.release` can't at once; the command is dead by then. */
  finish?: () => Promise<void>;
}

/** A command that must end before a lease does. */
export interface LeasedProcess {
  /** It is there. */
  onStart(pid: number): void;
  /** Asks it, and what it has started, to end for the loss of the lock. */
  askToEnd(): void;
  /** KILL follows so many milliseconds after that. */
  lossGraceMs: number;
}
