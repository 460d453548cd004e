/**
 * What locks really do in a directory: two processes try each kind against
 * each other.
 *
 * @module
 */

import { TRUST_KINDS, type TrustKind } from "../../../lib/fs/verdict.ts";
import { tryFlock } from "../../../lib/lock/flock/flock.ts";
import type { HeldLock } from "../../../lib/lock/held_lock.ts";
import { tryLinkLock } from "../../../lib/lock/link/mod.ts";
import { dirname } from "../../../lib/sys/path_parts.ts";
import { tryRecordLock } from "../../../lib/lock/record/record_lock_attempt.ts";
import { selfCommand } from "../../self_command.ts";

/** What became of one try. */
export interface ProbeCell {
  /** Whether the holder kept the other out; null when it can't be told. */
  excluded: boolean | null;
  /** Why it can't be told, such as `ENOLCK`. */
  error: string | null;
}

/** By the kind that one process holds, then by the kind another tries. */
export type ProbeMatrix = Record<TrustKind, Record<TrustKind, ProbeCell>>;

const TAKE: Readonly<
  Record<TrustKind, (path: string) => HeldLock | undefined>
> = {
  flock: (path) => tryFlock(path),
  posix: (path) => tryRecordLock(path, { kind: "posix" }),
  ofd: (path) => tryRecordLock(path, { kind: "ofd" }),
  link: (path) => tryLinkLock(`${path}.link`),
};

/**
 * Holds each kind in turn on a new file, lets a second process try every kind,
 * and removes what was made.
 *
 * @param path Any path in the directory that is probed.
 */
export async function probeLocks(path: string): Promise<ProbeMatrix> {
  const directory = Deno.makeTempDirSync({
    dir: dirname(path),
    prefix: ".holdfast-probe-",
  });
  const matrix = {} as ProbeMatrix;
  try {
    for (const kind of TRUST_KINDS) {
      matrix[kind] = await probeKind(kind, `${directory}/lock`);
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
  return matrix;
}

async function probeKind(
  kind: TrustKind,
  file: string,
): Promise<ProbeMatrix[TrustKind]> {
  let held: HeldLock | undefined;
  try {
    held = TAKE[kind](file);
  } catch (error) {
    return sameCell({ excluded: null, error: errorName(error) });
  }
  try {
    const { command, args } = selfCommand(["doctor", "--probe-child", file], [
      "-A",
    ]);
    const { code, stdout } = await new Deno.Command(command, {
      args,
      stdin: "null",
      stderr: "inherit",
    }).output();
    if (code !== 0) return sameCell({ excluded: null, error: `exit ${code}` });
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    held?.release();
  }
}

/** The second process: tries every kind, and says what became of it. */
export function tryAllKinds(file: string): ProbeMatrix[TrustKind] {
  const cells = {} as ProbeMatrix[TrustKind];
  for (const kind of TRUST_KINDS) {
    try {
      using lock = TAKE[kind](file);
      cells[kind] = { excluded: lock === undefined, error: null };
    } catch (error) {
      cells[kind] = { excluded: null, error: errorName(error) };
    }
  }
  return cells;
}

function sameCell(cell: ProbeCell): ProbeMatrix[TrustKind] {
  return { flock: cell, posix: cell, ofd: cell, link: cell };
}

function errorName(error: unknown): string {
  if (!(error instanceof Error)) throw error;
  return "code" in error && typeof error.code === "string"
    ? error.code
    : error.name;
}
