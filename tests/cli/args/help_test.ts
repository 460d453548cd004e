import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { formatCommandList, formatHelp } from "../../../cli/args/help.ts";
import { COMMANDS } from "../../../cli/commands/all.ts";
import type { CommandSpec } from "../../../cli/args/spec.ts";

const SPEC: CommandSpec = {
  name: "sample",
  summary: "stand in for a command",
  usage: ["holdfast sample [OPTION…] FILE", "holdfast sample --all"],
  description:
    "A first paragraph that is long enough to be broken at the eightieth " +
    "column.\n\nA second one.",
  operands: [{ name: "FILE", help: "what to look at", complete: "file" }],
  options: [
    { long: "exclusive", short: "ex", help: "keep others out" },
    {
      long: "wait",
      aliases: ["timeout"],
      short: "w",
      value: "T",
      help: "wait",
    },
    {
      long: "kind",
      value: "KIND",
      values: ["flock", "posix"],
      repeat: true,
      help: "which",
    },
    { long: "secret", hidden: true, help: "not to be seen" },
  ],
  exitCodes: [["0", "done"], ["75", "busy"]],
  examples: [["holdfast sample x", "look at x"]],
};

Deno.test("formatHelp: the whole text", () => {
  assertEquals(
    formatHelp(SPEC),
    `Usage: holdfast sample [OPTION…] FILE
       holdfast sample --all

Stand in for a command.

A first paragraph that is long enough to be broken at the eightieth column.

A second one.

Operands:
  FILE  what to look at

Options:
  -e, -x, --exclusive      keep others out
  -w, --wait, --timeout T  wait
      --kind KIND          which (one of flock, posix; may be repeated)
  -h, --help               print this help and exit

Exit codes:
  0   done
  75  busy

Examples:
  # look at x
  holdfast sample x
`,
  );
});

Deno.test("formatHelp: options under headings of their own, in columns of one width", () => {
  const [wait, kind] = [SPEC.options[1]!, SPEC.options[2]!];
  const options = [
    { ...wait, group: "Waiting" },
    { ...kind, group: "Lock" },
    { long: "quick", help: "don't", group: "Waiting" },
    { long: "any", help: "whatever" },
  ];
  assertStringIncludes(
    formatHelp({ ...SPEC, options }),
    `
Waiting:
  -w, --wait, --timeout T  wait
      --quick              don't

Lock:
      --kind KIND          which (one of flock, posix; may be repeated)

Other options:
      --any                whatever
  -h, --help               print this help and exit

Exit codes:
`,
  );
});

/** The lines longer than `width`, but for command lines, which stay whole. */
function tooLong(text: string, width: number): string[] {
  const lines = text.split("\nExamples:")[0]!.split("\n");
  return lines.filter((line) => line.length > width);
}

Deno.test("formatHelp: narrow and wide", () => {
  assertEquals(tooLong(formatHelp(SPEC, 40), 40), []);
  assertEquals(formatHelp(SPEC, 500), formatHelp(SPEC, 100));
});

for (const [name, command] of Object.entries(COMMANDS)) {
  Deno.test(`the table of ${name} is sound`, async () => {
    const spec = await command.spec();
    assertEquals(spec.name, name);
    assertEquals(tooLong(formatHelp(spec), 80), []);
    assertEquals(structuredClone(spec), spec, "pure data");
    assert(spec.exitCodes.length > 0);
    assert(spec.examples.length > 0);
    for (const form of spec.usage) {
      assert(form.startsWith(`holdfast ${name}`), form);
    }
    for (const [example] of spec.examples) {
      assertStringIncludes(example, `holdfast ${name}`);
    }
    const names = spec.options.flatMap(({ long, aliases = [], short = "" }) => [
      long,
      ...aliases,
      ...short,
    ]);
    assertEquals(names, [...new Set(names)], "each name belongs to one option");
    const texts = [
      spec.summary,
      ...spec.operands.map(({ help }) => help),
      ...spec.options.map(({ help }) => help),
      ...spec.exitCodes.map(([, meaning]) => meaning),
    ];
    assertEquals(texts.filter((text) => /\.$|^$/.test(text)), [], "clauses");
  });
}

Deno.test("formatCommandList: every command with its summary", async () => {
  const specs = await Promise.all(
    Object.values(COMMANDS).map((command) => command.spec()),
  );
  const text = formatCommandList(specs, 80);
  assertEquals(tooLong(text, 80), []);
  const flowing = text.replaceAll(/\s+/g, " ");
  for (const { name, summary } of specs) {
    assertStringIncludes(flowing, ` ${name} ${summary}`);
  }
});
