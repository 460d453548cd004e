/**
 * Link locks among many processes that are killed at any moment, on real
 * filesystems; and between two hosts, which are namespaces that share a
 * directory. Two hundred processes in all, times HOLDFAST_STRESS.
 */

import { existsSync } from "@std/fs/exists";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import {
  readLinkLockOwner,
  sweepLinkLock,
  tryLinkLock,
} from "../../lib/lock/link/mod.ts";
import { cliArgs } from "../support/cli.ts";
import { HelperProcess } from "../support/helper_process.ts";
import { needsMounts, PrivateMounts } from "../support/private_mounts.ts";
import { unless } from "../support/programs.ts";
import { TempDir } from "../support/temp_dir.ts";

const WORKER = fromFileUrl(
  new URL("../support/link_worker.ts", import.meta.url),
);
const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));
const STRESS = Number(Deno.env.get("HOLDFAST_STRESS") ?? 1);

const FILESYSTEMS: Record<string, string> = {
  ext4: "truncate -s 32M img; mkfs.ext4 -q img; mount -o loop img m",
  tmpfs: "mount -t tmpfs t m",
  btrfs: "truncate -s 128M img; mkfs.btrfs -q img; mount -o loop img m",
  overlay: "mkdir l u w; mount -t overlay -o lowerdir=l,upperdir=u,workdir=w " +
    "o m",
  FUSE: "mkdir s; bindfs s m",
};
const PROCESSES = 200 * STRESS / Object.keys(FILESYSTEMS).length;
const AT_ONCE = 8;
const TAKINGS = 12;

for (const [name, setup] of Object.entries(FILESYSTEMS)) {
  const program = { ext4: "mkfs.ext4", btrfs: "mkfs.btrfs", FUSE: "bindfs" }[
    name
  ];
  const guard = needsMounts(...(program === undefined ? [] : [program]));
  Deno.test({
    name: `link locks: ${PROCESSES} processes, killed at random, on ${name}` +
      guard.suffix,
    ignore: guard.ignore,
    async fn() {
      using dir = new TempDir();
      await using mounts = await PrivateMounts.create(
        dir.path,
        `mkdir m; ${setup}`,
      );
      try {
        await stress(mounts, dir.join("m"));
      } finally {
        // The daemon of a FUSE filesystem ends with its last mount.
        await mounts.output("umount", [dir.join("m")]);
      }
    },
  });
}

