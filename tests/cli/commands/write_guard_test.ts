/** Commands that write: whose links they follow, and what they may run. */

import { ensureDirSync } from "@std/fs/ensure-dir";
import { assert, assertEquals } from "@std/assert";
import { openLockFile } from "../../../lib/lock/lock_file.ts";
import { LockError } from "../../../lib/sys/error.ts";
import { closeFile } from "../../../lib/sys/file.ts";
import { cliArgs, runCli } from "../../support/cli.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { needsNobody } from "../../support/nobody.ts";
import { ORDINARY } from "../../support/ordinary_user.ts";
import { needsRoot } from "../../support/programs.ts";
import { runProgram } from "../../support/run_program.ts";
import { TempDir } from "../../support/temp_dir.ts";

/** A directory such as /tmp, in which another user has put a link. */
function sharedWithLink(dir: TempDir, name: string, target: string): string {
  const shared = dir.join("shared");
  ensureDirSync(shared);
  Deno.chmodSync(shared, 0o1777);
  const { success } = new Deno.Command("ln", {
    args: ["-s", target, `${shared}/${name}`],
    ...ORDINARY,
  }).outputSync();
  assert(success);
  return `${shared}/${name}`;
}

const root = needsRoot();
const nobody = needsNobody();
for (
  const args of [
    ["transform", "--create", "LINK", "--", "echo", "changed"],
    ["transform", "--method=in-place", "LINK", "--", "echo", "changed"],
    ["append", "LINK"],
    ["run", "LINK", "--", "true"],
  ]
) {
  Deno.test({
    name: `${
      args.slice(0, 2).join(" ")
    }: another user's symbolic link in a sticky directory is refused${root.suffix}`,
    ignore: root.ignore,
    async fn() {
      using dir = new TempDir();
      Deno.chmodSync(dir.path, 0o755);
      const secret = dir.join("secret");
      Deno.writeTextFileSync(secret, "root's own\n");
      for (const target of [secret, dir.join("not there")]) {
        const link = sharedWithLink(dir, `link${target.length}`, target);
        const { code, stderr } = await runCli(
          args.map((arg) => arg === "LINK" ? link : arg),
        );
        assertEquals(code, 65, stderr);
        assert(stderr.includes("it is a symbolic link that user"), stderr);
      }
      assertEquals(Deno.readTextFileSync(secret), "root's own\n");
      assertEquals(
        [...Deno.readDirSync(dir.path)].map(({ name }) => name).sort(),
        ["secret", "shared"],
      );
    },
  });
}

Deno.test({
  name:
    `transform, append, run: another user's link behind one's own is refused too${root.suffix}`,
  ignore: root.ignore,
  async fn() {
    using dir = new TempDir();
    Deno.chmodSync(dir.path, 0o755);
    const secret = dir.join("secret");
    Deno.writeTextFileSync(secret, "root's own\n");
    const link = sharedWithLink(dir, "link", "../secret");
    Deno.symlinkSync(link, dir.join("mine"));
    for (
      const [command, ...rest] of [
        ["transform", "--", "echo", "changed"],
        ["append"],
        ["run", "--", "true"],
      ]
    ) {
      const { code, stderr } = await runCli(
        [command!, "mine", ...rest],
        { cwd: dir.path },
      );
      assertEquals(code, 65, stderr);
      assert(stderr.includes('Cannot use "mine": it is a symbolic'), stderr);
    }
    assertEquals(Deno.readTextFileSync(secret), "root's own\n");
  },
});

for (
  const args of [
    ["gc", "LINK"],
    ["gc", "LINK/"],
    ["cache", "LINK", "key", "--", "echo", "x"],
    ["run", "--slots=2", "LINK", "--", "true"],
  ]
) {
  Deno.test({
    name: `${
      args.slice(0, 2).join(" ")
    }: a directory behind another user's symbolic link is refused${root.suffix}`,
    ignore: root.ignore,
    async fn() {
      using dir = new TempDir();
      Deno.chmodSync(dir.path, 0o755);
      Deno.mkdirSync(dir.join("private"));
      Deno.writeTextFileSync(dir.join("private/a.lock"), "");
      const link = sharedWithLink(dir, "link", dir.join("private"));
      const { code, stderr } = await runCli(
        args.map((arg) => arg.replace("LINK", link)),
      );
      assertEquals(code, 65, stderr);
      assert(stderr.includes("it is a symbolic link that user"), stderr);
      assertEquals(
        [...Deno.readDirSync(dir.join("private"))].map(({ name }) => name),
        ["a.lock"],
      );
    },
  });
}

