/**
 * `holdfast gc`: lock files that nobody holds any more.
 *
 * @module
 */

import {
  type CollectedFile,
  collectLockFiles,
} from "../../../lib/patterns/gc.ts";
import { printable, quotePath } from "../../../lib/proc/printable.ts";
import { parseDuration } from "../../args/duration.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { GC_SPEC } from "./spec.ts";
import {
  type ParsedOptions,
  parseOptions,
  UsageError,
} from "../../args/parse.ts";
import { pathOperands } from "../../args/paths.ts";
import { writeError, writeOut } from "../../ui/output.ts";

/** Exit code when some file could not be removed. */
const INCOMPLETE = 1;

/** Runs the subcommand and gives the exit code. */
export function gcCommand(args: string[]): Promise<number> {
  const options = parseOptions(GC_SPEC, args);
  const directories = pathOperands(options);
  if (directories.length === 0) throw new UsageError("missing directory");
  const collectOptions = {
    dryRun: options.flag("dry-run"),
    olderThanMs: parseDuration(options.value("older-than") ?? "0"),
    match: readMatch(options),
    withContent: options.flag("with-content"),
    recursive: options.flag("recursive"),
    allowRemote: options.flag("allow-remote"),
  };
  const files = directories.flatMap((directory) =>
    collectLockFiles(directory, collectOptions)
  );
  if (options.flag("json")) {
    writeOut(JSON.stringify({ schema: 1, files: files.map(toJson) }) + "\n");
  } else if (!options.flag("quiet")) {
    writeOut(files.map(toText).join(""));
  }
  const failures = files.flatMap(({ error }) => error ?? []);
  for (const { message } of failures) {
    writeError(`holdfast gc: ${printable(message)}\n`);
  }
  return Promise.resolve(failures.length === 0 ? EXIT.OK : INCOMPLETE);
}

function readMatch(
  options: ParsedOptions,
): ((name: string) => boolean) | undefined {
  const patterns = options.all("match").map(globToRegExp);
  if (patterns.length === 0) return undefined;
  return (name) => patterns.some((pattern) => pattern.test(name));
}

/** `*` and `?` of glob(7), on a name alone. */
function globToRegExp(glob: string): RegExp {
  const source = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll(/\*+/g, ".*").replaceAll("?", ".");
  return new RegExp(`^${source}$`, "su");
}

function toJson({ path, outcome, error }: CollectedFile) {
  return { path, outcome, error: error?.message ?? null };
}

const SAID: Readonly<Record<CollectedFile["outcome"], string>> = {
  removed: "removed",
  "would-remove": "would be removed",
  held: "kept, somebody holds it",
  recent: "kept, too recent",
  "has-content": "kept, it has content",
  state: "kept, it says when something ran last",
  "link-lock": "kept, a link lock or part of one; see holdfast link",
  gone: "gone already",
  failed: "failed",
};

function toText({ path, outcome }: CollectedFile): string {
  return `${quotePath(path)}: ${SAID[outcome]}\n`;
}
