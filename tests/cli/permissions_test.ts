/** docs/permissions.md: each command under exactly the flags that it tells. */

import { assert, assertEquals } from "@std/assert";
import { COMMANDS } from "../../cli/commands/all.ts";
import { EXIT } from "../../cli/ui/exit_codes.ts";
import { ROOT } from "../../tools/project.ts";
import { runCli } from "../support/cli.ts";
import { TempDir } from "../support/temp_dir.ts";

/** Arguments for each that make it do its work, in a directory of its own. */
const ARGUMENTS: Readonly<Record<string, (dir: TempDir) => string[]>> = {
  "run": (dir) => ["run", dir.join("l"), "--", "true"],
  "run --kind link": (
    dir,
  ) => ["run", "-k", "link", dir.join("l"), "--", "true"],
  "flock": (dir) => ["flock", dir.join("l"), "true"],
  "who": (dir) => ["who", dir.join("l")],
  "test": (dir) => ["test", dir.join("l")],
  "locks": (dir) => ["locks", dir.path],
  "locks --html": (dir) => ["locks", "--html", dir.join("page"), dir.path],
  "trace": (dir) => ["trace", "--for", "20ms", dir.path],
  "report": (dir) => ["report", dir.join("events")],
  "schema": () => ["schema"],
  "doctor": (dir) => ["doctor", dir.join("l")],
  "doctor --probe": (dir) => ["doctor", "--probe", dir.join("l")],
  "link": (dir) => ["link", "show", dir.join("l")],
  "slots": (dir) => ["slots", dir.join("slots")],
  "gc": (dir) => ["gc", dir.path],
  "append": (dir) => ["append", dir.join("data")],
  "transform": (dir) => ["transform", dir.join("data"), "--", "cat"],
  "cache": (dir) => ["cache", dir.join("cache"), "key", "--", "echo", "value"],
  "man": () => ["man"],
  "completions": () => ["completions", "bash"],
};

/** The table's rows, one for each name in its first column. */
function rows(): [name: string, flags: string[]][] {
  const page = Deno.readTextFileSync(`${ROOT}/docs/permissions.md`);
  const table = page.slice(page.indexOf("| command "));
  return table.slice(0, table.indexOf("\n\n")).split("\n").slice(2)
    .flatMap((line) => {
      const [, first = "", flags = ""] = line.split("|");
      const [names = ""] = first.split(";");
      return [...names.matchAll(/`([^`]+)`/g)].map((
        [, name],
      ): [string, string[]] => [
        name!,
        flags.replaceAll("`", "").trim().split(" "),
      ]);
    });
}

async function exitCode(name: string, flags: string[]): Promise<number> {
  using dir = new TempDir();
  Deno.writeTextFileSync(dir.join("data"), "data\n");
  const { code, stderr } = await runCli(ARGUMENTS[name]!(dir), {
    permissions: flags,
  });
  assert(!stderr.includes("    at "), stderr);
  return code;
}

Deno.test("permissions: every command is in the table", () => {
  const names = rows().map(([name]) => name);
  assertEquals(
    Object.keys(COMMANDS).filter((name) => !names.includes(name)),
    [],
  );
});

for (const [name, flags] of rows()) {
  Deno.test(`permissions: ${name} needs ${flags.join(" ")}, each of them`, async () => {
    const code = await exitCode(name, flags);
    assert(code !== EXIT.NO_PERMISSION && code !== EXIT.USAGE, `${code}`);
    for (const flag of flags) {
      const fewer = flags.filter((other) => other !== flag);
      assertEquals(await exitCode(name, fewer), EXIT.NO_PERMISSION, flag);
    }
  });
}
