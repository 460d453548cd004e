import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { formatHelp } from "../../cli/args/help.ts";
import { COMMANDS } from "../../cli/commands/all.ts";
import { VERSION } from "../../cli/version.ts";
import { cliArgs, runCli } from "../support/cli.ts";

const TRY = "Try 'holdfast --help' for more information.\n";

Deno.test("VERSION is that of deno.json", async () => {
  const url = new URL("../../deno.json", import.meta.url);
  const { version } = JSON.parse(await Deno.readTextFile(url));
  assertEquals(VERSION, version);
});

Deno.test("holdfast --version, -V", async () => {
  for (const option of ["--version", "-V"]) {
    assertEquals(await runCli([option]), {
      code: 0,
      stdout: `holdfast ${VERSION}\n`,
      stderr: "",
    });
  }
});

Deno.test("holdfast --help lists every command", async () => {
  const { code, stdout, stderr } = await runCli(["--help"]);
  assertEquals([code, stderr], [0, ""]);
  for (const name of Object.keys(COMMANDS)) {
    assertMatch(stdout, new RegExp(`^  ${name}  `, "m"));
  }
  assertEquals((await runCli(["help"])).stdout, stdout);
});

Deno.test("holdfast help CMD and CMD --help print the table", async () => {
  const stdout = formatHelp(await COMMANDS["who"]!.spec());
  for (const args of [["help", "who"], ["who", "--help"], ["who", "-h"]]) {
    assertEquals(await runCli(args), { code: 0, stdout, stderr: "" });
  }
});

Deno.test("holdfast without or with an unknown command", async () => {
  const names = Object.keys(COMMANDS).join(", ");
  assertEquals(await runCli([]), {
    code: 64,
    stdout: "",
    stderr: `holdfast: missing command\nCommands: ${names}\n${TRY}`,
  });
  assertEquals(await runCli(["whoo"]), {
    code: 64,
    stdout: "",
    stderr: "holdfast: unknown command 'whoo'; did you mean 'who'?\n" + TRY,
  });
  assertEquals(await runCli(["help", "constructor"]), {
    code: 64,
    stdout: "",
    stderr: `holdfast: unknown command 'constructor'\n${TRY}`,
  });
  assertEquals(await runCli(["--vresion"]), {
    code: 64,
    stdout: "",
    stderr: "holdfast: unrecognized option '--vresion'; " +
      `did you mean '--version'?\n${TRY}`,
  });
});

Deno.test("holdfast CMD with an unknown option", async () => {
  assertEquals(await runCli(["who", "--jsn", "/tmp"]), {
    code: 64,
    stdout: "",
    stderr: "holdfast who: unrecognized option '--jsn'; " +
      "did you mean '--json'?\n" +
      "Try 'holdfast who --help' for more information.\n",
  });
});

Deno.test("holdfast without permissions says which are missing", async () => {
  const cases: [string[], string, string][] = [
    [["--allow-read"], "holdfast who", "--allow-ffi"],
    [[], "holdfast", "--allow-read"],
  ];
  for (const [permissions, program, missing] of cases) {
    const result = await runCli(["who", "/tmp"], { permissions });
    assertEquals([result.code, result.stdout], [77, ""]);
    assertMatch(
      result.stderr,
      new RegExp(
        `^${program}: Deno did not permit it .*: run holdfast with ${missing}\n$`,
      ),
    );
  }
});

Deno.test("help and mistakes need no permission but to load the commands", async () => {
  const none = { permissions: [] };
  assertEquals((await runCli(["run", "--help"], none)).code, 0);
  assertEquals((await runCli(["run", "--hlep"], none)).code, 64);
  assertEquals((await runCli(["flock", "--help"], none)).code, 0);
  const read = { permissions: ["--allow-read"] };
  assertEquals((await runCli(["--help"], read)).code, 0);
  assertEquals((await runCli(["whoo"], read)).code, 64);
  for (const command of Object.keys(COMMANDS)) {
    assertEquals((await runCli([command, "--help"], read)).code, 0, command);
  }
});

Deno.test("HOLDFAST_DEBUG adds the stack", async () => {
  const env = { HOLDFAST_DEBUG: "1" };
  const { stderr } = await runCli(["nonsense"], { env });
  assertStringIncludes(stderr, "    at ");
  const denied = await runCli(["nonsense"], {
    env,
    permissions: ["--allow-read"],
  });
  assertEquals(denied.stderr, `holdfast: unknown command 'nonsense'\n${TRY}`);
});

Deno.test("a reader of stdout that goes away is no error", async () => {
  // The shell closes its end of the pipe before the tool has started.
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: [
      "-c",
      'exec 3> >(exec true); wait $!; "$@" >&3; echo $?',
      "bash",
      Deno.execPath(),
      ...cliArgs(["--help"]),
    ],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  assertEquals(
    [code, decoder.decode(stdout), decoder.decode(stderr)],
    [0, "141\n", ""],
  );
});

Deno.test("a full disk under stdout is said in one line", async () => {
  const { code, stderr } = await new Deno.Command("bash", {
    args: [
      "-c",
      '"$@" >/dev/full',
      "bash",
      Deno.execPath(),
      ...cliArgs(["--help"]),
    ],
    stdin: "null",
  }).output();
  assertEquals(code, 71);
  assertEquals(
    new TextDecoder().decode(stderr),
    "holdfast: No space left on device (os error 28)\n",
  );
});

Deno.test("the hot path loads few modules", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "info",
      "--json",
      new URL("../../cli/main.ts", import.meta.url).href,
    ],
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout));
  interface Dependency {
    code?: { specifier: string };
    isDynamic?: boolean;
  }
  const graph = new Map<string, Dependency[]>();
  for (const { specifier, dependencies = [] } of modules) {
    graph.set(specifier, dependencies);
  }
  const reached = (
    name: string,
    follow = (found: Dependency) => !found.isDynamic,
  ) => {
    const seen = new Set([new URL(`../../cli/${name}`, import.meta.url).href]);
    for (const specifier of seen) {
      for (const found of graph.get(specifier) ?? []) {
        if (found.code && follow(found)) seen.add(found.code.specifier);
      }
    }
    const cli = new URL("../../cli/", import.meta.url).href;
    return [...seen].map((specifier) => specifier.replace(cli, ""));
  };
  assertEquals(reached("main.ts"), ["main.ts", "tool.ts"]);
  // Deno reads what dynamic imports lead to before it starts.
  const everything = reached("main.ts", () => true);
  assertEquals(everything.includes("commands/run/command.ts"), true);
  assertEquals(everything.includes("commands/locks/command.ts"), false);
  assertEquals(reached("args/parse.ts"), ["args/parse.ts"]);
  // The options that several commands have stand in a file of their own.
  assertEquals(reached("commands/run/spec.ts"), [
    "commands/run/spec.ts",
    "args/engine_options.ts",
  ]);
  const run = reached("commands/run/command.ts");
  for (const lazy of ["args/help.ts", "ui/errors.ts", "ui/terminal.ts"]) {
    assertEquals(run.includes(lazy), false, lazy);
  }
});
