/**
 * What the documents of several commands have in common.
 *
 * @module
 */

import {
  digits,
  flag,
  list,
  maybe,
  object,
  type Schema,
  text,
  time,
  whole,
  word,
} from "./build.ts";

/** What a path of a file is worth. */
export const PATH_STATUS: Schema = word(
  "here",
  "deleted",
  "other-namespace",
  "unreachable",
  "unknown",
);

/** The bytes that a lock is on. */
export const RANGE: Readonly<Record<string, Schema>> = {
  startByte: digits("first byte"),
  endByte: maybe(digits("last byte; null for the largest possible offset")),
};

/** The words of /proc/locks. */
export const LOCK_WORDS: Readonly<Record<string, Schema>> = {
  type: text("kind of lock: FLOCK, POSIX, OFDLCK, LEASE, …"),
  mode: text("READ (shared) or WRITE (exclusive); leases know others"),
};

/** Who holds or waits, of `who` and `test`. */
export const HOLDER: Schema = object({
  pid: maybe(whole("its process id")),
  command: text("its command line, printable, at most 100 characters"),
  user: maybe(text("the user it runs as")),
  startTime: maybe(time("when it started")),
  ...LOCK_WORDS,
  ...RANGE,
  sources: list(text("how it is known")),
});

/** A lock that the server of a filesystem tells of. */
export const BLOCKING: Schema = maybe(
  object({
    type: text("kind of lock"),
    startByte: digits("first byte"),
    lengthBytes: digits("length in bytes; 0 for up to the end"),
    pid: whole("the process, as the server calls it"),
  }, "what the server of a remote filesystem says"),
);

/** Who a process is, on whatever host. */
const IDENTITY: Readonly<Record<string, Schema>> = {
  hostname: maybe(text("name of its host")),
  machineId: maybe(text("machine-id(5) of its host")),
  bootId: maybe(text("drawn at each boot")),
  pidNamespace: maybe(text("inode of its pid namespace")),
  timeNamespace: maybe(text("inode of its time namespace")),
  pid: whole("its process id in its namespace"),
  startTicks: maybe(digits("when it started, in clock ticks since boot")),
  user: maybe(text("the user it runs as")),
  command: maybe(text("its command line, printable and short")),
};

/** Who holds a link lock. */
export const LINK_OWNER: Schema = maybe(object({
  ...IDENTITY,
  token: text("a random number, new with each taking"),
  fence: whole("grows with each taking of this lock"),
  message: maybe(text("what it had to say")),
  leaseMs: maybe(
    whole("how long it lasts without a heartbeat; null: for ever"),
  ),
  takenAt: time("when it was taken, by the owner's clock"),
  liveness: word("alive", "dead", "unknown"),
  reason: text("why it is held to be so"),
}));

const ENGINE_PARTY: Schema = object({
  program: maybe(text("the program that takes part")),
  host: maybe(text("its host")),
  pid: maybe(whole("its process id there")),
  user: maybe(text("the user it runs as")),
  command: maybe(text("what it does")),
  since: maybe(time("since when")),
  session: maybe(text("its session in the engine")),
  key: maybe(text("its key in the engine")),
  mode: word("shared", "exclusive"),
});

/** A lock in an engine. */
export const ENGINE_LOCK: Readonly<Record<string, Schema>> = {
  url: text("the lock's URL, without secrets"),
  name: text("its name in the engine"),
  held: flag("whether somebody holds it"),
  holders: list(ENGINE_PARTY),
  waiters: list(ENGINE_PARTY),
};
