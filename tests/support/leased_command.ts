/** A command under a lock of an engine, and whether it is dead in time. */
import { assert } from "@std/assert";
import {
  acquireClusterLock,
  type ClusterAcquireOptions,
  readClusterLock,
} from "../../lib/cluster/mod.ts";
import { cliArgs } from "./cli.ts";
import { HelperProcess } from "./helper_process.ts";
import { until } from "./until.ts";

/**
 * Starts `run` with a command that says its process id and goes on.
 *
 * @param setup Shell text for the command to begin with.
 */
export async function startLeased(
  args: readonly string[],
  permissions: string[],
  setup = "",
): Promise<{ held: HelperProcess; pid: number }> {
  const script = `${setup}\necho $$\nwhile :; do sleep 0.05; done`;
  const held = HelperProcess.spawn(
    Deno.execPath(),
    cliArgs(["run", ...args, "--", "sh", "-c", script], permissions),
  );
  return { held, pid: Number(await held.nextLine()) };
}

/** A process that TERM doesn't end and that says its process id first. */
const DEAF = "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.05; done'";

/**
 * Who does a command's work and says its process id first: shell texts for the
 * command to begin with.
 */
export const WORKERS: Record<string, string> = {
  "a command that ignores TERM": "trap '' TERM HUP INT",
  "a child that ignores TERM": `${DEAF} & wait`,
  "an orphan that ignores TERM": `(${DEAF} &)`,
};

/** Whether a process can do anything: a zombie can't. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}

/** Waits for the lock as another host would, and looks at the last holder. */
export async function nextHolder(
  url: string,
  pid: number,
  options: ClusterAcquireOptions = {},
): Promise<{ wasAlive: boolean; startedAt: number }> {
  await using lock = await acquireClusterLock(url, options);
  const found = { wasAlive: isAlive(pid), startedAt: performance.now() };
  assert(lock.held);
  return found;
}

/** Waits until somebody waits for a lock. */
export async function untilQueued(url: string): Promise<void> {
  await until(async () => (await readClusterLock(url)).waiters.length > 0);
}
