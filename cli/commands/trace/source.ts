/**
 * The stream of what happens to locks that a command line asks for.
 *
 * @module
 */

import { statPath } from "../../../lib/sys/file.ts";
import { realPath } from "../../../lib/sys/storage/names.ts";
import { dirname } from "../../../lib/sys/path_parts.ts";
import { needleFromPath } from "../../../lib/inspect/needle.ts";
import type { TracedFile } from "../../../lib/trace/activity.ts";
import { pollLocks } from "../../../lib/trace/poll.ts";
import { type TraceBatch, traceLocks } from "../../../lib/trace/session.ts";
import { parseDuration } from "../../args/duration.ts";
import {
  type FileTest,
  operandTest,
  parsePid,
} from "../../args/file_selection.ts";
import { type ParsedOptions, UsageError } from "../../args/parse.ts";
import { parseSize } from "../../args/size.ts";

/** How often `--poll` looks unless told otherwise. */
const DEFAULT_POLL = "20ms";

/** Lets `--poll` stand without a value. */
export function withPollInterval(args: readonly string[]): string[] {
  const dashes = args.indexOf("--");
  const own = dashes < 0 ? args : args.slice(0, dashes);
  const rest = dashes < 0 ? [] : args.slice(dashes);
  return [
    ...own.map((word) => word === "--poll" ? `--poll=${DEFAULT_POLL}` : word),
    ...rest,
  ];
}

/** A stream, and how it may be narrowed later. */
export interface ActivitySource {
  /** Whether it is the kernel that tells. */
  kind: "tracefs" | "poll";
  /** What happens; the first batch comes once it is on. */
  batches: AsyncGenerator<TraceBatch, void, void>;
  /** The only processes to be told of, with their children; all while empty. */
  pids: Set<number>;
}

/**
 * Makes the stream of the options `--pid`, `--type`, `--buffer`, `--poll` and
 * of paths.
 *
 * @throws {UsageError} for a malformed value.
 */
export async function openSource(
  options: ParsedOptions,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<ActivitySource> {
  const pids = new Set(options.all("pid").map(parsePid));
  const poll = options.value("poll");
  const tests: FileTest[] = [];
  for (const path of paths) tests.push(await operandTest(path));
  const onlyFiles = existingFiles(paths);
  const wantsFile = tests.length === 0 || onlyFiles !== undefined
    ? undefined
    : (file: TracedFile) => tests.some((test) => test(file));
  const files = {
    onlyFiles,
    wantsFile,
    directories: paths.map(directoryOf),
  };
  if (poll !== undefined) {
    const intervalMs = parseDuration(poll);
    const batches = pollLocks({ ...files, signal, intervalMs });
    return { kind: "poll", batches: narrow(batches, pids), pids };
  }
  const batches = traceLocks({
    ...files,
    signal,
    wantsProcess: (ids) => {
      if (pids.size === 0) return true;
      for (const id of ids) if (pids.has(id)) return true;
      return false;
    },
    bufferKb: readBufferKb(options),
  });
  return { kind: "tracefs", batches, pids };
}

/** Only the processes that were asked for. */
async function* narrow(
  batches: AsyncGenerator<TraceBatch, void, void>,
  pids: ReadonlySet<number>,
): AsyncGenerator<TraceBatch, void, void> {
  for await (const batch of batches) {
    yield pids.size === 0 ? batch : {
      ...batch,
      activities: batch.activities.filter(({ process }) =>
        pids.has(process.pid)
      ),
    };
  }
}

/** Where the files are that a path, directory or pattern means. */
function directoryOf(operand: string): string {
  const fixed = operand.replace(/\/?[^/]*[*?[{].*$/, "") || ".";
  const path = realPath(fixed) ?? fixed;
  return statPath(path)?.type === "directory" ? path : dirname(path);
}

/** The files of paths that name one each; else `undefined`. */
function existingFiles(paths: readonly string[]): TracedFile[] | undefined {
  if (paths.length === 0) return undefined;
  const files: TracedFile[] = [];
  for (const given of paths) {
    if (statPath(given)?.type !== "file") return undefined;
    const needle = needleFromPath(given);
    if (needle === undefined) return undefined;
    const path = realPath(given) ?? given;
    files.push({ ...needle, path, pathStatus: "here" });
  }
  return files;
}

function readBufferKb(options: ParsedOptions): number | undefined {
  const text = options.value("buffer");
  if (text === undefined) return undefined;
  const kb = Number(parseSize(text, "invalid buffer size") / 1024n);
  if (kb >= 64) return kb;
  throw new UsageError(`buffer too small: '${text}' (at least 64K)`);
}
