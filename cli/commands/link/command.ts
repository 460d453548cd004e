/**
 * `holdfast link`: link locks seen from outside.
 *
 * @module
 */

import {
  forceLinkLock,
  formatLinkOwnerLine,
  judgeLinkOwner,
  type LinkLockOwner,
  type LivenessVerdict,
  LockError,
  readLinkLockOwner,
  releaseLinkLock,
  sweepLinkLock,
} from "../../../lib/acquire/link_lock.ts";
import { printable, quotePath } from "../../../lib/proc/printable.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { LINK_SPEC } from "./spec.ts";
import {
  type ParsedOptions,
  parseOptions,
  UsageError,
} from "../../args/parse.ts";
import { pathOperands } from "../../args/paths.ts";
import { writeError, writeOut } from "../../ui/output.ts";
import { isTerminal } from "../../ui/terminal.ts";

/** Exit code for "held" and "not broken". */
const NO = 1;

type Action = (path: string, options: ParsedOptions) => number;

const ACTIONS: Readonly<Record<string, Action>> = {
  show,
  break: breakLock,
  sweep,
};

/** Options that one action alone has a use for. */
const ACTION_OF_OPTION: Readonly<Record<string, string>> = {
  force: "break",
  yes: "break",
  "dry-run": "sweep",
};

/** Runs the subcommand and gives the exit code. */
export function linkCommand(args: string[]): Promise<number> {
  const options = parseOptions(LINK_SPEC, args);
  const [action, path, ...more] = pathOperands(options);
  const names = Object.keys(ACTIONS);
  if (action === undefined) {
    throw new UsageError("missing action", {
      hint: `It is one of: ${names.join(", ")}`,
    });
  }
  if (!Object.hasOwn(ACTIONS, action)) {
    throw new UsageError(`unknown action '${action}'`, {
      unknown: action,
      candidates: names,
    });
  }
  for (const [option, owner] of Object.entries(ACTION_OF_OPTION)) {
    if (options.flag(option) && action !== owner) {
      throw new UsageError(`--${option} goes with ${owner}`);
    }
  }
  if (path === undefined) throw new UsageError("missing path of the lock");
  if (more.length > 0) {
    throw new UsageError(`unexpected operand '${more[0]}'`);
  }
  return Promise.resolve(ACTIONS[action]!(path, options));
}

function show(path: string, options: ParsedOptions): number {
  const owner = readLinkLockOwner(path);
  if (options.flag("json")) {
    writeJson({ path, held: owner !== undefined, owner: ownerToJson(owner) });
  } else if (owner === undefined) {
    writeOut(`${quotePath(path)}: free\n`);
  } else {
    writeOut(
      `${quotePath(path)}: held by a link lock\n${linkOwnerText(owner)}\n`,
    );
  }
  return owner === undefined ? EXIT.OK : NO;
}

/** An owner in JSON, with what is known of its life. */
export function ownerToJson(
  owner: LinkLockOwner | undefined,
): Record<string, unknown> | null {
  if (owner === undefined) return null;
  const { takenAtMs, ...rest } = owner;
  return {
    ...rest,
    takenAt: new Date(takenAtMs).toISOString(),
    ...judgeLinkOwner(owner),
  };
}

/** An owner in a few lines for people. */
export function linkOwnerText(owner: LinkLockOwner): string {
  const { fence, leaseMs } = owner;
  const lease = leaseMs === null ? "no lease" : `lease ${leaseMs} ms`;
  return `  ${formatLinkOwnerLine(owner)}\n` +
    `    ${describeLife(judgeLinkOwner(owner))}; ` +
    `holder number ${fence}, ${lease}`;
}

function describeLife({ liveness, reason }: LivenessVerdict): string {
  const said = { alive: "alive", dead: "dead", unknown: "may be alive" };
  return `${said[liveness]}: ${reason}`;
}

function breakLock(path: string, options: ParsedOptions): number {
  const owner = readLinkLockOwner(path);
  if (owner === undefined) return reportBreak(path, options, "free already");
  try {
    const isRemoved = releaseLinkLock(path);
    return reportBreak(path, options, isRemoved ? "broken" : "gone meanwhile");
  } catch (error) {
    if (!(error instanceof LockError) || !options.flag("force")) throw error;
    if (!confirmForce(path, owner, options)) {
      writeError("holdfast link: not broken\n");
      return NO;
    }
    const isRemoved = forceLinkLock(path, owner.token);
    return reportBreak(path, options, isRemoved ? "broken" : "gone meanwhile");
  }
}

/** Says what force does; asks on a terminal. */
function confirmForce(
  path: string,
  owner: LinkLockOwner,
  options: ParsedOptions,
): boolean {
  writeError(
    `holdfast link: this takes the lock ${quotePath(path)} away from\n` +
      `${linkOwnerText(owner)}\n` +
      "If that process still acts, it will go on as if it held the lock, " +
      "beside the next holder.\n",
  );
  if (options.flag("yes")) return true;
  if (!isTerminal("stdin") || !isTerminal("stderr")) {
    throw new UsageError("--force asks on a terminal, and there is none", {
      hint: "Add --yes if that process is known not to act any more",
    });
  }
  writeError("Break it? [y/N] ");
  const answer = new Uint8Array(64);
  const length = Deno.stdin.readSync(answer) ?? 0;
  return /^y(es)?\s*$/i.test(
    new TextDecoder().decode(answer.subarray(0, length)),
  );
}

function reportBreak(
  path: string,
  options: ParsedOptions,
  outcome: "broken" | "free already" | "gone meanwhile",
): number {
  if (options.flag("json")) {
    writeJson({ path, broken: outcome === "broken", outcome });
  } else writeOut(`${quotePath(path)}: ${outcome}\n`);
  return EXIT.OK;
}

function sweep(path: string, options: ParsedOptions): number {
  const dryRun = options.flag("dry-run");
  const files = sweepLinkLock(path, { dryRun });
  if (options.flag("json")) writeJson({ path, dryRun, files });
  else {
    const removed = dryRun ? "would be removed" : "removed";
    writeOut(
      files.map((file) =>
        `${quotePath(file.path)}: ${file.removed ? removed : "left"}, ` +
        `${printable(file.reason)}\n`
      ).join(""),
    );
  }
  return EXIT.OK;
}

function writeJson(value: Record<string, unknown>): void {
  writeOut(JSON.stringify({ schema: 1, ...value }) + "\n");
}
