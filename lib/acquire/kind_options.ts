/**
 * Which options go with which kind of lock. An option that is silently ignored
 * would lock less than was asked for.
 *
 * @module
 */

import { checkOptions, checkWord } from "../lock/check.ts";

/**
 * The kinds of lock: flock(2); OFD and POSIX locks of fcntl(2) on a range of
 * bytes; `both`, flock and an OFD lock; and hard links, for NFS.
 */
export type LockKind = "flock" | "ofd" | "posix" | "both" | "link";

/** What options are for: a kind of lock, or a lock in an engine. */
type TargetKind = LockKind | "engine";

/** The kinds, in the order in which errors name them. */
const LOCK_KINDS: readonly LockKind[] = [
  "flock",
  "ofd",
  "posix",
  "both",
  "link",
];

const RANGE: readonly TargetKind[] = ["ofd", "posix"];
const FILE: readonly TargetKind[] = ["flock", "ofd", "posix", "both"];
const LOCAL: readonly TargetKind[] = LOCK_KINDS;
const LINK: readonly TargetKind[] = ["link"];
const ENGINE: readonly TargetKind[] = ["engine"];

/** All options but those that every kind has. */
const KINDS_BY_OPTION = new Map<string, readonly TargetKind[]>([
  ["kind", LOCAL],
  ["range", RANGE],
  ["createParents", FILE],
  ["allowRemote", FILE],
  ["onDegraded", FILE],
  ["allowNested", LOCAL],
  ["leaseMs", LINK],
  ["breakExpired", LINK],
  ["breakStale", LINK],
  ["releaseOnExit", LINK],
  ["onIncident", LINK],
  ["message", ["link", "engine"]],
  ["ttlMs", ENGINE],
  ["marginMs", ENGINE],
  ["graceMs", ENGINE],
  ["slots", ENGINE],
  ["onEvent", ENGINE],
  ["engine", ENGINE],
]);

/**
 * The kind that some options ask for.
 *
 * @throws {TypeError} when it is none, or an option of another kind is set.
 */
export function kindOf<Kind extends LockKind>(
  options: { kind?: Kind | undefined },
): Kind | "flock" {
  checkOptions(options);
  const { kind = "flock" } = options;
  // Looking the word up costs more than all the rest of the common case.
  if (kind !== "flock") checkWord(kind, LOCK_KINDS, "kind");
  rejectOtherOptions(options, kind);
  return kind;
}

/** @throws {TypeError} when an option that is set is of another kind. */
export function rejectOtherOptions(options: object, target: TargetKind): void {
  for (const name of Object.keys(options)) {
    const kinds = KINDS_BY_OPTION.get(name);
    if (kinds === undefined || kinds.includes(target)) continue;
    if (options[name as keyof typeof options] === undefined) continue;
    throw new TypeError(
      `${name} must not be set for ${describeKinds([target])}: it goes with ` +
        describeKinds(kinds),
    );
  }
}

function describeKinds(kinds: readonly TargetKind[]): string {
  const words = kinds.map((kind) =>
    kind === "engine" ? "a lock in an engine" : `kind "${kind}"`
  );
  const last = words.pop()!;
  return words.length === 0 ? last : `${words.join(", ")} or ${last}`;
}
