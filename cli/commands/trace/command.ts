/**
 * `holdfast trace`: every lock of any program as it happens.
 *
 * @module
 */

import { keepIgnoredSignals } from "../../../lib/sys/process/signals.ts";
import type { LockActivity } from "../../../lib/trace/activity.ts";
import { runBeforeOthers } from "../../../lib/sys/process/priority.ts";
import type { TraceBatch } from "../../../lib/trace/session.ts";
import {
  type ParsedOptions,
  parseOptions,
  UsageError,
} from "../../args/parse.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { Ending } from "./ending.ts";
import { openPrinter } from "./printer.ts";
import { type ActivitySource, openSource, withPollInterval } from "./source.ts";
import { TRACE_SPEC } from "./spec.ts";

/** Runs the subcommand and gives the exit code. */
export async function traceCommand(args: string[]): Promise<number> {
  const options = parseOptions(TRACE_SPEC, withPollInterval(args));
  keepIgnoredSignals();
  if (options.flag("json") && options.flag("text")) {
    throw new UsageError("options '--json' and '--text' are incompatible");
  }
  const wantsType = readTypes(options);
  const command = options.afterDashes;
  if (command?.length === 0) throw new UsageError("missing command after --");
  using ending = new Ending(options.value("for"), command !== undefined);
  const source = await openSource(options, options.operands, ending.signal);
  if (command !== undefined) source.pids.add(NOBODY);
  using printer = openPrinter(options, source.kind);
  // Without CPU it loses events. A command must not inherit that.
  if (source.kind === "tracefs" && command === undefined) runBeforeOthers();
  let running: Promise<number> | undefined;
  try {
    for await (const batch of source.batches) {
      printer.print(wantedOf(batch, wantsType));
      // With the first batch the trace is on.
      if (command !== undefined) running ??= run(command, source, ending);
    }
    printer.end();
  } catch (error) {
    // The command goes on, and its end is waited for.
    await running;
    // `| head` has seen enough.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
  return await running ?? EXIT.OK;
}

/** No process has this id: nobody is told of until the command runs. */
const NOBODY = 0;

/** Runs the command to be traced; the trace ends with it. */
async function run(
  command: readonly string[],
  { kind, pids }: ActivitySource,
  ending: Ending,
): Promise<number> {
  const { Supervisor } = await import("../run/supervise.ts");
  const supervisor = new Supervisor(command, {
    onDeath: "keep",
    onStart(pid) {
      pids.add(pid);
      if (kind === "tracefs") runBeforeOthers();
    },
  });
  try {
    return (await supervisor.run({})).exitCode;
  } finally {
    ending.end();
  }
}

const TYPES = ["FLOCK", "POSIX", "OFDLCK", "LEASE"];

type TypeTest = ((activity: LockActivity) => boolean) | undefined;

function readTypes(options: ParsedOptions): TypeTest {
  const types = options.all("type").flatMap((list) => list.split(","))
    .map((word) => word.trim().toUpperCase());
  const unknown = types.find((type) => !TYPES.includes(type));
  if (unknown !== undefined) {
    throw new UsageError(`unknown type of lock: '${unknown.toLowerCase()}'`, {
      unknown,
      candidates: TYPES,
      hint: `It takes some of: ${TYPES.join(", ").toLowerCase()}`,
    });
  }
  return types.length === 0 ? undefined : ({ type }) => types.includes(type);
}

function wantedOf(batch: TraceBatch, isWanted: TypeTest): TraceBatch {
  if (isWanted === undefined) return batch;
  return { ...batch, activities: batch.activities.filter(isWanted) };
}
