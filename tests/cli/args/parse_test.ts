import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertThrows,
} from "@std/assert";
import {
  allOptions,
  HelpRequest,
  type ParsedOptions,
  parseOptions,
  UsageError,
} from "../../../cli/args/parse.ts";
import type { CommandSpec } from "../../../cli/args/spec.ts";
import { Random } from "../../proc/support.ts";

const SPEC: CommandSpec = {
  name: "sample",
  summary: "stand in for a command",
  usage: ["holdfast sample"],
  description: "",
  operands: [],
  options: [
    { long: "shared", short: "s", help: "" },
    { long: "exclusive", short: "ex", help: "" },
    { long: "nonblock", aliases: ["nb", "nonblocking"], short: "n", help: "" },
    { long: "timeout", aliases: ["wait"], short: "w", value: "T", help: "" },
    { long: "env", value: "NAME=VALUE", repeat: true, help: "" },
    { long: "kind", value: "KIND", values: ["flock", "posix"], help: "" },
    { long: "secret", hidden: true, help: "" },
  ],
  exitCodes: [],
  examples: [],
};

const STOPPING: CommandSpec = { ...SPEC, stopAtFirstOperand: true };

/** All that a parse gives, as one value. */
function render(parsed: ParsedOptions): Record<string, unknown> {
  return {
    values: parsed.values.map(({ option, value }) =>
      value === undefined ? option.long : `${option.long}=${value}`
    ),
    operands: parsed.operands,
    afterDashes: parsed.afterDashes,
    verbatim: parsed.verbatim,
  };
}

const PLAIN = { values: [], operands: [], afterDashes: undefined };

for (
  const [args, expected] of [
    [[], { ...PLAIN, verbatim: [] }],
    [["-sn"], { ...PLAIN, values: ["shared", "nonblock"], verbatim: [] }],
    [["-e", "-x"], {
      ...PLAIN,
      values: ["exclusive", "exclusive"],
      verbatim: [],
    }],
    [["-w5"], { ...PLAIN, values: ["timeout=5"], verbatim: [] }],
    [["-w", "5"], { ...PLAIN, values: ["timeout=5"], verbatim: [] }],
    [["-snw5"], {
      ...PLAIN,
      values: ["shared", "nonblock", "timeout=5"],
      verbatim: [],
    }],
    [["-w", "-s"], { ...PLAIN, values: ["timeout=-s"], verbatim: [] }],
    [["-w", "--"], { ...PLAIN, values: ["timeout=--"], verbatim: [] }],
    [["-w=5"], { ...PLAIN, values: ["timeout==5"], verbatim: [] }],
    [["-wé日"], { ...PLAIN, values: ["timeout=é日"], verbatim: [] }],
    [["--timeout=5"], { ...PLAIN, values: ["timeout=5"], verbatim: [] }],
    [["--timeout="], { ...PLAIN, values: ["timeout="], verbatim: [] }],
    [["--timeout", "5"], { ...PLAIN, values: ["timeout=5"], verbatim: [] }],
    [["--wait", "5"], { ...PLAIN, values: ["timeout=5"], verbatim: [] }],
    [["--env=A=B=C"], { ...PLAIN, values: ["env=A=B=C"], verbatim: [] }],
    [["--t=5"], { ...PLAIN, values: ["timeout=5"], verbatim: [] }],
    [["--sh"], { ...PLAIN, values: ["shared"], verbatim: [] }],
    // Several names of one option are not ambiguous.
    [["--n"], { ...PLAIN, values: ["nonblock"], verbatim: [] }],
    // A whole name counts although it is the prefix of another.
    [["--nonblock"], { ...PLAIN, values: ["nonblock"], verbatim: [] }],
    [["--kind", "posix"], { ...PLAIN, values: ["kind=posix"], verbatim: [] }],
    [["a", "-s", "-", "b", ""], {
      ...PLAIN,
      values: ["shared"],
      operands: ["a", "-", "b", ""],
      verbatim: ["a", "-", "b", ""],
    }],
    [["a", "--", "-s", "--", "b"], {
      values: [],
      operands: ["a"],
      afterDashes: ["-s", "--", "b"],
      verbatim: ["a", "-s", "--", "b"],
    }],
    [["--"], { ...PLAIN, afterDashes: [], verbatim: [] }],
  ] satisfies [string[], unknown][]
) {
  Deno.test(`parseOptions: ${JSON.stringify(args)}`, () => {
    assertEquals(render(parseOptions(SPEC, args)), expected);
  });
}

for (
  const [args, expected] of [
    [["-s", "f", "-n", "--", "-x"], {
      values: ["shared"],
      operands: ["f", "-n"],
      afterDashes: ["-x"],
      verbatim: ["f", "-n", "--", "-x"],
    }],
    [["f", "--help"], {
      ...PLAIN,
      operands: ["f", "--help"],
      verbatim: ["f", "--help"],
    }],
    [["-s", "--", "f", "--", "x"], {
      values: ["shared"],
      operands: [],
      afterDashes: ["f", "--", "x"],
      verbatim: ["f", "--", "x"],
    }],
  ] satisfies [string[], unknown][]
) {
  Deno.test(`parseOptions stopping: ${JSON.stringify(args)}`, () => {
    assertEquals(render(parseOptions(STOPPING, args)), expected);
  });
}

