/**
 * What `locks` prints as JSON.
 *
 * @module
 */

import {
  always,
  digits,
  either,
  flag,
  list,
  maybe,
  ms,
  object,
  type Schema,
  text,
  time,
  VERSION_1,
  whole,
  word,
} from "./build.ts";
import { ENGINE_LOCK, LOCK_WORDS, PATH_STATUS, RANGE } from "./parts.ts";

const PROCESS: Schema = maybe(object({
  pid: whole("its process id"),
  name: maybe(text("name of its program, printable")),
  command: text("its command line, printable, at most 100 characters"),
  user: maybe(text("the user it runs as")),
  alive: flag("whether there is such a process now"),
  startTime: maybe(time("when it started")),
}));

const FILE: Schema = object({
  path: maybe(text("its path")),
  pathStatus: PATH_STATUS,
  device: maybe(text("major:minor of its superblock's device, in decimal")),
  inode: maybe(digits("inode number inside the kernel")),
  sizeBytes: maybe(digits("its size")),
  fsType: maybe(text("type of its filesystem")),
  mountPoint: maybe(text("where that is mounted here")),
});

const LOCK_RANGE: Readonly<Record<string, Schema>> = {
  ...LOCK_WORDS,
  enforcement: text("ADVISORY; for leases ACTIVE, BREAKING or BREAKER"),
  ...RANGE,
  file: FILE,
};

const LOCK: Schema = object({
  id: whole("its place in this reading"),
  ...LOCK_RANGE,
  takerPid: maybe(whole("the process that took it, which may be gone")),
  listed: flag("whether /proc/locks lists it"),
  heldSince: maybe(time("when it was taken; only --trace knows")),
  holders: list(object({
    process: PROCESS,
    fds: list(whole("a descriptor that it holds the lock through")),
    sources: list(word("taker", "descriptor")),
  })),
});

const WAITER: Schema = object({
  id: whole("its place among the waiters of this reading"),
  ...LOCK_RANGE,
  process: PROCESS,
  waitedAtMostMs: maybe(ms("how long its process runs")),
  waitingSince: maybe(time("when the wait began; only --trace knows")),
  blockers: list(whole("id of a lock in its way")),
  blockerPids: list(maybe(whole("a process that holds one"))),
});

/** `locks --json`. */
export const LOCKS_SCHEMA: Schema = either(
  object({
    schema: VERSION_1,
    readAt: time("when /proc was read"),
    unreadableProcesses: whole("processes that may not be looked into"),
    unnamedFiles: whole("files without a path"),
    unparsedLines: whole("lines of /proc that were not understood"),
    locks: list(LOCK),
    waiters: list(WAITER),
  }),
  object({ schema: VERSION_1, locks: list(object(ENGINE_LOCK)) }),
);

const CHANGE = { schema: VERSION_1, at: time("when /proc was read") };

/** A line of `locks --json --watch`. */
export const CHANGE_SCHEMA: Schema = either(
  object({ ...CHANGE, event: word("held", "holders"), lock: LOCK }),
  object({
    ...CHANGE,
    event: always("acquired"),
    observedWaitMs: maybe(ms("how long it was seen to be waited for")),
    lock: LOCK,
  }),
  object({
    ...CHANGE,
    event: always("released"),
    observedMs: ms("how long it was seen"),
    fromStart: flag("whether it was there when the watch began"),
    lock: LOCK,
  }),
  object({ ...CHANGE, event: always("waiting"), waiter: WAITER }),
  object({
    ...CHANGE,
    event: always("gave-up"),
    observedMs: ms("how long it was seen"),
    waiter: WAITER,
  }),
);

/** `locks --deadlocks --json`. */
export const DEADLOCKS_SCHEMA: Schema = object({
  schema: VERSION_1,
  unreadableProcesses: whole("processes that may not be looked into"),
  deadlocks: list(object({
    certain: flag("whether it was there in two readings"),
    ring: list(object({
      from: maybe(whole("the process that waits")),
      to: maybe(whole("the one that it waits for")),
      reason: word("lock", "child"),
      waiter: whole("id of the waiter"),
      lock: maybe(whole("id of the lock in its way")),
      ...LOCK_WORDS,
      file: FILE,
    })),
    processes: list(PROCESS),
    files: list(FILE),
  })),
});

/** `locks --lslocks-json`: the columns that are asked for, in lower case. */
export const LSLOCKS_SCHEMA: Schema = object({
  locks: list({
    type: "object",
    additionalProperties: {
      type: ["string", "number", "boolean", "null", "array"],
    },
  }, "as lslocks -J prints them; offsets beyond 2^53 are written in full"),
});
