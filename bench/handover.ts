import {
  denoPeer,
  Dialogue,
  holdfast,
  type Invocation,
  median,
  nodePeer,
  pause,
  type Peers,
  pythonPeer,
  type Report,
} from "./support.ts";

const WAITERS = [1, 10, 100];

/** Benchmark 2: from one holder's release to the next one's hold. */
export async function measureHandover(peers: Peers): Promise<Report> {
  const path = `${peers.directory}/handover.lock`;
  const proper = nodePeer(peers, "proper-lockfile", "waiter", path);
  const python = pythonPeer(peers, "waiter", path);
  const fsExt = nodePeer(peers, "fs-ext", "waiter", path);
  const stamp = [peers.floor, "stamp"];
  const c = { command: peers.floor, args: ["waiter", path] };
  const entries: [string, Waiters | undefined][] = [
    ["C, blocked in the kernel (floor)", manyProcesses(c, path)],
    [
      "holdfast blockFlock",
      manyProcesses(denoPeer("block", "waiter", path), path),
    ],
    ["holdfast acquire", oneProcess(denoPeer("acquire", "waiter", path))],
    ["Deno.FsFile.lock", oneProcess(denoPeer("fsfile", "waiter", path))],
    ["Node fs-ext flock", fsExt && oneProcess(fsExt)],
    ["Python filelock", python && { ...manyProcesses(python), most: 10 }],
    [
      "Node proper-lockfile",
      proper && { ...oneProcess(proper), most: 10, ownLock: true },
    ],
    [
      "flock(1) FILE CMD",
      manyCommands({ command: "flock", args: [path, ...stamp] }, path),
    ],
    [
      "holdfast run FILE CMD",
      manyCommands(holdfast("run", path, "--", ...stamp), path),
    ],
    [
      "holdfast run --exec",
      manyCommands(holdfast("run", "--exec", path, "--", ...stamp), path),
    ],
  ];
  const rows = [];
  for (const [name, waiters] of entries) {
    if (waiters === undefined) continue;
    const values: (number | undefined)[] = [];
    for (const count of WAITERS) {
      const rounds = Math.ceil((peers.quick ? 5 : 25) / count);
      values.push(
        count > (waiters.most ?? 100)
          ? undefined
          : await handOver(peers, path, waiters, count, rounds),
      );
    }
    rows.push({ name, values });
  }
  return {
    title: "Hand-over from holder to waiter",
    method: "A C program holds the lock, releases it at a known moment and " +
      "each waiter notes when it got it: median time from a release to the " +
      "next hold, with 1, 10 and 100 waiters. `acquire`, `FsFile.lock` and " +
      "the Node peers wait in one process, the others in a process each; " +
      "the commands' times include starting a C program that notes the time.",
    columns: WAITERS.map((count) => `${count} waiting, ms`),
    rows,
    chartColumn: 0,
    chart: "handover",
  };
}

interface Waiters {
  /** Starts them; resolves once all wait. */
  start(count: number): Promise<Waiting>;
  /** Ends what outlives a round. */
  end?(): Promise<void>;
  /** More than so many take too long. */
  most?: number;
  /** Theirs is another kind of lock file: one more of them is the holder. */
  ownLock?: boolean;
}

interface Waiting extends AsyncDisposable {
  /** When each took and released the lock, in nanoseconds. */
  times(): Promise<[number, number][]>;
}

const SETTLE_MS = 150;

function parseTimes(line: string): [number, number] {
  const [taken, released] = line.split(" ");
  return [Number(taken), Number(released)];
}

/** All wait in one process, the same in each round. */
function oneProcess(invocation: Invocation): Waiters {
  let process: Dialogue | undefined;
  return {
    async start(count) {
      const waiter = process ?? new Dialogue(invocation);
      if (process === undefined) await waiter.hear();
      process = waiter;
      await waiter.say(`${count}`);
      await pause(SETTLE_MS);
      return {
        async times() {
          const times: [number, number][] = [];
          while (times.length < count) {
            times.push(parseTimes(await waiter.hear()));
          }
          return times;
        },
        async [Symbol.asyncDispose]() {},
      };
    },
    async end() {
      await process?.[Symbol.asyncDispose]();
      process = undefined;
    },
  };
}

/** Each waits in a process of its own. */
function manyProcesses(invocation: Invocation, path?: string): Waiters {
  return {
    async start(count) {
      const all = Array.from({ length: count }, () => new Dialogue(invocation));
      for (const one of all) await one.hear();
      for (const one of all) await one.say("1");
      await allWait(path, count);
      return together(all);
    },
  };
}

/** Each is a command that waits and then prints the time. */
function manyCommands(invocation: Invocation, path: string): Waiters {
  return {
    async start(count) {
      const all = Array.from({ length: count }, () => new Dialogue(invocation));
      await allWait(path, count);
      return together(all);
    },
  };
}

function together(all: Dialogue[]): Waiting {
  return {
    times: () =>
      Promise.all(all.map(async (one) => parseTimes(await one.hear()))),
    async [Symbol.asyncDispose]() {
      for (const one of all) await one[Symbol.asyncDispose]();
    },
  };
}

/** Until the kernel lists as many blocked requests. */
async function allWait(path: string | undefined, count: number): Promise<void> {
  if (path !== undefined) {
    const inode = `:${Deno.statSync(path).ino} `;
    const deadline = performance.now() + 30_000;
    for (;;) {
      const blocked = Deno.readTextFileSync("/proc/locks").split("\n")
        .filter((line) => line.includes("->") && line.includes(inode));
      if (blocked.length >= count) break;
      if (performance.now() > deadline) {
        throw new Error(`only ${blocked.length} of ${count} wait`);
      }
      await pause(20);
    }
  }
  await pause(SETTLE_MS);
}

async function handOver(
  peers: Peers,
  path: string,
  waiters: Waiters,
  count: number,
  rounds: number,
): Promise<number> {
  const steps: number[] = [];
  await using holder = waiters.ownLock
    ? undefined
    : new Dialogue({ command: peers.floor, args: ["holder", path] });
  for (let round = 0; round < rounds; round++) {
    let released: number | undefined;
    await holder?.say("take");
    await holder?.hear();
    await using waiting = await waiters.start(
      waiters.ownLock ? count + 1 : count,
    );
    await holder?.say("release");
    if (holder !== undefined) released = Number(await holder.hear());
    const times = (await waiting.times()).toSorted(([a], [b]) => a - b);
    for (const [taken, next] of times) {
      if (released !== undefined) steps.push((taken - released) / 1e6);
      released = next;
    }
  }
  await waiters.end?.();
  return median(steps);
}
