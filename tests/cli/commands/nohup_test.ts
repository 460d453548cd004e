/** Signals that holdfast was started to ignore, as nohup(1) does. */
import { assertEquals } from "@std/assert";
import { tryLinkLock } from "../../../lib/lock/link/mod.ts";
import { SIGNAL_NUMBERS } from "../../../lib/sys/process/signals.ts";
import { cliArgs } from "../../support/cli.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { TempDir } from "../../support/temp_dir.ts";
import { until } from "../../support/until.ts";

/** What stands behind a word of /proc/PID/status has the bit of a signal. */
function hasBit(mask: string | undefined, name: "SIGHUP" | "SIGUSR1"): boolean {
  return (BigInt(`0x${mask}`) >> BigInt(SIGNAL_NUMBERS[name] - 1) & 1n) === 1n;
}

function isCaught(pid: number, name: "SIGHUP" | "SIGUSR1"): boolean {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return hasBit(/^SigCgt:\t(\w+)$/m.exec(status)?.[1], name);
}

function watchesFiles(pid: number): boolean {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].some(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/${pid}/fd/${name}`).includes("inotify");
    } catch {
      return false;
    }
  });
}

/** Has the runtime do what it does some time after its start. */
const CONTROL =
  "console.log('ready'); await Deno.stdin.read(new Uint8Array(1))";

const PRINT_IGNORED = "while read -r name mask; do " +
  '[ "$name" != SigIgn: ] || echo "$mask"; done </proc/self/status';

Deno.test("run: what it was started to ignore stays ignored through a long wait, by it and by its command", async () => {
  using dir = new TempDir();
  const lock = tryLinkLock(dir.join("l"))!;
  await using waiter = HelperProcess.spawn("sh", [
    "-c",
    `trap '' HUP USR1; exec "$@"`,
    "sh",
    Deno.execPath(),
    ...cliArgs([
      ...["run", "--quiet", "--kind", "link", "-w", "100", dir.join("l")],
      ...["--", "sh", "-c", PRINT_IGNORED],
    ], ["-A"]),
  ]);
  await until(() => watchesFiles(waiter.pid));
  Deno.writeTextFileSync(dir.join("control.ts"), CONTROL);
  await using control = await HelperProcess.start(Deno.execPath(), [
    ...["run", "--quiet", "-A", dir.join("control.ts")],
  ]);
  // The runtime of the waiter, which is older, has done so too by then.
  await until(() => isCaught(control.pid, "SIGUSR1"));
  Deno.kill(waiter.pid, "SIGHUP");
  Deno.kill(waiter.pid, "SIGUSR1");
  lock.release();
  const mask = await waiter.nextLine();
  assertEquals([hasBit(mask, "SIGHUP"), hasBit(mask, "SIGUSR1")], [true, true]);
  assertEquals((await waiter.status).code, 0);
});
