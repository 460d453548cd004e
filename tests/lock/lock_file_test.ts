/** Opening a lock file, whatever stands at its path. */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { openLockFile, probeLockFile } from "../../lib/lock/lock_file.ts";
import { LockError } from "../../lib/sys/error.ts";
import { closeFile } from "../../lib/sys/file.ts";
import { openFlags } from "../../lib/sys/process/descriptors.ts";
import { cliArgs } from "../support/cli.ts";
import { asNobody, needsNobody } from "../support/nobody.ts";
import { needsRoot } from "../support/programs.ts";
import { TempDir } from "../support/temp_dir.ts";

const O_ACCMODE = 3;

function accessOf(fd: number): string {
  const flags = openFlags(fd);
  closeFile(fd);
  return ["read", "write", "both"][flags & O_ACCMODE]!;
}

Deno.test("a file is opened for reading only, through a link too", () => {
  using dir = new TempDir();
  Deno.writeTextFileSync(dir.join("file"), "");
  Deno.symlinkSync("file", dir.join("link"));
  Deno.symlinkSync("link", dir.join("link to a link"));
  for (const name of ["file", "link", "link to a link"]) {
    const path = dir.join(name);
    assertEquals(accessOf(probeLockFile(path)!.fd), "read", name);
    const { fd } = openLockFile(path, { readOnly: true });
    assertEquals(accessOf(fd), "read", name);
    assertEquals(accessOf(openLockFile(path).fd), "both", name);
  }
});

Deno.test("a link to a FIFO keeps nobody waiting who only looks", () => {
  using dir = new TempDir();
  new Deno.Command("mkfifo", { args: [dir.join("fifo")] }).outputSync();
  Deno.symlinkSync("fifo", dir.join("link"));
  for (const name of ["fifo", "link"]) {
    assertThrows(
      () => probeLockFile(dir.join(name)),
      LockError,
      "it is a fifo",
    );
  }
});

Deno.test("a probe makes nothing where a link leads nowhere", () => {
  using dir = new TempDir();
  Deno.symlinkSync("nowhere", dir.join("link"));
  assertEquals(probeLockFile(dir.join("link")), undefined);
  assertEquals([...Deno.readDirSync(dir.path)].length, 1);
});

Deno.test("a name with a slash at its end is that of a directory", () => {
  using dir = new TempDir();
  Deno.writeTextFileSync(dir.join("file"), "");
  for (const name of ["file/", "new/"]) {
    assertThrows(
      () => openLockFile(dir.join(name)),
      LockError,
      "its name ends with a slash, and there is no such directory",
    );
  }
  closeFile(openLockFile(`${dir.path}/`).fd);
});

const root = needsRoot();

Deno.test({
  name: "another's link in a sticky directory is refused by its own words" +
    root.suffix,
  ignore: root.ignore,
  fn() {
    using dir = new TempDir();
    Deno.chmodSync(dir.path, 0o1777);
    Deno.writeTextFileSync(dir.join("file"), "");
    const { code } = new Deno.Command("sh", {
      args: [
        "-c",
        "ln -s file here; ln -s nowhere gone; chown -h 65534 here gone",
      ],
      cwd: dir.path,
    }).outputSync();
    assertEquals(code, 0);
    for (const name of ["here", "gone"]) {
      for (const options of [{}, { create: false }, { readOnly: true }]) {
        assertThrows(
          () => openLockFile(dir.join(name), options),
          LockError,
          "it is a symbolic link that user 65534 has put",
        );
      }
    }
  },
});

const nobody = needsNobody();

Deno.test({
  name: "a directory that may not be written is EACCES, and named" +
    nobody.suffix,
  ignore: nobody.ignore,
  fn() {
    using dir = new TempDir();
    Deno.chmodSync(dir.path, 0o777);
    Deno.mkdirSync(dir.join("theirs"), { mode: 0o755 });
    const path = `${dir.path}/theirs/a`;
    const commands = [
      ["run", path, "--", "true"],
      ["run", "--kind", "ofd", path, "--", "true"],
      ["test", path],
    ];
    for (const words of commands) {
      const { code, stderr } = asNobody(dir, Deno.execPath(), cliArgs(words));
      assertEquals(code, 66);
      const said = new TextDecoder().decode(stderr);
      assertMatch(said, /open returned EACCES \(13\).*"[^"]*\/theirs"/s);
    }
  },
});
