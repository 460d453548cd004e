/**
 * What locks live through: runs in the machine, and prints a line for each
 * fault, `ok` or what went wrong.
 *
 * @module
 */

import { tryFlock } from "../../../lib/lock/flock/flock.ts";
import { EIO } from "../../../lib/sys/errno.ts";
import {
  BackgroundRead,
  setDirect,
} from "../../../lib/sys/storage/background_read.ts";
import { ROOT } from "../../project.ts";
import {
  A,
  B,
  bash,
  expect,
  type Fault,
  GRACE_MS,
  pause,
  RESTART_NFS,
} from "./tools.ts";
import { lines } from "../lines.ts";
import { soak } from "./soak.ts";

/** A process of `holdfast run`. */
class Run {
  readonly child: Deno.ChildProcess;
  readonly said: AsyncGenerator<string>;
  readonly ended: Promise<number>;
  endedAt = Infinity;
  complaint = "";

  constructor(...args: string[]) {
    this.child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", "--no-check", `${ROOT}/cli/main.ts`],
        ...["run", "--allow-remote", ...args],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.said = lines(this.child.stdout);
    this.ended = this.#watch();
  }

  async #watch(): Promise<number> {
    const said = (async () => {
      for await (const line of lines(this.child.stderr)) {
        this.complaint += `${line}\n`;
      }
    })();
    const { code } = await this.child.status;
    this.endedAt = performance.now();
    await said;
    return code;
  }

  /** Until its command says that it has started. */
  async started(): Promise<this> {
    const { value } = await this.said.next();
    expect(value === "started", `run said ${value}: ${this.complaint}`);
    return this;
  }
}

/** Holds the lock until its stdin ends. */
const HOLD = ["--", "sh", "-c", "echo started; exec cat"];

/** A lock that another host is to have after all. */
async function takenByOther(path: string): Promise<number> {
  for (;;) {
    using lock = tryFlock(path);
    if (lock !== undefined) return performance.now();
    await pause(200);
  }
}

async function cutOff(): Promise<void> {
  const held = await new Run(`${A}/cut`, ...HOLD).started();
  using unwatched = tryFlock(`${A}/unwatched`)!;
  setDirect(unwatched.fd, true);
  // Processes of their own: an open may sleep until the lease has ended.
  const next = new Run(`${B}/cut`, ...HOLD);
  const other = new Run(`${B}/unwatched`, ...HOLD);
  await bash("ip link set to-a down");
  const takenAt = next.started().then(() => performance.now());
  expect(
    await held.ended === 65 && held.complaint.includes("Lost the lock"),
    `run ended with ${await held.ended}: ${held.complaint}`,
  );
  const lead = await takenAt - held.endedAt;
  expect(lead > 0, `the other host had it ${-lead} ms before run ended`);
  await other.started();
  await bash("ip link set to-a up");
  const result = await readOnce(unwatched.fd);
  expect(result === -EIO, `a read with a lost lock gave ${result}`);
  for (const run of [next, other]) {
    await run.child.stdin.close();
    await run.ended;
  }
}

async function readOnce(fd: number): Promise<number> {
  const read = new BackgroundRead(fd);
  for (;;) {
    const { result } = read;
    if (result !== undefined) return result;
    await pause(100);
  }
}

async function serverRestart(): Promise<void> {
  const held = await new Run(`${A}/restart`, ...HOLD).started();
  const waits = new Run("-w", "300", `${B}/restart`, ...HOLD);
  while (!waits.complaint.includes("waiting")) await pause(100);
  await bash(RESTART_NFS);
  // Beyond the grace time of the server, in which nobody gets a lock.
  await pause(GRACE_MS * 2);
  expect(held.endedAt === Infinity, `run has ended: ${held.complaint}`);
  expect(waits.endedAt === Infinity, "the other host had it meanwhile");
  await held.child.stdin.close();
  expect(await held.ended === 0, `run failed: ${held.complaint}`);
  await waits.started();
  await waits.child.stdin.close();
  expect(await waits.ended === 0, `the next one failed: ${waits.complaint}`);
}

async function clientKilled(): Promise<void> {
  const held = await new Run(
    ...["--on-supervisor-death", "kill", `${A}/killed`],
    ...HOLD,
  ).started();
  held.child.kill("SIGKILL");
  await held.ended;
  await takenByOther(`${B}/killed`);
}

function faultsOn(version: string, expected: Fault[]): Fault[] {
  const path = version === "3" ? "$SERVER" : "/faults";
  return [
    {
      name: `mount NFS ${version}`,
      run: () =>
        bash(
          `mkdir -p "$SERVER" "$A" "$B"
on a mount -t nfs -o vers=${version} "$ADDRESS_A:${path}" "$A"
on b mount -t nfs -o vers=${version} "$ADDRESS_B:${path}" "$B"`,
        ),
    },
    ...expected.map(({ name, run }) => ({
      name: `NFS ${version}: ${name}`,
      run,
    })),
    { name: `umount NFS ${version}`, run: () => bash('umount "$A" "$B"') },
  ];
}

const SURVIVED: Fault[] = [
  { name: "the server restarts, held and waited for", run: serverRestart },
  { name: "the holder is killed", run: clientKilled },
];

const FAULTS: Fault[] = [
  ...faultsOn("4.2", [
    ...SURVIVED,
    { name: "cut off for longer than the lease", run: cutOff },
  ]),
  ...faultsOn("3", SURVIVED),
];

if (import.meta.main) {
  for (const { name, run } of [...FAULTS, ...soak()]) {
    const start = performance.now();
    const outcome = await run().then(() => "ok", (error) => `${error}`);
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    console.log(`${name}: ${outcome} (${seconds} s)`);
  }
  console.log("END");
  // Calls that hang in the kernel keep nobody waiting.
  Deno.exit();
}
