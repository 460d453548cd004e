/**
 * Link locks that are taken by two hosts at once, while workers are killed and
 * the server restarts: nobody may hold one twice, and no fence may go back.
 *
 * @module
 */

import { ROOT } from "../../project.ts";
import {
  A,
  B,
  bash,
  expect,
  type Fault,
  pause,
  RESTART_NFS,
  SERVER,
} from "./tools.ts";

/** So often a lock is taken on each filesystem. */
const TAKINGS = 340;
/* By what has been done, not by the clock: an emulated machine takes ten
 * seconds to start a worker. */
const TAKINGS_PER_KILL = 20;
const TAKINGS_PER_RESTART = 100;
const LONGEST_MS = 600_000;

/** A filesystem that the soak runs on. */
interface Ground {
  name: string;
  mount: string;
  restart: string;
}

const NFS = (version: string, path: string): Ground => ({
  name: `NFS ${version}`,
  mount: `on a mount -t nfs -o vers=${version} "$ADDRESS_A:${path}" "$A"
on b mount -t nfs -o vers=${version} "$ADDRESS_B:${path}" "$B"`,
  restart: RESTART_NFS,
});

const GROUNDS: readonly Ground[] = [
  NFS("4.2", "/faults"),
  NFS("3", "$SERVER"),
  {
    name: "SMB 3.1.1",
    mount: `mkdir -p /srv/lab/smb/faults
mount --bind "$SERVER" /srv/lab/smb/faults
on a mount -t cifs -o guest,noperm,vers=3.1.1 "//$ADDRESS_A/lab/faults" "$A"
on b mount -t cifs -o guest,noperm,vers=3.1.1 "//$ADDRESS_B/lab/faults" "$B"`,
    restart: "pkill -x smbd; sleep 1; smbd --daemon",
  },
];

/** The soak of each filesystem. */
export function soak(): Fault[] {
  return GROUNDS.map((ground) => ({
    name: `${ground.name}: link locks, kill -9 and restarts`,
    run: () => soakOn(ground),
  }));
}

async function soakOn({ name, mount, restart }: Ground): Promise<void> {
  const log = `${SERVER}/log`;
  await bash(`mkdir -p "$SERVER" "$A" "$B"\nrm -f "$SERVER"/*\n${mount}`);
  // More would spend their time waiting for each other.
  const workers = [A, B, B].map((place) => new Worker(`${place}/soak`));
  const start = performance.now();
  let kills = 0;
  let restarts = 0;
  try {
    for (let done = 0; done < TAKINGS; done = countLines(log)) {
      expect(performance.now() - start < LONGEST_MS, `only ${done} times`);
      if (done >= (kills + 1) * TAKINGS_PER_KILL) {
        workers[kills++ % workers.length]!.killAndStart();
      }
      if (done >= (restarts + 1) * TAKINGS_PER_RESTART) {
        restarts++;
        await bash(restart);
        console.log(`${name}: ${done} takings so far`);
      }
      for (const worker of workers) worker.startIfEnded();
      await pause(50);
    }
  } finally {
    for (const worker of workers) await worker.end();
    await bash('umount -l "$A" "$B"');
  }
  check(log);
  console.log(
    `${name}: ${countLines(log)} takings, ${kills} kills, ${restarts} restarts`,
  );
}

function countLines(file: string): number {
  try {
    return Deno.readTextFileSync(file).split("\n").length - 1;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

function check(log: string): void {
  let last = 0n;
  for (const line of Deno.readTextFileSync(log).trimEnd().split("\n")) {
    expect(!line.startsWith("DOUBLE"), line);
    const fence = BigInt(line.split(" ")[1]!);
    expect(fence > last, `the fence went from ${last} to ${fence}`);
    last = fence;
  }
}

/** A process that takes the lock again and again. */
class Worker {
  readonly #path: string;
  #child: Deno.ChildProcess;
  #hasEnded = false;

  constructor(path: string) {
    this.#path = path;
    this.#child = this.#start();
  }

  #start(): Deno.ChildProcess {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", "--no-check"],
        `${ROOT}/tests/support/link_worker.ts`,
        ...[this.#path, SERVER, "1000000"],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#hasEnded = false;
    void child.status.then(() => this.#hasEnded ||= child === this.#child);
    return child;
  }

  /** Kills it, and starts another. */
  killAndStart(): void {
    this.#kill();
    this.#child = this.#start();
  }

  /** A restart of the server may be more than a worker can bear. */
  startIfEnded(): void {
    if (this.#hasEnded) this.#child = this.#start();
  }

  #kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }

  async end(): Promise<void> {
    this.#kill();
    await this.#child.status;
  }
}
