import { walkSync } from "@std/fs/walk";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { loadSpecs } from "../../../cli/commands/all.ts";
import { formatManual } from "../../../cli/commands/man/command.ts";
import type { CommandSpec } from "../../../cli/args/spec.ts";
import { runCli } from "../../support/cli.ts";
import { ROOT } from "../../../tools/project.ts";
import { needs } from "../../support/programs.ts";

const SPEC: CommandSpec = {
  name: "sample",
  summary: "stand in for a command",
  usage: ["holdfast sample [OPTION…] FILE"],
  description: ".dots and\nback\\slashes\n\n'quoted' -- text",
  operands: [{ name: "FILE", help: "what to look at", complete: "file" }],
  options: [
    { long: "wait-for", short: "w", value: "T", help: "wait", repeat: true },
    { long: "secret", hidden: true, help: "not to be seen" },
  ],
  exitCodes: [["0", "done"]],
  examples: [["holdfast sample x", "look at x"]],
};

Deno.test("formatManual: what roff would take for its own is escaped", () => {
  const page = formatManual([SPEC]);
  for (
    const part of [
      '.SS "holdfast sample"\n.nf\nholdfast sample [OPTION...] FILE\n.fi\n',
      ".PP\nStand in for a command.\n.PP\n\\&.dots and back\\eslashes\n" +
      ".PP\n\\(aqquoted\\(aq \\-\\- text\n",
      ".TP\n\\fB\\-w\\fR, \\fB\\-\\-wait\\-for\\fR \\fIT\\fR\n" +
      "wait (may be repeated)\n",
      ".TP\n\\fB0\\fR\ndone\n",
    ]
  ) {
    assertStringIncludes(page, part);
  }
  assert(!page.includes("secret"));
});

Deno.test("formatManual: options under headings of their own", () => {
  const options = [
    { long: "wait", help: "wait", group: "Waiting" },
    { long: "any", help: "whatever" },
  ];
  const page = formatManual([{ ...SPEC, options }]);
  assertStringIncludes(page, ".PP\nWaiting:\n.TP\n\\fB\\-\\-wait\\fR\n");
  assertStringIncludes(page, ".PP\nOther options:\n.TP\n\\fB\\-\\-any\\fR\n");
});

async function render(page: string): Promise<string> {
  const child = new Deno.Command("groff", {
    args: ["-man", "-Tascii", "-ww", "-rHY=0", "-rLL=100n", "-P-cbou"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(page));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  assert(success);
  assertEquals(decoder.decode(stderr), "");
  return decoder.decode(stdout);
}

const groff = needs("groff");

Deno.test({
  name: `man: groff reads the page without a warning, and every command, ` +
    `option and exit code is on it${groff.suffix}`,
  ignore: groff.ignore,
  async fn() {
    const { code, stdout, stderr } = await runCli(["man"]);
    assertEquals([code, stderr], [0, ""]);
    const text = await render(stdout);
    for (const spec of await loadSpecs()) {
      assertStringIncludes(text, `   holdfast ${spec.name}\n`);
      for (const { long, hidden } of spec.options) {
        assertEquals(text.includes(`--${long}`), !hidden, long);
      }
      for (const [commandLine] of spec.examples) {
        assertStringIncludes(text, commandLine);
      }
    }
  },
});

Deno.test("man: takes no operand", async () => {
  const { code, stdout, stderr } = await runCli(["man", "run"]);
  assertEquals([code, stdout], [64, ""]);
  assertStringIncludes(stderr, "unexpected operand 'run'");
});

/** Every name of ours in the environment that the sources speak of. */
function variablesOf(directory: string): Set<string> {
  const names = new Set<string>();
  for (const { path } of walkSync(directory, { includeDirs: false })) {
    const text = Deno.readTextFileSync(path);
    for (const [name] of text.matchAll(/\bHOLDFAST_[A-Z][A-Z_]*/g)) {
      names.add(name);
    }
  }
  return names;
}

Deno.test("man: every variable of holdfast's own is under ENVIRONMENT", () => {
  const page = formatManual([]);
  const section = page.slice(page.indexOf(".SH ENVIRONMENT"))
    .replace(/\\f[BIR]/g, " ");
  const missing = ["lib", "cli", "bin", "npm"]
    .flatMap((directory) => [...variablesOf(`${ROOT}/${directory}`)])
    .filter((name) => !new RegExp(`\\b${name}\\b`).test(section));
  assertEquals([...new Set(missing)], []);
});