Deno.test({
  name:
    `a link that takes the place of a file between two looks is never followed${nobody.suffix}`,
  ignore: nobody.ignore,
  async fn() {
    using dir = new TempDir();
    Deno.chmodSync(dir.path, 0o755);
    const secret = dir.join("secret");
    Deno.writeTextFileSync(secret, "");
    const shared = dir.join("shared");
    Deno.mkdirSync(shared);
    Deno.chmodSync(shared, 0o1777);
    const path = `${shared}/a.lock`;
    using cache = new TempDir();
    Deno.chmodSync(cache.path, 0o777);
    await using _swapper = await HelperProcess.start(Deno.execPath(), [
      "eval",
      "--no-config",
      // Ready when the path is there: a file that root made in its place
      // couldn't be replaced in a sticky directory.
      `const [path, secret] = Deno.args;
      for (let round = 0;; round++) {
        Deno.writeTextFileSync(path + ".own", "");
        Deno.chmodSync(path + ".own", 0o666);
        Deno.renameSync(path + ".own", path);
        if (round === 0) console.log("ready");
        Deno.symlinkSync(secret, path + ".link");
        Deno.renameSync(path + ".link", path);
      }`,
      path,
      secret,
    ], { env: { DENO_DIR: cache.path, HOME: cache.path }, ...ORDINARY });
    const { ino } = Deno.statSync(secret);
    let opened = 0;
    let refused = 0;
    while (opened < 20_000 || refused < 20_000) {
      try {
        const { fd, stat } = openLockFile(path);
        closeFile(fd);
        assert(stat.inode !== BigInt(ino!), `opened after ${opened} others`);
        opened++;
      } catch (error) {
        if (!(error instanceof LockError)) throw error;
        refused++;
      }
    }
  },
});

for (const part of [".locks", ".building"]) {
  Deno.test(`cache: a symbolic link in place of ${part} is refused`, async () => {
    using dir = new TempDir();
    Deno.mkdirSync(dir.join("elsewhere"));
    Deno.mkdirSync(dir.join("cache"));
    Deno.symlinkSync(dir.join("elsewhere"), dir.join(`cache/${part}`));
    const { code, stderr } = await runCli(
      ["cache", dir.join("cache"), "key", "--", "echo", "x"],
    );
    assertEquals(code, 65);
    assert(stderr.includes("it is a symlink, not a directory"), stderr);
    assertEquals([...Deno.readDirSync(dir.join("elsewhere"))], []);
  });
}

Deno.test("transform: one's own symbolic link is followed, and stays", async () => {
  using dir = new TempDir();
  Deno.mkdirSync(dir.join("below"));
  Deno.writeTextFileSync(dir.join("below/a"), "old\n");
  Deno.symlinkSync("below/a", dir.join("link"));
  const { code, stderr } = await runCli(
    ["transform", "link", "--", "echo", "new"],
    { cwd: dir.path },
  );
  assertEquals([code, stderr], [0, ""]);
  assertEquals(Deno.readTextFileSync(dir.join("below/a")), "new\n");
  assertEquals(Deno.readLinkSync(dir.join("link")), "below/a");
});

for (const name of ["transform", "cache"]) {
  Deno.test(`${name}: without --allow-run it is 77, and the flag is named`, async () => {
    using dir = new TempDir();
    Deno.writeTextFileSync(dir.join("a"), "old\n");
    const operands = name === "transform"
      ? [dir.join("a")]
      : [dir.join("c"), "key"];
    const { code, stderr } = await runProgram(
      Deno.execPath(),
      cliArgs([name, ...operands, "--", "echo", "x"], [
        "--allow-ffi",
        "--allow-read",
        "--allow-write",
        "--allow-env",
        "--allow-sys",
      ]),
    );
    assertEquals(code, 77, stderr);
    assert(stderr.includes("--allow-run"), stderr);
    assertEquals(Deno.readTextFileSync(dir.join("a")), "old\n");
  });
}
