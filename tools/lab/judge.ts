/**
 * Whether what holdfast says of a filesystem is what was found there.
 *
 * @module
 */

import type {
  TrustKind,
  TrustScope,
  TrustTable,
} from "../../lib/fs/verdict.ts";
import { EXIT } from "../../cli/ui/exit_codes.ts";
import type { Finding } from "./agent.ts";
import type { Cell, Cells } from "./cells.ts";
import { type Configuration, CONFIGURATIONS } from "./configurations.ts";
import type { PairKind } from "./locks.ts";
import type { Asked, Words } from "./words.ts";

/** What `who` and `test` answer when a lock is held. */
const HELD = 1;

/**
 * Every word that isn't true, as a sentence.
 *
 * "It depends" is true of everything. "Yes" is true where the lock excluded,
 * "no" where it didn't; a lock that keeps others out may not be called free.
 */
export function judge({ name, cells, words }: Finding): string[] {
  if (cells === undefined || words === undefined) return [];
  const configuration = CONFIGURATIONS.find((it) => it.name === name);
  return [
    ...judgeTrust("doctor", words.doctor.trust, cells),
    ...(words.serverDoctor === undefined ? [] : judgeTrust(
      "doctor on the server",
      words.serverDoctor.trust,
      onServer(cells),
    )),
    ...judgeRuns(words, cells, configuration),
    ...judgeAsked("the second client", words.asked, {
      flock: cells.clientsFlock,
      ofd: cells.clientsFcntl,
      // Where nothing else is asked for, it is a record lock.
      isAny: (held) => held === "ofd" || cells.mixed === "excluded",
    }),
    ...(words.serverAsked === undefined
      ? []
      : judgeAsked("the server", words.serverAsked, {
        flock: cells.serverFlock!,
        ofd: cells.serverFcntl!,
        // There it is a flock.
        isAny: (held) => held === "flock",
      })),
  ];
}

/** On the server: there its own disk decides between its own processes. */
export function onServer(cells: Cells): Cells {
  return { ...cells, hostFlock: "excluded", hostFcntl: "excluded" };
}

/** The cell that shows what a kind is worth between some parties. */
function cellFor(
  cells: Cells,
  kind: TrustKind,
  scope: TrustScope,
): Cell | undefined {
  if (kind === "link") return scope === "clients" ? cells.link : undefined;
  const isFlock = kind === "flock";
  switch (scope) {
    case "host":
      return isFlock ? cells.hostFlock : cells.hostFcntl;
    case "clients":
      return isFlock ? cells.clientsFlock : cells.clientsFcntl;
    case "server":
      return isFlock ? cells.serverFlock : cells.serverFcntl;
  }
}

/** What of a table of doctor's isn't true. */
export function judgeTrust(
  who: string,
  trust: TrustTable,
  cells: Cells,
): string[] {
  const wrong: string[] = [];
  for (const [kind, scopes] of Object.entries(trust)) {
    for (const [scope, entry] of Object.entries(scopes)) {
      // JSON has null for parties that there are not.
      if (!entry) continue;
      const cell = cellFor(cells, kind as TrustKind, scope as TrustScope);
      if (cell === undefined) continue;
      const excludes = cell === "excluded";
      if (
        (entry.trust === "yes" && !excludes) ||
        (entry.trust === "no" && excludes)
      ) {
        wrong.push(
          `${who} says ${entry.trust} for ${kind} between ${scope} ` +
            `(${entry.reason}), but it is: ${cell}`,
        );
      }
    }
  }
  return wrong;
}

function judgeRuns(
  words: Words,
  cells: Cells,
  { server, isApart }: Partial<Configuration> = {},
): string[] {
  const wrong: string[] = [];
  const mustRefuse = (name: string, code: number, involved: Cell[]) => {
    const worst = involved.find((cell) => cell !== "excluded");
    if (code === EXIT.OK && worst !== undefined) {
      wrong.push(`${name} takes a lock without a word, but it is: ${worst}`);
    } else if (code !== EXIT.OK && code !== EXIT.UNAVAILABLE) {
      wrong.push(`${name} ends with exit code ${code} on a free file`);
    }
  };
  const { hostFlock, clientsFlock, serverFlock, mixed } = cells;
  const { hostFcntl, clientsFcntl, serverFcntl } = cells;
  mustRefuse("run", words.run.code, [
    hostFlock,
    isApart ? "excluded" : clientsFlock,
    serverFlock ?? "excluded",
  ]);
  mustRefuse("run --kind ofd", words.runOfd.code, [
    hostFcntl,
    isApart ? "excluded" : clientsFcntl,
    serverFcntl ?? "excluded",
  ]);
  // What lies beneath a mount doesn't know of it.
  if (words.serverRun !== undefined && server !== "beneath") {
    mustRefuse("run on the server", words.serverRun.code, [serverFlock!]);
  }
  const both = words.runBoth.code;
  if (mixed === "excluded" ? both !== EXIT.UNAVAILABLE : both !== EXIT.OK) {
    wrong.push(
      `run --kind both --allow-remote ends with exit code ${both}, and ` +
        `flock against a record lock is: ${mixed}`,
    );
  }
  if (words.advised !== undefined && words.advised.code !== EXIT.OK) {
    wrong.push(
      `what doctor advises (${words.doctor.command}) ends with exit code ` +
        `${words.advised.code}: ${words.advised.text.trim()}`,
    );
  }
  return wrong;
}

function judgeAsked(
  where: string,
  asked: Record<PairKind, Asked>,
  cells: Record<PairKind, Cell> & {
    /** Whether `test` without a kind asks for what is held. */
    isAny(held: PairKind): boolean;
  },
): string[] {
  const wrong: string[] = [];
  for (const kind of ["flock", "ofd"] as const) {
    const excludes = cells[kind] === "excluded";
    for (const [word, said] of Object.entries(asked[kind])) {
      const { code, text } = said;
      if (word === "testAny" && !cells.isAny(kind)) continue;
      if (word === "wait") {
        const expected = excludes ? EXIT.TEMP_FAIL : EXIT.OK;
        if (code !== expected) {
          wrong.push(
            `run -w on ${where} ends with exit code ${code} for a ${kind} ` +
              `that is: ${cells[kind]} (${text.trim().split("\n")[0]})`,
          );
        }
        continue;
      }
      const isTrue = excludes
        ? code === HELD || code === EXIT.UNKNOWN
        // A lock that keeps nobody out may be seen all the same.
        : code === EXIT.OK || code === EXIT.UNKNOWN ||
          (code === HELD && word === "who");
      if (isTrue) continue;
      wrong.push(
        `${word} on ${where} ends with exit code ${code} for a ${kind} that ` +
          `is: ${cells[kind]} (${text.trim().split("\n")[0]})`,
      );
    }
  }
  return wrong;
}
