/** Where a link lock can't be had, it says so and leaves nothing. */
import { assertEquals, assertMatch } from "@std/assert";
import { cliArgs } from "../support/cli.ts";
import { needsMounts } from "../support/private_mounts.ts";
import { needs } from "../support/programs.ts";
import { type ProgramResult, runProgram } from "../support/run_program.ts";
import { TempDir } from "../support/temp_dir.ts";

const mounts = needsMounts();

/** Runs the tool on `-k link` in a mount namespace that a script prepares. */
function runAfter(
  script: string,
  directory: string,
  ...args: string[]
): Promise<ProgramResult> {
  return runProgram("unshare", [
    "-m",
    "sh",
    "-euc",
    `${script}\n"$@" || code=$?\nls -A "$DIR" >&2\nexit \${code:-0}`,
    "sh",
    Deno.execPath(),
    ...cliArgs([
      "run",
      "--kind",
      "link",
      ...args,
      `${directory}/a`,
      "--",
      "true",
    ]),
  ], { env: { DIR: directory } });
}

const REFUSALS: [name: string, script: string, code: number, says: RegExp][] = [
  [
    "a full disk",
    'mount -t tmpfs -o size=16k none "$DIR"\n' +
    'cat /dev/zero >"$DIR/full" 2>/dev/null || :',
    73,
    /No space left.*free some space.*\nfull\n$/s,
  ],
  [
    "a disk without inodes",
    'mount -t tmpfs -o nr_inodes=1 none "$DIR"',
    73,
    /No space left.*free some space/,
  ],
  [
    "a read-only filesystem",
    'mount -t tmpfs -o ro none "$DIR"',
    73,
    /Read-only file system.*another filesystem/,
  ],
  [
    "a system without /proc",
    "mount -t tmpfs none /proc",
    66,
    /^holdfast run: Cannot find this program[^\n]*\/proc mounted here\?\n\.a\.last\n$/,
  ],
];

for (const [name, script, code, says] of REFUSALS) {
  Deno.test({
    name: `a link lock on ${name} is refused in one sentence` + mounts.suffix,
    ignore: mounts.ignore,
    async fn() {
      using dir = new TempDir();
      const result = await runAfter(script, dir.path);
      assertEquals([result.code, result.stdout], [code, ""], result.stderr);
      assertMatch(result.stderr, says);
    },
  });
}

const sshfs = needs("sshfs", "grep");

Deno.test({
  name: "a link lock by sshfs is refused before anything is made" +
    (mounts.suffix || sshfs.suffix),
  ignore: mounts.ignore || sshfs.ignore,
  async fn() {
    using dir = new TempDir();
    Deno.mkdirSync(dir.join("remote"));
    Deno.mkdirSync(dir.join("mnt"));
    const mount = `
      mkfifo "$DIR/../pipe"
      { /usr/lib/openssh/sftp-server <"$DIR/../pipe" |
        sshfs -f -o passive "localhost:$DIR/../remote" "$DIR" >"$DIR/../pipe"
      } &
      trap 'umount "$DIR"; wait' EXIT
      until grep -q fuse.sshfs /proc/self/mounts; do :; done`;
    const { code, stderr } = await runAfter(mount, dir.join("mnt"));
    assertEquals(code, 69, stderr);
    assertMatch(stderr, /Cannot rely on link locks .*link\(2\) makes a copy/);
    assertEquals([...Deno.readDirSync(dir.join("remote"))], []);
  },
});
