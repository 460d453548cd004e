/**
 * What the smaller commands print as JSON.
 *
 * @module
 */

import {
  always,
  either,
  flag,
  list,
  maybe,
  object,
  type Schema,
  text,
  time,
  VERSION_1,
  whole,
  word,
} from "./build.ts";
import { BLOCKING, ENGINE_LOCK, HOLDER, LINK_OWNER, RANGE } from "./parts.ts";

const UNREADABLE = whole("processes that may not be looked into");

/** `who --json`. */
export const WHO_SCHEMA: Schema = either(
  object({
    schema: VERSION_1,
    files: list(object({
      path: text("as it was given"),
      exists: flag("whether there is such a file"),
      needle: maybe(text("MAJ:MIN:INODE as in /proc/locks")),
      held: maybe(flag("whether somebody holds a lock on it")),
      unknown: maybe(text("why that can't be known from here")),
      linkOwner: LINK_OWNER,
      holders: list(HOLDER),
      waiters: list(HOLDER),
      blocking: BLOCKING,
      unreadableProcesses: UNREADABLE,
    })),
  }),
  object({ schema: VERSION_1, locks: list(object(ENGINE_LOCK)) }),
);

/** `test --json`. */
export const TEST_SCHEMA: Schema = either(
  object({
    schema: VERSION_1,
    path: text("as it was given"),
    exists: flag("whether there is such a file"),
    kind: word("flock", "posix", "ofd", "both"),
    kindReason: maybe(text("why this kind was asked about")),
    mode: word("shared", "exclusive"),
    ...RANGE,
    free: maybe(flag("whether the lock could be taken now")),
    unknown: maybe(text("why that can't be known from here")),
    holders: list(HOLDER, "who is in the way"),
    blocking: BLOCKING,
    unreadableProcesses: UNREADABLE,
  }),
  object({
    schema: VERSION_1,
    free: flag("whether the lock could be taken now"),
    ...ENGINE_LOCK,
  }),
);

const KINDS = ["flock", "posix", "ofd", "link"] as const;

function ofKinds(schema: Schema): Schema {
  return object(Object.fromEntries(KINDS.map((kind) => [kind, schema])));
}

const TRUST: Schema = maybe(object({
  trust: word("yes", "no", "depends"),
  reason: text("why"),
}));

const WARNINGS: Schema = list(object({
  code: text("a stable word"),
  message: text("a sentence"),
}));

/** `doctor --json`. */
export const DOCTOR_SCHEMA: Schema = either(
  object({
    schema: VERSION_1,
    paths: list(object({
      path: text("as it was given"),
      realPath: text("without symbolic links"),
      exists: flag("whether there is such a file"),
      kind: word(...KINDS),
      safe: flag("whether this kind can be trusted there"),
      recommendedKind: maybe(word(...KINDS)),
      command: maybe(text("what to run")),
      filesystem: object({
        type: text("its type"),
        mountPoint: text("where it is mounted"),
        source: text("what is mounted"),
        mountOptions: list(text("an option of the mount")),
        superOptions: list(text("an option of the filesystem")),
        exportedBy: maybe(text("the exported directory that it is part of")),
        exportedAs: maybe(word("nfs", "smb")),
      }),
      trust: ofKinds(object({ host: TRUST, clients: TRUST, server: TRUST })),
      obstacle: maybe(text("why this user can take no lock there")),
      warnings: WARNINGS,
      holders: list(object({
        pid: maybe(whole("its process id")),
        command: text("its command line"),
        type: text("kind of lock"),
        mode: text("READ or WRITE"),
      })),
      probe: maybe(ofKinds(ofKinds(object({
        excluded: maybe(flag("whether the other was kept out")),
        error: maybe(text("why that can't be told")),
      })))),
    })),
  }),
  object({
    schema: VERSION_1,
    engines: list(object({
      url: text("the engine's URL, without secrets"),
      kind: text("which engine"),
      usable: flag("whether locks can be taken there now"),
      facts: list(object({ name: text("what"), value: text("its value") })),
      warnings: WARNINGS,
    })),
  }),
);

const LINK_PATH = { schema: VERSION_1, path: text("as it was given") };

/** `link --json`. */
export const LINK_SCHEMA: Schema = either(
  object({
    ...LINK_PATH,
    held: flag("whether somebody holds it"),
    owner: LINK_OWNER,
  }),
  object({
    ...LINK_PATH,
    broken: flag("whether it was taken away"),
    outcome: word("broken", "free already", "gone meanwhile"),
  }),
  object({
    ...LINK_PATH,
    dryRun: flag("whether nothing was removed"),
    files: list(object({
      path: text("a file"),
      removed: flag("whether it was removed, or would be"),
      reason: text("why, or why not"),
    })),
  }),
);

/** `slots --json`. */
export const SLOTS_SCHEMA: Schema = object({
  schema: VERSION_1,
  names: list(object({
    name: text("as it was given"),
    directory: text("where its slots are"),
    slots: list(object({
      slot: whole("its number, from 0"),
      path: text("its lock file"),
      held: flag("whether somebody has it"),
      holders: list(object({
        pid: maybe(whole("its process id")),
        command: text("its command line"),
        user: maybe(text("the user it runs as")),
        startTime: maybe(time("when it started")),
      })),
    })),
  })),
});

/** `gc --json`. */
export const GC_SCHEMA: Schema = object({
  schema: VERSION_1,
  files: list(object({
    path: text("a lock file"),
    outcome: text("what became of it, a stable word"),
    error: maybe(text("why it could not be removed")),
  })),
});

/** `schema` without a name. */
export const SCHEMAS_SCHEMA: Schema = object({
  schema: always(1),
  schemas: list(object({ name: text("its name"), of: text("what it is of") })),
});
