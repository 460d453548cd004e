import { assertEquals } from "@std/assert";
import { EEXIST, ENOENT } from "../../../lib/sys/errno.ts";
import {
  closeFile,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_WRONLY,
  openFile,
} from "../../../lib/sys/file.ts";
import { writeAll } from "../../../lib/sys/storage/content.ts";
import {
  checkAccess,
  exchangeAt,
  makeDirectory,
  openAt,
  openEntryAt,
  readLink,
  removeDirectory,
  renameAt,
  renamePath,
  statIfAny,
  unlinkAt,
} from "../../../lib/sys/storage/names.ts";
import { TempDir } from "../../support/temp_dir.ts";

const ENOTEMPTY = 39;

/** The contents of a directory's files, by name. */
function contents(dir: TempDir): Record<string, string> {
  return Object.fromEntries(
    [...Deno.readDirSync(dir.path)].map(({ name }) => [
      name,
      Deno.readTextFileSync(dir.join(name)),
    ]),
  );
}

Deno.test("names: renamed, exchanged and removed; a failure is its number", () => {
  using dir = new TempDir();
  const dirFd = openFile(dir.path, O_RDONLY | O_DIRECTORY);
  try {
    Deno.writeTextFileSync(dir.join("a"), "A");
    Deno.writeTextFileSync(dir.join("b"), "B");
    assertEquals(exchangeAt(dirFd, "a", "b"), 0);
    assertEquals(contents(dir), { a: "B", b: "A" });
    assertEquals(renameAt(dirFd, "a", "b"), 0);
    assertEquals(contents(dir), { b: "B" });
    assertEquals(renamePath(dir.join("b"), dir.join("c")), 0);
    assertEquals(contents(dir), { c: "B" });
    assertEquals(renamePath(dir.join("b"), dir.join("c")), -ENOENT);
    assertEquals(exchangeAt(dirFd, "c", "b"), -ENOENT);
    assertEquals([unlinkAt(dirFd, "c"), unlinkAt(dirFd, "c")], [0, -ENOENT]);
  } finally {
    closeFile(dirFd);
  }
});

Deno.test("names: directories made and removed", () => {
  using dir = new TempDir();
  const path = dir.join("below");
  assertEquals([makeDirectory(path, 0o700), makeDirectory(path, 0o700)], [
    0,
    -EEXIST,
  ]);
  assertEquals(statIfAny(path)?.permissions, 0o700);
  assertEquals(checkAccess(path, "write and enter"), 0);
  assertEquals(checkAccess(dir.join("none"), "read and write"), -ENOENT);
  assertEquals(removeDirectory(dir.path), -ENOTEMPTY);
  assertEquals(removeDirectory(path), 0);
  assertEquals(statIfAny(path), undefined);
});

Deno.test("names: a file opened in a directory, by any name and by a number", () => {
  using dir = new TempDir();
  const dirFd = openFile(dir.path, O_RDONLY | O_DIRECTORY);
  try {
    // As long as a descriptor's number can be.
    for (const name of ["7", "2147483647"]) {
      const fd = openAt(dirFd, name, O_WRONLY | O_CREAT, 0o600);
      assertEquals(writeAll(fd, new TextEncoder().encode(name)), 0);
      closeFile(fd);
      const again = openEntryAt(dirFd, name, O_RDONLY);
      assertEquals(readLink(`/proc/self/fd/${again}`), dir.join(name));
      closeFile(again);
    }
    assertEquals(openEntryAt(dirFd, "8", O_RDONLY), -ENOENT);
    assertEquals(contents(dir), { "7": "7", "2147483647": "2147483647" });
  } finally {
    closeFile(dirFd);
  }
});

Deno.test("names: what is no link has no target, and a dangling one no file", () => {
  using dir = new TempDir();
  Deno.symlinkSync("nowhere", dir.join("link"));
  assertEquals(readLink(dir.join("link")), "nowhere");
  assertEquals(readLink(dir.path), undefined);
  assertEquals(statIfAny(dir.join("link")), undefined);
  const itself = statIfAny(dir.join("link"), { followSymlink: false });
  assertEquals(itself?.type, "symlink");
});
