import { assert, assertEquals } from "@std/assert";
import { ProcessFamily } from "../../../lib/sys/process/family.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { isAlive } from "../../support/leased_command.ts";
import { until } from "../../support/until.ts";

Deno.test("ProcessFamily: children, theirs, and orphans by their environment, and nobody else", async () => {
  const id = crypto.randomUUID();
  // An orphan, the child of a child, and one with another environment.
  const script = `
    orphan=$(sh -c 'sleep 1000 >/dev/null & echo $!')
    sh -c 'sleep 1000 & wait' >/dev/null &
    env -i PATH="$PATH" sleep 1000 >/dev/null &
    stranger=$(env -i PATH="$PATH" sh -c 'sleep 1000 >/dev/null & echo $!')
    echo "$orphan $! $stranger"; wait`;
  await using shell = HelperProcess.spawn("sh", ["-c", script], {
    env: { ID: id },
  });
  const [orphan = 0, bare = 0, stranger = 0] = (await shell.nextLine() ?? "")
    .split(" ").map(Number);
  await using other = HelperProcess.spawn("sh", ["-c", "echo; read -r _"], {
    env: { ID: `${id}0`, NO_ID: id },
  });
  await other.nextLine();
  try {
    using family = new ProcessFamily(shell.pid, `ID=${id}`);
    family.follow();
    // The shell, its child and the child of that, the orphan, the bare one.
    await until(() => family.look() === 5);
    family.askToEnd();
    assertEquals((await shell.status).signal, "SIGTERM");
    await until(() => family.look() === 0);
    assertEquals([orphan, bare].some(isAlive), false);
    assert(isAlive(stranger) && isAlive(other.pid));
  } finally {
    Deno.kill(stranger, "SIGKILL");
  }
});

Deno.test("ProcessFamily: who ignores TERM is killed", async () => {
  await using deaf = HelperProcess.spawn("sh", [
    "-c",
    "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; exec sleep 1000' & wait",
  ]);
  const child = Number(await deaf.nextLine());
  using family = new ProcessFamily(deaf.pid, "NONE=");
  family.follow();
  family.askToEnd();
  assertEquals(family.look(), 2);
  family.kill();
  await deaf.status;
  await until(() => !isAlive(child));
  assertEquals(family.look(), 0);
});
