import { assert, assertEquals } from "@std/assert";
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
import { LineReader, openPipe, writeLine } from "../../../lib/sys/pipe.ts";
import { openDescriptors } from "../../support/open_descriptors.ts";
import { until } from "../../support/until.ts";
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

Deno.test("a read that comes late takes nothing from whoever has the number now", async () => {
  using temp = new TempDir();
  Deno.writeTextFileSync(temp.join("file"), "text");
  // All of the C library's threads for this, 20 unless told otherwise, and one
  // more that waits for any of them: reads of pipes in which nothing is.
  const pipes = Array.from({ length: 21 }, openPipe);
  const blocked = pipes.map(({ readEnd }) => new BackgroundRead(readEnd));
  const fd = openFile(temp.join("file"), O_RDONLY);
  const late = new BackgroundRead(fd);
  closeFile(fd);
  const another = openPipe();
  const ends = [another.readEnd, another.writeEnd];
  assert(ends.includes(fd), `${ends} are not ${fd}`);
  assert(writeLine(another.writeEnd, "mine"));
  for (const { writeEnd } of pipes) writeLine(writeEnd, "");
  for (const read of [...blocked, late]) {
    await until(() => read.result !== undefined);
    assertEquals(read.result, 1);
  }
  assertEquals(new LineReader(another.readEnd).next(), "mine");
  for (const { readEnd, writeEnd } of [...pipes, another]) {
    closeFile(readEnd);
    closeFile(writeEnd);
  }
});

Deno.test("a read leaves no descriptor, nor does one that nobody waits for", async () => {
  const { readEnd, writeEnd } = openPipe();
  const before = openDescriptors();
  writeLine(writeEnd, "");
  await resultOf(readEnd);
  assertEquals(openDescriptors(), before);
  new BackgroundRead(readEnd).drop();
  assertEquals(openDescriptors().length, before.length + 1);
  writeLine(writeEnd, "");
  await until(() => openDescriptors().length === before.length);
  closeFile(readEnd);
  closeFile(writeEnd);
});
