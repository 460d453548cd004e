import { assert, assertEquals } from "@std/assert";
import { ProcessFamily } from "../../../lib/sys/process/family.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { isAlive } from "../../support/leased_command.ts";
import { until } from "../../support/until.ts";

Deno.test("ProcessFamily: children, theirs, and orphans by their environment, and nobody else", async () => {
  const variables = { A: "1", B: crypto.randomUUID() };
  const ours = Object.entries(variables).map(([name, value]) =>
    `${name}=${value}`
  );
  // An orphan, the child of a child, and one with another environment.
  const script = `
    orphan=$(sh -c 'sleep 1000 >/dev/null & echo $!')
    sh -c 'sleep 1000 & wait' >/dev/null &
    env -i PATH="$PATH" sleep 1000 >/dev/null &
    stranger=$(env -i PATH="$PATH" sh -c 'sleep 1000 >/dev/null & echo $!')
    echo "$orphan $! $stranger"; wait`;
  await using shell = HelperProcess.spawn("sh", ["-c", script], {
    env: variables,
  });
  const [orphan = 0, bare = 0, stranger = 0] = (await shell.nextLine() ?? "")
    .split(" ").map(Number);
  await using other = HelperProcess.spawn("sh", ["-c", "echo; read -r _"], {
    env: { A: "1", B: "another" },
  });
  await other.nextLine();
  try {
    using family = new ProcessFamily(shell.pid, ours);
    // The shell, its child and the child of that, the orphan, the bare one.
    await until(() => family.look() === 5);
    family.signal("SIGKILL", { except: shell.pid });
    await until(() => family.look() <= 1);
    assertEquals([orphan, bare].some(isAlive), false);
    assert(isAlive(stranger) && isAlive(other.pid));
    family.signal("SIGKILL");
    await shell.status;
    assertEquals(family.look(), 0);
  } finally {
    Deno.kill(stranger, "SIGKILL");
  }
});