const NAMES = [
  "--shared",
  "--exclusive",
  "--nonblock",
  "--nb",
  "--nonblocking",
  "--timeout",
  "--wait",
  "--env",
  "--kind",
  "--help",
];

for (
  const [args, message, more] of [
    [["--jsn"], "unrecognized option '--jsn'", {
      unknown: "--jsn",
      candidates: NAMES,
    }],
    [["--shred=1"], "unrecognized option '--shred'", {
      unknown: "--shred",
      candidates: NAMES,
    }],
    [["--=1"], "unrecognized option '--'", {
      unknown: "--",
      candidates: NAMES,
    }],
    [["-q"], "invalid option -- 'q'", {}],
    [["-sq"], "invalid option -- 'q'", {
      unknown: "--sq",
      candidates: NAMES,
    }],
    [["-😀"], "invalid option -- '😀'", {}],
    [["-w"], "option requires an argument -- 'w'", {}],
    [["--wait"], "option '--wait' requires an argument", {}],
    [["--shared=1"], "option '--shared' doesn't allow an argument", {}],
    [
      ["--s"],
      "option '--s' is ambiguous; possibilities: " +
      "'--shared' '--secret'",
      {},
    ],
    [["--kind=lease"], "invalid argument 'lease' for '--kind'", {
      unknown: "lease",
      candidates: ["flock", "posix"],
      hint: "It takes one of: flock, posix",
    }],
  ] satisfies [string[], string, object][]
) {
  Deno.test(`parseOptions refuses ${JSON.stringify(args)}`, () => {
    const error = assertThrows(() => parseOptions(SPEC, args), UsageError);
    const { unknown, candidates, hint } = error;
    assertEquals(
      { message: error.message, unknown, candidates, hint },
      {
        message,
        unknown: undefined,
        candidates: [],
        hint: undefined,
        ...more,
      },
    );
  });
}

Deno.test("ParsedOptions: accessors", () => {
  const parsed = parseOptions(
    SPEC,
    ["-s", "--env=A=1", "-x", "-w1", "--env", "B=2", "--wait=2", "-s"],
  );
  assertEquals(parsed.flag("shared"), true);
  assertEquals(parsed.flag("nonblock"), false);
  assertEquals(parsed.value("timeout"), "2");
  assertEquals(parsed.value("kind"), undefined);
  assertEquals(parsed.all("env"), ["A=1", "B=2"]);
  assertEquals(parsed.all("kind"), []);
  assertEquals(parsed.last("shared", "exclusive"), "shared");
  assertEquals(parsed.last("exclusive", "nonblock"), "exclusive");
  assertEquals(parsed.last("nonblock", "kind"), undefined);
});

Deno.test("parseOptions: every command has --help", () => {
  for (const args of [["--help"], ["-h"], ["-sh"], ["--he"], ["a", "-h"]]) {
    assertThrows(() => parseOptions(SPEC, args), HelpRequest);
  }
});

Deno.test("allOptions: a command's own -h stays", () => {
  const own = { long: "human", short: "h", help: "" };
  const spec = { ...SPEC, options: [own] };
  assertEquals(allOptions(spec), [own, {
    long: "help",
    help: "print this help and exit",
  }]);
  assertEquals(parseOptions(spec, ["-h"]).flag("human"), true);
});

Deno.test("parseOptions: any words parse, ask for help or are a UsageError", () => {
  const random = new Random(20260101);
  const parts = [
    ..."sexnwhq=-",
    "--",
    "--shared",
    "--timeout",
    "--env",
    "--kind",
    "--no",
    "=flock",
    "--help",
    "-h",
    "-shs",
    "constructor",
    "__proto__",
  ];
  const outcomes = { parsed: 0, help: 0, usage: 0 };
  for (let round = 0; round < 20_000; round++) {
    const args = random.list(
      5,
      () =>
        random.int(4) === 0
          ? random.text(6)
          : random.list(3, () => random.pick(parts)).join(""),
    );
    const spec = random.int(2) === 0 ? SPEC : STOPPING;
    try {
      const { values, operands, afterDashes, verbatim } = parseOptions(
        spec,
        args,
      );
      outcomes.parsed++;
      // No word is lost or made up.
      const after = afterDashes ?? [];
      assertEquals(args.slice(args.length - after.length), after);
      assertEquals(
        verbatim.filter((word) => !args.includes(word)),
        [],
      );
      assertEquals(operands.every((word) => args.includes(word)), true);
      for (const { option, value } of values) {
        assertEquals(value === undefined, option.value === undefined);
      }
    } catch (error) {
      if (error instanceof HelpRequest) {
        outcomes.help++;
      } else {
        assertInstanceOf(error, UsageError, JSON.stringify(args));
        outcomes.usage++;
      }
    }
  }
  // The words are such that each outcome is frequent.
  assert(Math.min(...Object.values(outcomes)) > 500, Deno.inspect(outcomes));
});
