import type { RunRequest, TakenLock } from "./request.ts";

/** Options that make more of it than a lock, or another one than is named. */
export const COORDINATED: readonly string[] = [
  "slots",
  "want",
  "fair",
  "every",
  "tree",
  "cpus",
  "cpu-list",
  "llcs",
];

/**
 * Takes the lock that the user asked for. Each kind is in a module of its own,
 * loaded only for that kind.
 *
 * @returns The lock; `undefined` when it was busy until the deadline, which has
 * been said on stderr.
 */
export async function takeLock(
  request: RunRequest,
): Promise<TakenLock | undefined> {
  const { options } = request;
  const kind = options.value("kind");
  if (options.flag("range") && kind !== "posix" && kind !== "ofd") {
    const { UsageError } = await import("../../args/parse.ts");
    throw new UsageError("--range goes with --kind posix or ofd", {
      hint: "Other locks are on whole files",
    });
  }
  if (COORDINATED.some((name) => options.flag(name))) {
    return (await import("./take_coordinated.ts")).take(request);
  }
  switch (kind) {
    case "posix":
    case "ofd":
    case "both":
      return (await import("./take_record_lock.ts")).take(request);
    case "link":
      return (await import("./take_link_lock.ts")).take(request);
    default:
      return (await import("./take_flock.ts")).take(request);
  }
}
