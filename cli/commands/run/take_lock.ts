import type { RunRequest, TakenLock } from "./request.ts";

/**
 * Takes what the user asked for. Each way is in a module of its own, loaded
 * only for that.
 *
 * @returns The lock; `undefined` when it was busy until the deadline, which has
 * been said on stderr.
 */
export async function takeLock(
  request: RunRequest,
): Promise<TakenLock | undefined> {
  const { target, cpus } = request;
  if (cpus !== undefined) {
    return (await import("./take_cpus.ts")).takeLockAndCpus(request, cpus);
  }
  switch (target.type) {
    case "files":
      return (await import("./take_files.ts")).takeFiles(request, target);
    case "link":
      return (await import("./take_link_lock.ts")).takeLink(request, target);
    case "fair":
    case "interval":
    case "fenced":
    case "slots":
      return (await import("./take_pattern.ts"))
        .takePattern(request, target);
    case "cluster":
      return (await import("./cluster/take.ts")).takeCluster(request, target);
    case "nothing":
      throw new TypeError("There is nothing to lock");
  }
}
