/**
 * Filesystems that need no kernel of their own: mounted in a mount namespace
 * of this machine.
 *
 * @module
 */

import type { Finding } from "./agent.ts";
import type { Configuration } from "./configurations.ts";
import { findingsIn } from "./finding_lines.ts";
import { lines } from "./lines.ts";

/** Tries them; gives what is found as it comes. */
export async function* findHere(
  configurations: readonly Configuration[],
  packages: string,
): AsyncGenerator<Finding> {
  if (configurations.length === 0) return;
  const room = Deno.makeTempDirSync({ prefix: "holdfast-lab-" });
  // What serves the mounts ends with the first process of its namespace.
  const script = `mount -t tmpfs tmpfs "$0"
mkdir "$0/served" "$0/mounts"
agent=$1
shift
exec "$agent" run -A --quiet --no-check "$@"`;
  const child = new Deno.Command("unshare", {
    args: [
      ...["--mount", "--propagation", "private", "--pid", "--fork"],
      ...["--mount-proc", "--kill-child", "sh", "-euc", script, room],
      Deno.execPath(),
      new URL("./agent.ts", import.meta.url).href,
      ...[`${room}/served`, `${room}/mounts`],
      ...configurations.map(({ name }) => name),
    ],
    env: { PACKAGES: packages },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  try {
    yield* findingsIn(lines(child.stdout), configurations);
  } finally {
    await child.status;
    Deno.removeSync(room, { recursive: true });
  }
}
