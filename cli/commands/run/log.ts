/**
 * What `run` tells about itself: events for programs, sentences for people.
 *
 * @module
 */

import { writeAll } from "../../../lib/sys/storage/content.ts";
import { EBADF } from "../../../lib/sys/errno.ts";
import { LockError, SyscallError } from "../../../lib/sys/error.ts";
import { realPath } from "../../../lib/sys/storage/names.ts";
import {
  isInheritable,
  openFlags,
} from "../../../lib/sys/process/descriptors.ts";
import { readAncestors } from "../../../lib/sys/process/process_info.ts";
import type { LockMode } from "../../../lib/lock/flock/flock.ts";
import { printable, quotePath } from "../../../lib/proc/printable.ts";
import { openEventFile, openHistory } from "../../../lib/trace/history.ts";
import { formatDuration } from "../../args/duration.ts";
import { writeError } from "../../ui/output.ts";
import type { ClusterLockEvent } from "../../../lib/cluster/engine.ts";
import type { Ending } from "./supervise.ts";

/** Version of the event format. */
const SCHEMA = 1;

/** What is to be told, and where. */
export interface RunLogOptions {
  /** A file to append to, or the number of an open descriptor. */
  eventsTo: string | undefined;
  /** The history of all runs: a file, or a directory in which one is kept. */
  history: string | undefined;
  /** What is locked, and what runs under it. */
  about: { kind: string; mode: LockMode; command: readonly string[] };
  /** Whether to sum up on stderr at the end. */
  report: boolean;
  /** Whether to say on stderr that the lock is taken. */
  verbose: boolean;
}

/** Writes down the stages of one `run`. */
export class RunLog {
  readonly #fds: readonly number[];
  /** Tells the lines of this run from those of others in one file. */
  readonly #run = `${Deno.pid}-${Date.now().toString(36)}`;
  readonly #options: RunLogOptions;
  readonly #lockPaths: readonly string[];
  readonly #start = performance.now();
  /** A run under one of them has its locks as well. */
  readonly #ancestors: readonly number[];
  #waitMs = 0;

  /**
   * @param lockPaths The locks this is about.
   * @throws {SyscallError} when the file can't be opened.
   */
  constructor(lockPaths: readonly string[], options: RunLogOptions) {
    // The slots of a name are the same everywhere.
    const isName = options.about.kind === "slots";
    this.#lockPaths = isName ? lockPaths : lockPaths.map(absolute);
    this.#options = options;
    const { eventsTo, history } = options;
    const fds: number[] = [];
    if (eventsTo !== undefined) fds.push(openEvents(eventsTo));
    if (history !== undefined) fds.push(...openHistoryIfAny(history));
    this.#fds = fds;
    this.#ancestors = fds.length > 0 ? readAncestors(Deno.pid) : [];
  }

  /** A lock is busy and the wait for it begins. */
  waiting(path: string): void {
    this.#write("waiting", { path, ancestors: this.#ancestors });
  }

  /** Something has happened to the lease of a lock in an engine. */
  leaseEvent(path: string, event: ClusterLockEvent): void {
    switch (event.type) {
      case "renewed":
        return this.#write("renewed", { path });
      case "failed-over":
        return this.#write("failed-over", {
          path,
          from: event.from,
          to: event.to,
        });
      case "lost":
        return this.#write("lost", { path, reason: event.reason });
    }
  }

  /** The time is up. */
  gaveUp(): void {
    this.#write("timeout", { waitMs: this.#sinceStart() });
  }

  /** All locks are held. */
  acquired(): void {
    this.#waitMs = this.#sinceStart();
    const ancestors = this.#ancestors;
    this.#write("acquired", { waitMs: this.#waitMs, ancestors });
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
    if (this.#fds.length === 0) return;
    const line = JSON.stringify({
      schema: SCHEMA,
      event,
      time: new Date().toISOString(),
      run: this.#run,
      holder: Deno.pid,
      ...this.#options.about,
      locks: this.#lockPaths,
      ...fields,
    }) + "\n";
    const bytes = new TextEncoder().encode(line);
    // Nobody reads it any more, or the disk is full: the command and its lock
    // matter more.
    for (const fd of this.#fds) writeAll(fd, bytes);
  }
}

/** Elsewhere a relative path says nothing. */
function absolute(lock: string): string {
  if (lock.startsWith("/") || lock.includes("://")) return lock;
  return `${realPath(".") ?? "."}/${lock.replace(/^(\.\/+)+/, "")}`;
}

/** A history is for information: a run goes on without it. */
function openHistoryIfAny(history: string): number[] {
  try {
    return [openHistory(history)];
  } catch (error) {
    if (!(error instanceof LockError)) throw error;
    writeError(
      `holdfast run: ${printable(error.message)}; this run is missing in ` +
        "the history of HOLDFAST_EVENTS\n",
    );
    return [];
  }
}

/** Microseconds are as fine as it gets. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

const O_ACCMODE = 3;

/** What the kernel takes for a descriptor: an int. */
const MAX_DESCRIPTORS = 2 ** 31 - 1;

function openEvents(target: string): number {
  if (/^\d+$/.test(target)) {
    const fd = Number(target);
    const flags = fd > MAX_DESCRIPTORS ? -EBADF : openFlags(fd);
    const isWritable = flags >= 0 && (flags & O_ACCMODE) !== 0;
    if (isWritable && isInheritable(fd)) return fd;
    throw new SyscallError(`write events to descriptor ${target}`, {
      syscall: "fcntl",
      errno: EBADF,
      advice: "it must be open for writing when holdfast starts",
    });
  }
  return openEventFile(target);
}
