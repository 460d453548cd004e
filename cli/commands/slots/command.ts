/**
 * `holdfast slots`: who sits where.
 *
 * @module
 */

import {
  readSlots,
  slotDirectory,
  type SlotState,
} from "../../../lib/patterns/slots.ts";
import { formatHolder } from "../../../lib/inspect/holder.ts";
import { quotePath } from "../../../lib/proc/printable.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { parseOptions, UsageError } from "../../args/parse.ts";
import { writeOut } from "../../ui/output.ts";
import { SLOTS_SPEC } from "./spec.ts";

interface Report {
  name: string;
  directory: string;
  slots: SlotState[];
}

/** Runs the subcommand and gives the exit code. */
export async function slotsCommand(args: string[]): Promise<number> {
  const options = parseOptions(SLOTS_SPEC, args);
  const names = [...options.operands, ...options.afterDashes ?? []];
  if (names.length === 0) throw new UsageError("missing name");
  const reports: Report[] = [];
  for (const name of names) reports.push(await report(name));
  writeOut(
    options.flag("json")
      ? JSON.stringify({ schema: 1, names: reports.map(toJson) }) + "\n"
      : reports.map(toText).join(""),
  );
  return EXIT.OK;
}

async function report(name: string): Promise<Report> {
  try {
    const directory = slotDirectory(name);
    return { name, directory, slots: await readSlots(name) };
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(error.message) : error;
  }
}

function toJson({ name, directory, slots }: Report): Record<string, unknown> {
  return {
    name,
    directory,
    slots: slots.map(({ slot, path, holders }) => ({
      slot,
      path,
      held: holders.length > 0,
      holders: holders.map(({ pid, command, user, startTimeMs }) => ({
        pid: pid ?? null,
        command,
        user: user ?? null,
        startTime: startTimeMs === undefined
          ? null
          : new Date(startTimeMs).toISOString(),
      })),
    })),
  };
}

function toText({ name, slots }: Report): string {
  const taken = slots.filter(({ holders }) => holders.length > 0).length;
  const lines = slots.flatMap(({ slot, holders }) =>
    holders.length === 0
      ? [`  ${slot}: free`]
      : holders.map((holder) => `  ${slot}: ${formatHolder(holder)}`)
  );
  const title = slots.length === 0
    ? "never used"
    : `${taken} of ${slots.length} taken`;
  return [`${quotePath(name)}: ${title}`, ...lines, ""].join("\n");
}
