/**
 * What `run` tells about itself: events for programs, sentences for people.
 *
 * @module
 */

import { callLibc } from "../../../lib/sys/call.ts";
import { EBADF } from "../../../lib/sys/errno.ts";
import { SyscallError } from "../../../lib/sys/error.ts";
import {
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_NOCTTY,
  O_WRONLY,
  openFile,
} from "../../../lib/sys/file.ts";
import { isInheritable } from "../../../lib/sys/inheritance.ts";
import { libc } from "../../../lib/sys/libc.ts";
import { quotePath } from "../../../lib/proc/printable.ts";
import { formatDuration } from "../../args/duration.ts";
import { writeError } from "../../ui/output.ts";
import type { Ending } from "./supervise.ts";

/** Version of the event format. */
const SCHEMA = 1;

/** What is to be told, and where. */
export interface RunLogOptions {
  /** A file to append to, or the number of an open descriptor. */
  eventsTo: string | undefined;
  /** Whether to sum up on stderr at the end. */
  report: boolean;
  /** Whether to say on stderr that the lock is taken. */
  verbose: boolean;
}

/** Writes down the stages of one `run`. */
export class RunLog {
  readonly #fd: number | undefined;
  readonly #options: RunLogOptions;
  readonly #lockPaths: readonly string[];
  readonly #start = performance.now();
  #waitMs = 0;

  /**
   * @param lockPaths The locks this is about.
   * @throws {SyscallError} when the file can't be opened.
   */
  constructor(lockPaths: readonly string[], options: RunLogOptions) {
    this.#lockPaths = lockPaths;
    this.#options = options;
    const { eventsTo } = options;
    this.#fd = eventsTo === undefined ? undefined : openEvents(eventsTo);
  }

  /** A lock is busy and the wait for it begins. */
  waiting(path: string): void {
    this.#write("waiting", { path });
  }

  /** The time is up. */
  gaveUp(): void {
    this.#write("timeout", { waitMs: this.#sinceStart() });
  }

  /** All locks are held. */
  acquired(): void {
    this.#waitMs = this.#sinceStart();
    this.#write("acquired", { waitMs: this.#waitMs });
    if (!this.#options.verbose) return;
    const names = this.#lockPaths.map(quotePath).join(", ");
    writeError(
      `holdfast run: took ${names} after ${formatDuration(this.#waitMs)}\n`,
    );
  }

  /** The command runs. */
  started(pid: number): void {
    this.#write("started", { pid });
  }

  /** The command has ended, and the locks are free again. */
  exited({ pid, code, signal }: Ending): void {
    const waitMs = this.#waitMs;
    const holdMs = round(this.#sinceStart() - waitMs);
    this.#write("exited", { pid, code: code ?? null, signal: signal ?? null });
    this.#write("released", { waitMs, holdMs });
    if (!this.#options.report) return;
    writeError(
      `holdfast run: waited ${formatDuration(waitMs)}, ` +
        `held ${formatDuration(holdMs)}\n`,
    );
  }

  #sinceStart(): number {
    return round(performance.now() - this.#start);
  }

  #write(event: string, fields: Record<string, unknown>): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    const line = JSON.stringify({
      schema: SCHEMA,
      event,
      time: new Date().toISOString(),
      locks: this.#lockPaths,
      ...fields,
    }) + "\n";
    let bytes = new TextEncoder().encode(line);
    while (bytes.length > 0) {
      const rest = bytes;
      const count = callLibc(() => libc.write(fd, rest, BigInt(rest.length)));
      // Nobody reads it any more, or the disk is full: the command and its
      // lock matter more.
      if (count < 0) return;
      bytes = bytes.subarray(count);
    }
  }
}

/** Microseconds are as fine as it gets. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

const F_GETFL = 3;
const O_ACCMODE = 3;

function openEvents(target: string): number {
  if (/^\d+$/.test(target)) {
    const fd = Number(target);
    const flags = callLibc(() => libc.fcntl_int(fd, F_GETFL, 0));
    const isWritable = flags >= 0 && (flags & O_ACCMODE) !== 0;
    if (isWritable && isInheritable(fd)) return fd;
    throw new SyscallError(`write events to descriptor ${target}`, {
      syscall: "fcntl",
      errno: EBADF,
      advice: "it must be open for writing when holdfast starts",
    });
  }
  const flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY;
  const fd = openFile(target, flags);
  if (fd >= 0) return fd;
  throw new SyscallError("open event file", {
    syscall: "open",
    errno: -fd,
    path: target,
  });
}
