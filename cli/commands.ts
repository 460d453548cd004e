/**
 * Every command of the tool, and how each is loaded.
 *
 * @module
 */

import type { CommandSpec } from "./spec.ts";

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

/** The tables of all commands, in the order that help lists them. */
export function loadSpecs(): Promise<CommandSpec[]> {
  return Promise.all(Object.values(COMMANDS).map(({ spec }) => spec()));
}

/** The candidate nearest to an unknown word, if any is near enough. */
export async function suggest(
  unknown: string,
  candidates: readonly string[],
): Promise<string | undefined> {
  const { nearestWord } = await import("./suggestion.ts");
  return nearestWord(unknown, candidates);
}
