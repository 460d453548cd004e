import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { HelperProcess } from "../../support/helper_process.ts";
import { isAlive } from "../../support/leased_command.ts";
import { until } from "../../support/until.ts";

const LINKED = fromFileUrl(
  new URL("../../support/linked_command.ts", import.meta.url),
);
const CONFIG = fromFileUrl(new URL("../../../deno.json", import.meta.url));

Deno.test("DeathLink: the kernel kills the one process that is tied when this one is killed", async () => {
  await using linked = HelperProcess.spawn(Deno.execPath(), [
    ...["run", "--quiet", "--no-check", "--config", CONFIG, "--allow-ffi"],
    LINKED,
  ]);
  const [first, command, keeper] = (await linked.nextLine() ?? "").split(" ")
    .map(Number) as [
      number,
      number,
      number,
    ];
  try {
    assert([first, command, keeper].every(isAlive));
    linked.kill("SIGKILL");
    await until(() => !isAlive(command));
    assertEquals([isAlive(first), isAlive(keeper)], [true, true]);
  } finally {
    Deno.kill(first, "SIGKILL");
    Deno.kill(keeper, "SIGKILL");
  }
});
