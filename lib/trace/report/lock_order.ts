/**
 * Locks that are taken in one order here and in another there: a deadlock that
 * has not happened yet.
 *
 * @module
 */

import {
  type AlsoHeldLock,
  fileKey,
  type LockActivity,
  type TracedFile,
  type TracedLock,
  type TracedProcess,
  type TracedType,
} from "../activity.ts";
import { overlaps } from "../holds.ts";

/** Somebody who held one lock and took or waited for the next. */
export interface OrderStep {
  /** Who. */
  process: TracedProcess;
  /** What it held, itself or by an ancestor. */
  held: TracedLock;
  /** What it wanted meanwhile. */
  wanted: TracedLock;
  /** When, in milliseconds since 1970. */
  atMs: number;
}

/**
 * A ring of steps: each wants what the next holds. Had they come at the same
 * time, none could have gone on.
 */
export interface LockInversion {
  /** The steps. */
  steps: OrderStep[];
}

interface Example extends OrderStep {
  /**
   * Locks held besides, exclusively, and whose they are: who needs one of his
   * own can't meet who has one of his own. A common ancestor's keeps nobody
   * apart.
   */
  gates: Gates;
}

/** The holder of each; `undefined` when not known. */
type Gates = ReadonlyMap<string, number | undefined>;

type Edge = Map<string, Example>;

/** Of one pair of locks, so many ways to take it are remembered. */
const MAX_EXAMPLES = 16;
/** Pairs of locks that are remembered. */
const MAX_EDGES = 100_000;
/** Rings of more locks are not looked for. */
const MAX_RING = 6;
const MAX_INVERSIONS = 50;
/** Situations that are told from new ones. */
const MAX_KNOWN = 100_000;

/** A hash of numbers, of 53 bits: no two situations share one by chance. */
class Hash {
  #low: number;
  #high = 0x9e37_79b9 | 0;

  constructor(seed: number) {
    this.#low = seed | 0;
  }

  mix(number: number): void {
    this.#low = Math.imul(this.#low ^ number, 0x85eb_ca6b);
    this.#low ^= this.#low >>> 15;
    this.#high = Math.imul(this.#high ^ number ^ this.#low, 0xc2b2_ae35);
    this.#high ^= this.#high >>> 13;
  }

  get value(): number {
    return (this.#high & 0x1f_ffff) * 2 ** 32 + (this.#low >>> 0);
  }
}

/** Remembers in which order locks are taken. */
export class LockOrder {
  readonly #edges = new Map<string, Map<string, Edge>>();
  readonly #known = new Set<number>();
  readonly #fileIds = new WeakMap<TracedFile, number>();
  #lastFileId = 0;
  #edgeCount = 0;

  /** Takes note of somebody who takes or waits for a lock. */
  add(activity: LockActivity): void {
    const { alsoHeld, canWait, event, waitedMs } = activity;
    // One that doesn't wait can't be part of a deadlock; one that waited was
    // noted then.
    if (alsoHeld === undefined || !canWait || waitedMs !== undefined) return;
    if (event !== "acquired" && event !== "waiting") return;
    const { file, type, mode, startByte, endByte, process, timeMs } = activity;
    const wanted = { file, type, mode, startByte, endByte };
    if (this.#isKnown(process.pid, wanted, alsoHeld)) return;
    const to = nodeKey(wanted);
    for (const held of alsoHeld) {
      const gates = new Map(
        alsoHeld.filter((other) => other !== held && other.mode === "WRITE")
          .map((other) => [nodeKey(other), other.holderPid]),
      );
      const example = { process, held, wanted, atMs: timeMs, gates };
      this.#remember(nodeKey(held), to, example);
    }
  }

  /** Whether a process has wanted the same before while it held the same. */
  #isKnown(
    pid: number,
    wanted: TracedLock,
    alsoHeld: readonly AlsoHeldLock[],
  ): boolean {
    const hash = new Hash(pid);
    this.#mix(hash, wanted);
    for (const held of alsoHeld) this.#mix(hash, held);
    const { value } = hash;
    if (this.#known.has(value)) return true;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.add(value);
    return false;
  }

  #mix(hash: Hash, { file, type, mode, startByte, endByte }: TracedLock): void {
    let id = this.#fileIds.get(file);
    if (id === undefined) this.#fileIds.set(file, id = ++this.#lastFileId);
    hash.mix(id);
    hash.mix(mode === "READ" ? 1 : 2);
    if (type === "FLOCK") return;
    hash.mix(type === "LEASE" ? 4 : 3);
    hash.mix(Number(startByte & 0xffff_ffffn));
    hash.mix(endByte === undefined ? -1 : Number(endByte & 0xffff_ffffn));
  }

