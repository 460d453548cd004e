/**
 * `who` on real filesystems, each mounted in a private mount namespace: the
 * true holder is named, and nobody else.
 */
import { assertEquals } from "@std/assert";
import { cliArgs } from "../support/cli.ts";
import { canMount, PrivateMounts } from "../support/private_mounts.ts";
import { TempDir } from "../support/temp_dir.ts";

interface Case {
  name: string;
  /** Mounts what is needed, in an empty directory. */
  setup: string;
  /** The path the holder locks. */
  lock: string;
  /** The path `who` is asked about, if it is another name of the file. */
  ask?: string;
  /** The program the case needs. */
  needs?: string;
}

const CASES: Case[] = [
  {
    name: "ext4",
    setup:
      "truncate -s 16M img; mkfs.ext4 -q img; mkdir m; mount -o loop img m",
    lock: "m/a.lock",
    needs: "mkfs.ext4",
  },
  {
    name: "btrfs",
    setup: "truncate -s 128M img; mkfs.btrfs -q img; mkdir m; " +
      "mount -o loop img m",
    lock: "m/a.lock",
    needs: "mkfs.btrfs",
  },
  {
    name: "a btrfs subvolume",
    setup: "truncate -s 128M img; mkfs.btrfs -q img; mkdir m; " +
      "mount -o loop img m; btrfs -q subvolume create m/sub >/dev/null",
    lock: "m/sub/a.lock",
    needs: "mkfs.btrfs",
  },
  {
    name: "an overlay, upper on tmpfs and lower on disk",
    setup: "mkdir lower t m; : > lower/a.lock; mount -t tmpfs t t; " +
      "mkdir t/upper t/work; " +
      "mount -t overlay -o lowerdir=lower,upperdir=t/upper,workdir=t/work o m",
    lock: "m/a.lock",
  },
  {
    name: "a bind mount of a file, asked by its other name",
    setup: ": > a.lock; : > b.lock; mount --bind a.lock b.lock",
    lock: "a.lock",
    ask: "b.lock",
  },
  {
    name: "two mounts stacked on one mount point",
    setup: "mkdir m; mount -t tmpfs one m; mount -t tmpfs two m",
    lock: "m/a.lock",
  },
  // An empty lock stands for a name of its own in /dev/shm.
  { name: "/dev/shm", setup: ":", lock: "" },
];

function has(program: string): boolean {
  return new Deno.Command("sh", {
    args: ["-c", `command -v ${program}`],
    stdout: "null",
  }).outputSync().success;
}

for (const { name, setup, lock, ask = lock, needs } of CASES) {
  const missing = needs !== undefined && !has(needs);
  const reason = !canMount
    ? " (skipped: mounting needs root)"
    : missing
    ? ` (skipped: no ${needs})`
    : "";
  Deno.test({
    name: `who names the true holder on ${name}${reason}`,
    ignore: reason !== "",
    async fn() {
      using dir = new TempDir();
      await using mounts = await PrivateMounts.create(dir.path, setup);
      const shm = `/dev/shm/holdfast-test-${crypto.randomUUID()}`;
      const path = lock === "" ? shm : dir.join(lock);
      await using holder = await mounts.start("flock", [
        "-F",
        path,
        "sh",
        "-c",
        "echo ready; read -r _",
      ]);
      // Somebody with a lock of the same inode number elsewhere isn't named.
      await using _other = await mounts.start("flock", [
        "-F",
        dir.path,
        "sh",
        "-c",
        "echo ready; read -r _",
      ]);
      const asked = lock === "" ? shm : dir.join(ask);
      const output = await mounts.output(
        Deno.execPath(),
        cliArgs(["who", "--json", asked]),
      );
      const report = JSON.parse(new TextDecoder().decode(output.stdout));
      assertEquals(
        report.files[0].holders.map((holder: { pid: number }) => holder.pid),
        [holder.pid],
      );
      assertEquals(output.code, 1);
      if (lock === "") await mounts.output("rm", [shm]);
    },
  });
}
