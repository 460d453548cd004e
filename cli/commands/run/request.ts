/**
 * What the parts of `holdfast run` hand to each other.
 *
 * @module
 */

import type { HeldLock } from "../../../lib/lock/held_lock.ts";
import type { LockMode } from "../../../lib/lock/flock/flock.ts";
import type { ParsedOptions } from "../../args/parse.ts";
import type { RunLog } from "./log.ts";

/** What the user asked `run` for. */
export interface RunRequest {
  /** The lock files, or the names that other kinds go by, as given. */
  readonly lockPaths: readonly string[];
  /** The command and its arguments. */
  readonly command: readonly string[];
  /** Shared or exclusive. */
  readonly mode: LockMode;
  /** How long to wait for the lock; 0 doesn't wait. */
  readonly timeoutMs: number;
  /** Exit code when the lock is not to be had in time. */
  readonly conflictExitCode: number;
  /** Lock even where this kind of lock can't be relied on. */
  readonly allowRemote: boolean;
  /** How much to say: `quiet` only errors. */
  readonly verbosity: "quiet" | "normal" | "verbose";
  /** The whole command line, for what concerns one kind alone. */
  readonly options: ParsedOptions;
  /** Where to write what happens. */
  readonly log: RunLog | undefined;
  /** Called before this thread sleeps until the lock is free. */
  beforeSleep?: () => Promise<void>;
}

/** A lock as `run` holds it while the command runs. */
export interface TakenLock {
  /** Released when the command has ended. */
  lock: HeldLock;
  /** Variables that tell the command about it. */
  env: Record<string, string>;
  /** Set when there is nothing to do now: the command isn't run. */
  skip?: true;
}
