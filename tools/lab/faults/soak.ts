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
const LONGEST_MS = 240_000;
const RESTART_EVERY_MS = 40_000;

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
  const workers = [A, B, A, B].map((place) => new Worker(`${place}/soak`));
  const start = performance.now();
  let restartAt = start + RESTART_EVERY_MS;
  let kills = 0;
  try {
    while (countLines(log) < TAKINGS) {
      expect(
        performance.now() - start < LONGEST_MS,
        `${countLines(log)} times`,
      );
      await pause(1000 + 3000 * Math.random());
      if (countLines(log) === 0) continue;
      workers[kills++ % workers.length]!.killAndStart();
      if (performance.now() < restartAt) continue;
      await bash(restart);
      restartAt = performance.now() + RESTART_EVERY_MS;
    }
  } finally {
    for (const worker of workers) await worker.end();
  }
  await check(log);
  console.log(`${name}: ${countLines(log)} takings, ${kills} kills`);
  await bash('umount -l "$A" "$B"');
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

  constructor(path: string) {
    this.#path = path;
    this.#child = this.#start();
  }

  #start(): Deno.ChildProcess {
    return new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", "--no-check"],
        `${ROOT}/tests/support/link_worker.ts`,
        ...[this.#path, SERVER, "1000000"],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  /** One that is dead of an error of its own is started anew, too. */
  killAndStart(): void {
    this.#kill();
    this.#child = this.#start();
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
