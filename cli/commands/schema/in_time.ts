/**
 * What `trace`, `report` and `run --json-events` print as JSON.
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
import { PATH_STATUS, RANGE } from "./parts.ts";

const PROCESS: Schema = object({
  pid: whole("its process id; -1 when it isn't told"),
  command: text("its command line, or as much as is known of it"),
});

const FILE: Schema = object({
  path: maybe(text("its path")),
  pathStatus: PATH_STATUS,
  device: maybe(text("major:minor of its superblock's device, in decimal")),
  inode: maybe(digits("inode number inside the kernel")),
});

const KIND: Readonly<Record<string, Schema>> = {
  type: text("kind of lock: FLOCK, POSIX, OFDLCK, LEASE, …"),
  mode: word("READ", "WRITE"),
};

const LINE = { schema: VERSION_1, time: time("when, to a microsecond") };

/** A line of `trace`. */
export const TRACE_SCHEMA: Schema = either(
  object({
    ...LINE,
    event: word(
      "held",
      "waiting",
      "acquired",
      "refused",
      "released",
      "gave-up",
      "breaking",
      "broken",
    ),
    ...KIND,
    ...RANGE,
    file: FILE,
    process: PROCESS,
    threadId: whole("its thread"),
    canWait: flag("whether the caller was ready to wait"),
    waitedMs: maybe(ms("how long the wait was that is over")),
    heldMs: maybe(ms("how long it was held; null when not known")),
    holders: maybe(list(
      object({ process: PROCESS, heldMs: maybe(ms("for how long by now")) }),
      "who is in the way of a wait or refusal",
    )),
    alsoHeld: list(
      object({
        ...KIND,
        ...RANGE,
        file: FILE,
        holderPid: maybe(whole("its own or its ancestor's process id")),
      }),
      "what its process and that one's ancestors hold besides",
    ),
    reason: maybe(
      text("why: an error's name, interrupted, ended, converted or unseen"),
    ),
  }, "something happened to a lock"),
  object({
    ...LINE,
    event: always("trace-started"),
    source: word("tracefs", "poll"),
    pid: whole("process id of the tracer"),
  }),
  object({
    ...LINE,
    event: always("lost"),
    count: whole("events of the kernel that were lost before this"),
  }),
  object({
    ...LINE,
    event: always("trace-ended"),
    received: whole("events of the kernel, or looks at /proc/locks"),
    lost: whole("events of the kernel that were lost"),
  }),
);

const DURATIONS: Schema = object({
  count: whole("how many"),
  totalMs: ms("all together"),
  p50Ms: ms("the middle one"),
  p95Ms: ms("only a twentieth is longer"),
  p99Ms: ms("only a hundredth is longer"),
  maxMs: ms("the longest"),
});

const NOTABLE: Schema = maybe(object({
  process: PROCESS,
  ms: ms("how long"),
  at: time("when it ended"),
}));

const HELD: Schema = object({ file: FILE, ...KIND });

/** `report --json`. */
export const REPORT_SCHEMA: Schema = object({
  schema: VERSION_1,
  from: maybe(time("when it begins; null when nothing happened")),
  until: maybe(time("when it ends")),
  activities: whole("how many things happened"),
  lost: whole("events of the kernel that were lost"),
  locks: list(object({
    file: FILE,
    type: text("kind of lock"),
    taken: whole("how often it was taken"),
    refused: whole("how often to somebody who would not wait"),
    gaveUp: whole("waits that ended without the lock"),
    timedOut: whole("those because of a deadline, as far as that is told"),
    waits: DURATIONS,
    holds: DURATIONS,
    heldNow: whole("how many hold it at the end"),
    waitingNow: whole("how many wait for it at the end"),
    longestWaitNowMs: ms("the longest wait that goes on at the end"),
    mostWaiters: whole("how many waited at once, at most"),
    longestHold: NOTABLE,
    longestWait: NOTABLE,
    users: list(
      object({
        command: text("command line of a program"),
        pid: whole("the last process of it"),
        taken: whole("how often it took the lock"),
        heldMs: ms("how long it held it"),
        blockedMs: ms("how long others waited while it did"),
        waitedMs: ms("how long it waited itself"),
      }),
      "those first who made others wait most; at most 5",
    ),
    convoys: list(
      object({
        start: time("when it began"),
        durationMs: ms("how long it lasted"),
        turns: whole("how often the lock went from one to the next"),
        mostWaiters: whole("how many waited at once, at most"),
        startedBy: maybe(PROCESS),
      }),
      "stretches in which somebody always waited; the 3 longest",
    ),
  })),
  inversions: list(object({
    steps: list(object({
      process: PROCESS,
      held: HELD,
      wanted: HELD,
      at: time("when"),
    })),
  }, "each wants what the next holds")),
});

const RUN = {
  ...LINE,
  run: text("tells the lines of one run from those of others"),
  holder: whole("process id of holdfast"),
  kind: text("kind of lock: flock, posix, ofd, both, link, slots, …"),
  mode: word("shared", "exclusive"),
  command: list(text("the command and its arguments")),
  locks: list(text("a lock: its path, name or URL")),
};

const WAIT_MS = ms("how long the lock was waited for");
const LOCK = text("the lock that it is about");
const ANCESTORS = list(
  whole("a process id"),
  "the parent of holdfast, that one's parent, and so on",
);

/** A line of `run --json-events`. */
export const RUN_SCHEMA: Schema = either(
  object({
    ...RUN,
    event: always("waiting"),
    path: LOCK,
    ancestors: ANCESTORS,
  }),
  object({
    ...RUN,
    event: always("acquired"),
    waitMs: WAIT_MS,
    ancestors: ANCESTORS,
  }),
  object({ ...RUN, event: always("timeout"), waitMs: WAIT_MS }),
  object({
    ...RUN,
    event: always("started"),
    pid: whole("process id of the command"),
  }),
  object({
    ...RUN,
    event: always("exited"),
    pid: whole("process id of the command"),
    code: maybe(whole("its exit code")),
    signal: maybe(text("the signal that ended it")),
  }),
  object({
    ...RUN,
    event: always("released"),
    waitMs: WAIT_MS,
    holdMs: ms("how long the lock was held"),
  }),
  object({ ...RUN, event: always("renewed"), path: LOCK }),
  object({
    ...RUN,
    event: always("failed-over"),
    path: LOCK,
    from: text("the server that was asked before"),
    to: text("the one that is asked from now on"),
  }),
  object({
    ...RUN,
    event: always("lost"),
    path: LOCK,
    reason: text("why the lease is lost"),
  }),
);
