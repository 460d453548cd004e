/** The files of the soak: what they must have in them, and what may be left. */

/** How many entries its cache can have. */
export const CACHE_KEYS = 200;

/** The record of one round, from a few bytes to more than a page. */
export function soakRecord(id: string): string {
  const number = Number(id.slice(id.indexOf("-") + 1));
  return `${id} ${"x".repeat(number * 7919 % 6000)}`;
}

/** What is wrong with the records of a file. */
export interface RecordFaults {
  /** Promised, and not there. */
  lost: string[];
  /** There, and not whole or of nobody. */
  foreign: string[];
  /** There more than once. */
  twice: number;
}

/** Nothing is. */
export const WHOLE: RecordFaults = { lost: [], foreign: [], twice: 0 };

/**
 * Compares the lines of a file with those that it must and may have.
 *
 * @param promised Those whose writer was told that they are there.
 * @param possible Those that somebody has begun to write.
 */
export function compareRecords(
  text: string,
  promised: ReadonlySet<string> = new Set(),
  possible: ReadonlySet<string> = new Set(),
): RecordFaults {
  const lines = text.split("\n").filter((line) => line !== "");
  const found = new Set(lines);
  return {
    lost: [...promised].filter((line) => !found.has(line)),
    foreign: lines.filter((line) => !possible.has(line)),
    twice: lines.length - found.size,
  };
}

/** What the ledgers of all workers say. */
export interface Ledgers {
  /** How often each kind came to each outcome. */
  rounds: Record<string, Record<string, number>>;
  faults: string[];
  /** The rounds of each kind that were done. */
  done: Record<string, Set<string>>;
  /** Those that were begun. */
  begun: Record<string, Set<string>>;
}

/** Reads every file `ledger…` of a directory. */
export function readLedgers(directory: string): Ledgers {
  const ledgers: Ledgers = { rounds: {}, faults: [], done: {}, begun: {} };
  for (const { name } of Deno.readDirSync(directory)) {
    if (!name.startsWith("ledger")) continue;
    const text = Deno.readTextFileSync(`${directory}/${name}`);
    for (const line of text.split("\n").filter((line) => line !== "")) {
      const [outcome, kind, id] = line.split(" ") as [string, string, string];
      const row = ledgers.rounds[kind] ??= {};
      row[outcome] = (row[outcome] ?? 0) + 1;
      if (outcome === "fault") ledgers.faults.push(line);
      if (outcome === "begin") (ledgers.begun[kind] ??= new Set()).add(id);
      if (outcome === "done") (ledgers.done[kind] ??= new Set()).add(id);
    }
  }
  return ledgers;
}
