/**
 * Options that do nothing together are refused. Each command's pairs are all
 * named here: a new option doesn't get by without a thought of the others.
 */
import { assert, assertEquals } from "@std/assert";
import {
  allOptions,
  parseOptions,
  UsageError,
} from "../../../cli/args/parse.ts";
import type { CommandSpec, OptionSpec } from "../../../cli/args/spec.ts";
import { loadSpecs } from "../../../cli/commands/all.ts";
import { locksCommand } from "../../../cli/commands/locks/command.ts";
import { linkCommand } from "../../../cli/commands/link/command.ts";
import { readRequest } from "../../../cli/commands/run/read_request.ts";
import { RUN_SPEC } from "../../../cli/commands/run/spec.ts";

const specs = await loadSpecs();

/** A command line with some options, each with a value that it takes. */
function given(options: readonly OptionSpec[]): string[] {
  return options.map(({ long, value, values }) =>
    value === undefined ? `--${long}` : `--${long}=${values?.[0] ?? "1"}`
  );
}

function isRefused(spec: CommandSpec, options: readonly OptionSpec[]): boolean {
  try {
    parseOptions(spec, given(options));
    return false;
  } catch (error) {
    if (error instanceof UsageError) return true;
    throw error;
  }
}

/** What an option needs to do anything, unless the other one is that. */
function companyOf(
  spec: CommandSpec,
  { needs = [] }: OptionSpec,
  other: OptionSpec,
): OptionSpec[] {
  if (needs.includes(other.long)) return [];
  return spec.options.filter(({ long }) => long === needs[0]);
}

/** The pairs that the table of a command refuses, as `a b`. */
function refusedPairs(spec: CommandSpec): string[] {
  const options = allOptions(spec).filter(({ long, hidden }) =>
    long !== "help" && !hidden
  );
  const pairs: string[] = [];
  options.forEach((a, i) => {
    for (const b of options.slice(i + 1)) {
      const company = [...companyOf(spec, a, b), ...companyOf(spec, b, a)];
      if (isRefused(spec, [...company, a, b])) {
        pairs.push(`${a.long} ${b.long}`);
      }
    }
  });
  return pairs.sort();
}

const TABLE = [
  "bytes",
  "noheadings",
  "notruncate",
  "output",
  "output-all",
  "raw",
  "sort",
];

/** The pairs refused by the tables, for each command that has any. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  run: [
    "allow-nested singleton",
    "conflict-exit-code allow-nested",
    "nonblock allow-nested",
    "nonblock singleton",
    "quiet verbose",
    "singleton quiet",
    "singleton verbose",
    "timeout allow-nested",
    "timeout singleton",
    "tree slots",
  ],
  locks: [
    ...TABLE.flatMap((name) => [`json ${name}`, `${name} deadlocks`]),
    ...TABLE.flatMap((name) => [`${name} graph`, `${name} html`]),
    ...TABLE.map((name) => `${name} openmetrics`),
    "json graph",
    "json html",
    "json lslocks-json",
    "json openmetrics",
    "lslocks-json deadlocks",
    "lslocks-json graph",
    "lslocks-json html",
    "lslocks-json noheadings",
    "lslocks-json openmetrics",
    "lslocks-json notruncate",
    "lslocks-json raw",
    "lslocks-json watch",
    "output output-all",
  ],
  gc: ["json quiet"],
  cache: ["path evict"],
  transform: ["nonblock allow-nested", "timeout allow-nested"],
  append: ["nonblock allow-nested", "timeout allow-nested"],
};

for (const spec of specs) {
  Deno.test(`${spec.name}: the pairs of options that do nothing together are refused`, () => {
    const expected = [...REFUSED[spec.name] ?? []];
    if (spec.name === "cache") expected.push(...REFUSED.append!);
    assertEquals(refusedPairs(spec), expected.sort());
  });
}

Deno.test("every option that is named in another's table is there", () => {
  for (const { name, options } of specs) {
    const known = new Set(options.map(({ long }) => long));
    // What other commands take over from run keeps its table.
    if (["transform", "append", "cache"].includes(name)) continue;
    for (const { needs = [], excludes = [] } of options) {
      for (const other of [...needs, ...excludes]) {
        assert(known.has(other.split("=")[0]!), `${name}: ${other}`);
      }
    }
  }
});

async function refusal(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return "";
}

Deno.test("an option without the mode that uses it is refused", async () => {
  const run = (...args: string[]) =>
    refusal(() => readRequest(parseOptions(RUN_SPEC, [...args, "--", "true"])));
  const table: Record<string, string> = {
    "--lease=5s l": "--lease goes with --kind link",
    "--lease=5s -k ofd l": "--lease goes with --kind link",
    "--lease-margin=1s l": "--lease-margin goes with a URL",
    "--lease-margin=1s -k link l": "--lease-margin goes with a URL",
    "--message=x l": "--message goes with --kind link",
    "--message=x --slots=2 l": "--message goes with --kind link",
    "--performance l":
      "--performance does nothing without --cpus or --cpu-list or --llcs",
    "--same-llc l":
      "--same-llc does nothing without --cpus or --cpu-list or --llcs",
    "--want=2 l": "--want goes with --slots",
    "--range=0:1 l": "--range goes with --kind posix or ofd",
    "--shell=sh l": "--shell goes with -c",
    "--allow-remote -k link l": "--allow-remote can't go with --kind link",
    "--exec --report l":
      "--report can't go with --exec, which leaves nobody to do it",
    "-n l": "",
    "-E 3 l":
      "--conflict-exit-code does nothing without --nonblock or --timeout or --singleton",
    "-n -E 3 l": "",
    "-w 1 -E 3 l": "",
    "--singleton -E 3 l": "",
    "--lease=5s -k link l": "",
  };
  const said: Record<string, string> = {};
  for (const line of Object.keys(table)) {
    said[line] = await run(...line.split(" "));
  }
  assertEquals(said, table);
});

Deno.test("of -n and -w the last counts", async () => {
  const timeout = async (...args: string[]) =>
    (await readRequest(parseOptions(RUN_SPEC, [...args, "l", "--", "true"])))
      .timeoutMs;
  assertEquals(await timeout("-n", "-w", "2"), 2000);
  assertEquals(await timeout("-w", "2", "-n"), 0);
});

Deno.test("locks --list-columns and the actions of link take no other's options", async () => {
  assertEquals(
    await refusal(() => locksCommand(["-H", "--json"])),
    "--list-columns can't go with --json",
  );
  assertEquals(
    await refusal(() => linkCommand(["show", "l", "--force"])),
    "--force goes with break",
  );
  assertEquals(
    await refusal(() => linkCommand(["break", "l", "--dry-run"])),
    "--dry-run goes with sweep",
  );
  assertEquals(
    await refusal(() => linkCommand(["break", "l", "--yes"])),
    "--yes does nothing without --force",
  );
});