  #remember(from: string, to: string, example: Example): void {
    let targets = this.#edges.get(from);
    if (targets === undefined) this.#edges.set(from, targets = new Map());
    let edge = targets.get(to);
    if (edge === undefined) {
      if (this.#edgeCount >= MAX_EDGES) return;
      this.#edgeCount++;
      targets.set(to, edge = new Map());
    }
    if (edge.size >= MAX_EXAMPLES) return;
    const { process, held, wanted, gates } = example;
    const others = [...gates].map(([gate, holderPid]) =>
      holderPid === process.pid ? gate : `${gate}@${holderPid}`
    );
    const key = `${process.command} ${held.mode}${wanted.mode} ${others}`;
    // Two processes of the same program can meet as well.
    const before = edge.get(key);
    if (before === undefined) edge.set(key, example);
    else if (before.process.pid !== process.pid) {
      edge.set(`${key} again`, example);
    }
  }

  /** The rings, the shortest first; each set of locks once. */
  inversions(): LockInversion[] {
    const found = new Map<string, LockInversion>();
    for (const start of this.#edges.keys()) {
      if (found.size >= MAX_INVERSIONS) break;
      for (const ring of this.#ringsFrom(start)) {
        const key = [...ring].sort().join(" ");
        if (found.has(key)) continue;
        const edges = ring.map((from, at) =>
          this.#edges.get(from)!.get(ring[(at + 1) % ring.length]!)!
        );
        const steps = chooseSteps(edges);
        if (steps !== undefined) found.set(key, { steps });
      }
    }
    return [...found.values()].sort((a, b) => a.steps.length - b.steps.length);
  }

  /** The shortest rings through a lock, by breadth. */
  #ringsFrom(start: string): string[][] {
    const rings: string[][] = [];
    const seen = new Set([start]);
    let paths = [[start]];
    for (let length = 1; length < MAX_RING && paths.length > 0; length++) {
      const longer: string[][] = [];
      for (const path of paths) {
        for (const next of this.#edges.get(path.at(-1)!)?.keys() ?? []) {
          if (next === start && path.length > 1) rings.push(path);
          if (seen.has(next)) continue;
          seen.add(next);
          if (this.#edges.has(next)) longer.push([...path, next]);
        }
      }
      paths = longer;
    }
    return rings;
  }
}

/** Record locks of both kinds are in each other's way, flocks not in theirs. */
function nodeKey(
  { file, type }: { file: TracedLock["file"]; type: TracedType },
) {
  const family = type === "OFDLCK" ? "POSIX" : type;
  const name = file.inode === 0n ? file.path : fileKey(file);
  return `${family} ${name}`;
}

/** One example of each edge, such that all could be stuck together. */
function chooseSteps(edges: readonly Edge[]): OrderStep[] | undefined {
  const chosen: Example[] = [];
  const choose = (at: number): boolean => {
    if (at === edges.length) {
      return canBlock(chosen.at(-1)!, chosen[0]!) && canMeet(chosen);
    }
    for (const example of edges[at]!.values()) {
      if (at > 0 && !canBlock(chosen[at - 1]!, example)) continue;
      chosen.push(example);
      if (choose(at + 1)) return true;
      chosen.pop();
    }
    return false;
  };
  if (!choose(0)) return undefined;
  return chosen.map(({ process, held, wanted, atMs }) => ({
    process,
    held,
    wanted,
    atMs,
  }));
}

/** Whether what one wants is kept from it by what the next holds. */
function canBlock({ wanted }: Example, { held }: Example): boolean {
  return !(wanted.mode === "READ" && held.mode === "READ") &&
    overlaps(wanted, held);
}

/** Whether they can all be there at once: several, and no gate between them. */
function canMeet(steps: readonly Example[]): boolean {
  if (new Set(steps.map(({ process }) => process.pid)).size < steps.length) {
    return false;
  }
  return steps.every((step, at) =>
    steps.slice(at + 1).every((other) => !keepApart(step.gates, other.gates))
  );
}

function keepApart(gates: Gates, others: Gates): boolean {
  return [...gates].some(([gate, holderPid]) =>
    others.has(gate) &&
    (holderPid === undefined || others.get(gate) !== holderPid)
  );
}
