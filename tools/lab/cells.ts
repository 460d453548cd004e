/**
 * What locks do on one filesystem: two processes try them against each other.
 *
 * @module
 */

import { type LockAnswer, Locks, type Order, type PairKind } from "./locks.ts";
import { lines } from "./lines.ts";

/**
 * What two processes found. `excluded`: the second was kept out, either way
 * round; `both`: both held it; anything else is an error or a difference.
 */
export type Cell = "excluded" | "both" | string;

/** The cells of one filesystem; absent where there are no such parties. */
export interface Cells {
  /** Two processes of one host, flock against flock. */
  hostFlock: Cell;
  /** The same with record locks. */
  hostFcntl: Cell;
  /** Flock against a record lock on one mount. */
  mixed: Cell;
  /** Two clients. */
  clientsFlock: Cell;
  /** The same with record locks. */
  clientsFcntl: Cell;
  /** A client and a process of the server. */
  serverFlock?: Cell;
  /** The same with record locks. */
  serverFcntl?: Cell;
  /** link(2) by two clients: whether each name had one winner. */
  link: Cell;
}

/** The paths by which two clients and the server find one directory. */
export interface Places {
  a: string;
  b: string;
  /** Absent where no process of the server can be asked. */
  server?: string | undefined;
  /** The server is the host of this machine, where two files are locked. */
  heldOutside: boolean;
}

/** Files that the host of the machine keeps locked. */
export const HELD_OUTSIDE: Readonly<Record<PairKind, string>> = {
  flock: "held-flock",
  ofd: "held-ofd",
};

/** So many names are raced for. */
const NAMES = 60;

/** Another process, which does as it is told. */
export class Locker implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: AsyncGenerator<string>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#stdin = child.stdin.getWriter();
    this.#answers = lines(child.stdout);
  }

  /** Starts it. */
  static async start(): Promise<Locker> {
    const locker = new Locker(
      new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", "--quiet", "--no-check"],
          new URL("./locker.ts", import.meta.url).href,
        ],
        stdin: "piped",
        stdout: "piped",
        stderr: "inherit",
      }).spawn(),
    );
    const { value } = await locker.#answers.next();
    if (value !== '"ready"') throw new Error(`The locker said ${value}`);
    return locker;
  }

  /** Tells it what to do. */
  async tell(order: Order): Promise<LockAnswer> {
    const text = `${JSON.stringify(order)}\n`;
    await this.#stdin.write(new TextEncoder().encode(text));
    const { value, done } = await this.#answers.next();
    if (done) throw new Error("The locker has ended");
    return JSON.parse(value) as LockAnswer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stdin.close();
    await this.#child.status;
  }
}

/** A way to lock a file: as a party, and by a kind. */
type Taking = [kind: PairKind, path: string];

/** Tries all pairs of a filesystem. */
export async function tryAll(places: Places, locker: Locker): Promise<Cells> {
  const own = new Locks();
  let files = 0;
  const pair = async (
    one: [PairKind, keyof Places & ("a" | "b" | "server")],
    other: typeof one,
  ): Promise<Cell> => {
    const name = `pair-${++files}`;
    Deno.writeTextFileSync(`${places.a}/${name}`, "");
    const [first, second] = [one, other].map(([kind, place]): Taking => [
      kind,
      `${places[place]}/${name}`,
    ]) as [Taking, Taking];
    const there = await half(own, locker, first, second);
    const back = await half(own, locker, second, first);
    return there === back ? there : `${there}, the other way round ${back}`;
  };
  const cells: Cells = {
    hostFlock: await pair(["flock", "a"], ["flock", "a"]),
    hostFcntl: await pair(["ofd", "a"], ["ofd", "a"]),
    mixed: await pair(["flock", "a"], ["ofd", "a"]),
    clientsFlock: await pair(["flock", "a"], ["flock", "b"]),
    clientsFcntl: await pair(["ofd", "a"], ["ofd", "b"]),
    link: await linkCell(places, own, locker),
  };
  if (places.server !== undefined) {
    cells.serverFlock = await pair(["flock", "a"], ["flock", "server"]);
    cells.serverFcntl = await pair(["ofd", "a"], ["ofd", "server"]);
  } else if (places.heldOutside) {
    cells.serverFlock = againstHeld(own, "flock", places.a);
    cells.serverFcntl = againstHeld(own, "ofd", places.a);
  }
  return cells;
}

/** One holds, the other tries. */
async function half(
  own: Locks,
  locker: Locker,
  [kind, path]: Taking,
  [otherKind, otherPath]: Taking,
): Promise<Cell> {
  const held = own.obey({ do: "take", kind, path });
  try {
    if (held.taken !== true) return held.error ?? "not free at first";
    return cellOf(
      await locker.tell({ do: "take", kind: otherKind, path: otherPath }),
    );
  } finally {
    await locker.tell({ do: "release" });
    own.obey({ do: "release" });
  }
}

function againstHeld(own: Locks, kind: PairKind, directory: string): Cell {
  const path = `${directory}/${HELD_OUTSIDE[kind]}`;
  try {
    return cellOf(own.obey({ do: "take", kind, path }));
  } finally {
    own.obey({ do: "release" });
  }
}

function cellOf({ taken, error }: LockAnswer): Cell {
  return error ?? (taken ? "both" : "excluded");
}

async function linkCell(
  { a, b }: Places,
  own: Locks,
  locker: Locker,
): Promise<Cell> {
  const race = (directory: string, name: string): Order => ({
    do: "race",
    directory,
    own: name,
    times: NAMES,
  });
  const answer = locker.tell(race(b, "locker"));
  const mine = own.obey(race(a, "agent"));
  const theirs = await answer;
  const error = mine.error ?? theirs.error;
  if (error !== undefined) return error;
  const winners = new Array<number>(NAMES).fill(0);
  for (const i of [...mine.won!, ...theirs.won!]) winners[i]!++;
  if (winners.some((count) => count > 1)) return "both";
  if (winners.some((count) => count === 0)) return "a name without a winner";
  return mine.uncounted! + theirs.uncounted! === 0
    ? "excluded"
    : "one name only is counted";
}
