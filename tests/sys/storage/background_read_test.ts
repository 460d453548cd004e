import { assertEquals } from "@std/assert";
import { EBADF, EISDIR } from "../../../lib/sys/errno.ts";
import {
  closeFile,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  openFile,
} from "../../../lib/sys/file.ts";
import { openFlags } from "../../../lib/sys/process/descriptors.ts";
import {
  BackgroundRead,
  setDirect,
} from "../../../lib/sys/storage/background_read.ts";
import { TempDir } from "../../support/temp_dir.ts";

async function resultOf(fd: number): Promise<number> {
  const read = new BackgroundRead(fd);
  for (;;) {
    const { result } = read;
    if (result !== undefined) return result;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

Deno.test("a byte that is there is read, and none at the end of the file", async () => {
  using temp = new TempDir();

  const fd = openFile(temp.join("file"), O_RDWR | O_CREAT);
  assertEquals(await resultOf(fd), 0);
  Deno.writeTextFileSync(temp.join("file"), "text");
  assertEquals(await resultOf(fd), 1);
  closeFile(fd);
});

Deno.test("what the kernel refuses is told by its number", async () => {
  using temp = new TempDir();

  const fd = openFile(temp.path, O_RDONLY);
  assertEquals(await resultOf(fd), -EISDIR);
  closeFile(fd);
  assertEquals(await resultOf(fd), -EBADF);
});

Deno.test("to read past the cache is switched on and off, and nothing else", () => {
  using temp = new TempDir();

  const fd = openFile(temp.join("file"), O_RDWR | O_CREAT);
  const before = openFlags(fd);
  setDirect(fd, true);
  setDirect(fd, false);
  assertEquals(openFlags(fd), before);
  closeFile(fd);
});