async function stress(mounts: PrivateMounts, directory: string): Promise<void> {
  const args = [
    "run",
    "-q",
    "--no-check",
    "--config",
    CONFIG,
    "--allow-read",
    "--allow-write",
    "--allow-ffi",
    WORKER,
  ];
  let started = 0;
  let killed = 0;
  const failures: string[] = [];
  const runSome = async () => {
    while (started < PROCESSES) {
      const isVictim = started++ % 2 === 0;
      const child = new Deno.Command("nsenter", {
        args: mounts.enter(
          Deno.execPath(),
          ...args,
          `${directory}/a.lock`,
          directory,
          String(isVictim ? 1_000_000 : TAKINGS),
        ),
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn();
      // The moment is random, but for the time to start up.
      const timer = isVictim
        ? setTimeout(() => {
          try {
            child.kill("SIGKILL");
          } catch {
            // It has failed, as will be said.
          }
        }, 100 + Math.random() * 300)
        : undefined;
      const { signal, success, stderr } = await child.output();
      clearTimeout(timer);
      if (signal === "SIGKILL" && isVictim) killed++;
      else if (!success) failures.push(new TextDecoder().decode(stderr));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, runSome));
  assertEquals(failures, []);
  assert(killed >= PROCESSES / 2 - 1, `only ${killed} were killed`);

  const { stdout } = await mounts.output("cat", [`${directory}/log`]);
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  assertEquals(lines.filter((line) => line.startsWith("DOUBLE")), []);
  const entries = lines.map((line) => line.split(" ").map(Number));
  assert(
    entries.length >= PROCESSES / 2 * TAKINGS,
    `${entries.length} entries`,
  );
  let [lastCount, lastFence] = [0, 0];
  for (const [count, fence] of entries) {
    // One killed before it has put its count in place is counted again.
    assert(count === lastCount + 1 || count === lastCount, `${count}`);
    assert(fence! > lastFence, `counter ${fence} after ${lastFence}`);
    [lastCount, lastFence] = [count, fence!];
  }
  // What the killed have left is swept; nothing else is there.
  await runTool(mounts, ["run", "-k", "link", `${directory}/a.lock`, "true"]);
  await runTool(mounts, ["link", "sweep", `${directory}/a.lock`]);
  const left = await mounts.output("ls", ["-A", directory]);
  const names = new TextDecoder().decode(left.stdout).trim().split("\n")
    .filter((name) => name.startsWith(".a.lock") || name.startsWith("a.lock"));
  // A file whose maker died before it wrote to it proves nothing.
  for (const name of names.filter((name) => name.endsWith(".new"))) {
    const size = await mounts.output("stat", [
      "-c",
      "%s",
      `${directory}/${name}`,
    ]);
    assertEquals(new TextDecoder().decode(size.stdout).trim(), "0");
  }
  assertEquals(
    names.filter((name) => !name.endsWith(".new")),
    [".a.lock.last", ".a.lock.last2"],
  );
}

async function runTool(mounts: PrivateMounts, words: string[]): Promise<void> {
  if (words[0] === "run") words.splice(-1, 0, "--");
  const { success, stderr } = await mounts.output(
    Deno.execPath(),
    cliArgs(words),
  );
  assert(success, new TextDecoder().decode(stderr));
}

const NAMESPACES = ["-u", "-m", "-p", "-f", "--mount-proc"];
// Each host gets its own, mounted over this one.
const twoHosts = existsSync("/etc/machine-id")
  ? needsMounts("hostname")
  : unless("no /etc/machine-id here");

/** A shell that looks like another host. */
class Host implements AsyncDisposable {
  readonly #shell: HelperProcess;

  private constructor(shell: HelperProcess) {
    this.#shell = shell;
  }

  static async boot(dir: TempDir, name: string): Promise<Host> {
    const id = dir.join(`${name}-machine-id`);
    Deno.writeTextFileSync(id, crypto.randomUUID().replaceAll("-", "") + "\n");
    return new Host(
      await HelperProcess.start("unshare", [
        ...NAMESPACES,
        "--kill-child",
        "sh",
        "-c",
        'hostname "$1"; mount --bind "$2" /etc/machine-id; echo ready; ' +
        'while read -r line; do eval "$line"; done',
        "sh",
        name,
        id,
      ]),
    );
  }

  /** Runs a line of shell text that prints one line. */
  async say(line: string): Promise<string | undefined> {
    await this.#shell.writeLine(line);
    return await this.#shell.nextLine();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#shell.finish();
    await this.#shell[Symbol.asyncDispose]();
  }
}

Deno.test({
  name: "link locks: only its own host breaks a dead owner's lock" +
    twoHosts.suffix,
  ignore: twoHosts.ignore,
  async fn() {
    using dir = new TempDir();
    const lock = dir.join("a.lock");
    const tool = [Deno.execPath(), ...cliArgs([])].join(" ");
    await using one = await Host.boot(dir, "one");
    await using two = await Host.boot(dir, "two");
    const take = `${tool} run -k link -n -q ${lock} -- true; echo $?`;

    assertEquals(
      await one.say(
        `mkfifo ${dir.join("fifo")}; exec 3<>${dir.join("fifo")}; ` +
          `${tool} run -k link ${lock} -- sh -c 'echo held; read -r _' <&3 & ` +
          `holder=$!`,
      ),
      "held",
    );
    assertEquals(readLinkLockOwner(lock)?.hostname, "one");
    assertEquals(await two.say(take), "75");
    assertEquals(await one.say(take), "75");
    assertEquals(
      await one.say("kill -9 $holder; wait $holder; echo $?"),
      "137",
    );
    // The name of the other host proves nothing, nor does its pid here.
    assertEquals(await two.say(take), "75");
    assertMatch(
      await two.say(`${tool} link show ${lock} | tail -n 1`) ?? "",
      /may be alive: it runs on another host/,
    );
    assertEquals(tryLinkLock(lock), undefined);
    assertEquals(await one.say(take), "0");
    assertEquals(readLinkLockOwner(lock), undefined);
    assertEquals(await two.say(take), "0");
    assertEquals(sweepLinkLock(lock), []);
  },
});
