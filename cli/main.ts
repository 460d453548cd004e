/**
 * The command line tool `holdfast`.
 *
 * ```ts
 * import { main } from "@holdfast/holdfast/cli";
 *
 * const code = await main(["run", "/tmp/example.lock", "--", "true"]);
 * console.log(`exit code ${code}`);
 * ```
 *
 * From a shell it is `deno run -A jsr:@holdfast/holdfast/cli run FILE -- CMD`.
 * It needs `--allow-ffi`, and for parts of it `--allow-env`, `--allow-read`,
 * `--allow-run`, `--allow-sys` and `--allow-write`.
 *
 * It imports nothing before it knows which command is asked for, and then only
 * that: starting up is most of what a short command under a lock costs.
 *
 * @module
 */

import type { CommandSpec } from "./spec.ts";

export type {
  CommandSpec,
  Completion,
  OperandSpec,
  OptionSpec,
} from "./spec.ts";

/** How a command is loaded: its table and its implementation apart. */
export interface CommandEntry {
  /** Loads its table. */
  spec: () => Promise<CommandSpec>;
  /** Loads what runs it. */
  load: () => Promise<(args: string[]) => Promise<number>>;
}

/** Every command, in the order that help lists them. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  run: {
    spec: async () => (await import("./run_spec.ts")).RUN_SPEC,
    load: async () => (await import("./run.ts")).runCommand,
  },
  flock: {
    spec: async () => (await import("./flock_spec.ts")).FLOCK_SPEC,
    load: async () => (await import("./flock.ts")).flockCommand,
  },
  who: {
    spec: async () => (await import("./who_spec.ts")).WHO_SPEC,
    load: async () => (await import("./who.ts")).whoCommand,
  },
  test: {
    spec: async () => (await import("./test_spec.ts")).TEST_SPEC,
    load: async () => (await import("./test.ts")).testCommand,
  },
  locks: {
    spec: async () => (await import("./locks_spec.ts")).LOCKS_SPEC,
    load: async () => (await import("./locks.ts")).locksCommand,
  },
  doctor: {
    spec: async () => (await import("./doctor_spec.ts")).DOCTOR_SPEC,
    load: async () => (await import("./doctor.ts")).doctorCommand,
  },
  link: {
    spec: async () => (await import("./link_spec.ts")).LINK_SPEC,
    load: async () => (await import("./link.ts")).linkCommand,
  },
  slots: {
    spec: async () => (await import("./slots_spec.ts")).SLOTS_SPEC,
    load: async () => (await import("./slots.ts")).slotsCommand,
  },
  gc: {
    spec: async () => (await import("./gc_spec.ts")).GC_SPEC,
    load: async () => (await import("./gc.ts")).gcCommand,
  },
  transform: {
    spec: async () => (await import("./transform_spec.ts")).TRANSFORM_SPEC,
    load: async () => (await import("./transform.ts")).transformCommand,
  },
  append: {
    spec: async () => (await import("./append_spec.ts")).APPEND_SPEC,
    load: async () => (await import("./append.ts")).appendCommand,
  },
  cache: {
    spec: async () => (await import("./cache_spec.ts")).CACHE_SPEC,
    load: async () => (await import("./cache.ts")).cacheCommand,
  },
  completions: {
    spec: async () => (await import("./completions_spec.ts")).COMPLETIONS_SPEC,
    load: async () => {
      const { completionsCommand } = await import("./completions.ts");
      return async (args) => completionsCommand(args, await loadSpecs());
    },
  },
  man: {
    spec: async () => (await import("./man_spec.ts")).MAN_SPEC,
    load: async () => {
      const { manCommand } = await import("./man.ts");
      return async (args) => manCommand(args, await loadSpecs());
    },
  },
};

/**
 * Runs the tool: everything it has to say is written when this returns.
 *
 * @param args The arguments after the program's name.
 * @returns The exit code.
 */
export async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  let program = "holdfast";
  try {
    const command = name === undefined ? undefined : findCommand(name);
    if (command === undefined) return await runGeneral(name, rest);
    program = `holdfast ${name}`;
    const run = await command.load();
    return await run(rest);
  } catch (error) {
    if (error instanceof Error && error.name === "HelpRequest") {
      return await printHelp(name);
    }
    const { reportError } = await import("./report_error.ts");
    return await reportError(program, error);
  }
}

/** The tables of all commands, in the order that help lists them. */
export function loadSpecs(): Promise<CommandSpec[]> {
  return Promise.all(Object.values(COMMANDS).map(({ spec }) => spec()));
}

/** `constructor` and the like are not commands. */
function findCommand(name: string): CommandEntry | undefined {
  return Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
}

/** What doesn't belong to a command: help, the version, mistakes. */
async function runGeneral(
  name: string | undefined,
  rest: readonly string[],
): Promise<number> {
  const { UsageError } = await import("./options.ts");
  switch (name) {
    case undefined:
      throw new UsageError("missing command", {
        hint: `Commands: ${Object.keys(COMMANDS).join(", ")}`,
      });
    case "-h":
    case "--help":
    case "help":
      return await printHelp(rest[0]);
    case "-V":
    case "--version": {
      const { VERSION } = await import("./version.ts");
      const { writeOut } = await import("./output.ts");
      writeOut(`holdfast ${VERSION}\n`);
      return 0;
    }
  }
  throw name.startsWith("-")
    ? new UsageError(`unrecognized option '${name}'`, {
      unknown: name,
      candidates: ["--help", "--version"],
    })
    : new UsageError(`unknown command '${name}'`, {
      unknown: name,
      candidates: [...Object.keys(COMMANDS), "help"],
    });
}

/** Prints the help of one command, or the list of all. */
async function printHelp(name: string | undefined): Promise<number> {
  const { writeOut } = await import("./output.ts");
  const { terminalSize } = await import("./terminal.ts");
  const { formatCommandList, formatHelp } = await import("./help.ts");
  const width = terminalSize("stdout").columns;
  if (name === undefined) {
    writeOut(formatCommandList(await loadSpecs(), width));
    return 0;
  }
  const command = findCommand(name);
  if (command === undefined) return await runGeneral(name, []);
  writeOut(formatHelp(await command.spec(), width));
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
