/**
 * Every command of the tool, and how each is loaded.
 *
 * @module
 */

import type { CommandSpec } from "../args/spec.ts";

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
    spec: async () => (await import("./run/spec.ts")).RUN_SPEC,
    load: async () => (await import("./run/command.ts")).runCommand,
  },
  flock: {
    spec: async () => (await import("./flock/spec.ts")).FLOCK_SPEC,
    load: async () => (await import("./flock/command.ts")).flockCommand,
  },
  who: {
    spec: async () => (await import("./who/spec.ts")).WHO_SPEC,
    load: async () => (await import("./who/command.ts")).whoCommand,
  },
  test: {
    spec: async () => (await import("./test/spec.ts")).TEST_SPEC,
    load: async () => (await import("./test/command.ts")).testCommand,
  },
  locks: {
    spec: async () => (await import("./locks/spec.ts")).LOCKS_SPEC,
    load: async () => (await import("./locks/command.ts")).locksCommand,
  },
  trace: {
    spec: async () => (await import("./trace/spec.ts")).TRACE_SPEC,
    load: async () => (await import("./trace/command.ts")).traceCommand,
  },
  report: {
    spec: async () => (await import("./report/spec.ts")).REPORT_SPEC,
    load: async () => (await import("./report/command.ts")).reportCommand,
  },
  doctor: {
    spec: async () => (await import("./doctor/spec.ts")).DOCTOR_SPEC,
    load: async () => (await import("./doctor/command.ts")).doctorCommand,
  },
  link: {
    spec: async () => (await import("./link/spec.ts")).LINK_SPEC,
    load: async () => (await import("./link/command.ts")).linkCommand,
  },
  slots: {
    spec: async () => (await import("./slots/spec.ts")).SLOTS_SPEC,
    load: async () => (await import("./slots/command.ts")).slotsCommand,
  },
  gc: {
    spec: async () => (await import("./gc/spec.ts")).GC_SPEC,
    load: async () => (await import("./gc/command.ts")).gcCommand,
  },
  transform: {
    spec: async () => (await import("./transform/spec.ts")).TRANSFORM_SPEC,
    load: async () => (await import("./transform/command.ts")).transformCommand,
  },
  append: {
    spec: async () => (await import("./append/spec.ts")).APPEND_SPEC,
    load: async () => (await import("./append/command.ts")).appendCommand,
  },
  cache: {
    spec: async () => (await import("./cache/spec.ts")).CACHE_SPEC,
    load: async () => (await import("./cache/command.ts")).cacheCommand,
  },
  schema: {
    spec: async () => (await import("./schema/spec.ts")).SCHEMA_SPEC,
    load: async () => (await import("./schema/command.ts")).schemaCommand,
  },
  completions: {
    spec: async () => (await import("./completions/spec.ts")).COMPLETIONS_SPEC,
    load: async () => {
      const { completionsCommand } = await import("./completions/command.ts");
      return async (args) => completionsCommand(args, await loadSpecs());
    },
  },
  man: {
    spec: async () => (await import("./man/spec.ts")).MAN_SPEC,
    load: async () => {
      const { manCommand } = await import("./man/command.ts");
      return async (args) => manCommand(args, await loadSpecs());
    },
  },
};

/** The tables of all commands, in the order that help lists them. */
export function loadSpecs(): Promise<CommandSpec[]> {
  return Promise.all(Object.values(COMMANDS).map(({ spec }) => spec()));
}

/** The candidate nearest to an unknown word, if any is near enough. */
export async function suggest(
  unknown: string,
  candidates: readonly string[],
): Promise<string | undefined> {
  const { nearestWord } = await import("../args/suggestion.ts");
  return nearestWord(unknown, candidates);
}
