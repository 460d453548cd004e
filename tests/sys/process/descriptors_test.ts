import { assertEquals } from "@std/assert";
import { EAGAIN, EBADF } from "../../../lib/sys/errno.ts";
import {
  closeFile,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  openFile,
} from "../../../lib/sys/file.ts";
import { openPipe } from "../../../lib/sys/pipe.ts";
import {
  isInheritable,
  openFlags,
  setDescriptorInheritable,
  setLease,
  setOpenFlags,
} from "../../../lib/sys/process/descriptors.ts";
import { sleepUntilReadable, waitReadable } from "../../../lib/sys/sleep.ts";
import { writeAll } from "../../../lib/sys/storage/content.ts";
import { TempDir } from "../../support/temp_dir.ts";

const ACCESS_AND_STATUS = 3 | O_APPEND | O_NONBLOCK;

Deno.test("descriptors: flags are read and changed, and what is closed is EBADF", () => {
  using dir = new TempDir();
  const fd = openFile(dir.join("a"), O_RDWR | O_CREAT | O_CLOEXEC);
  assertEquals(openFlags(fd) & ACCESS_AND_STATUS, O_RDWR);
  assertEquals(setOpenFlags(fd, O_APPEND), 0);
  assertEquals(openFlags(fd) & ACCESS_AND_STATUS, O_RDWR | O_APPEND);
  assertEquals(isInheritable(fd), false);
  setDescriptorInheritable(fd, true, dir.join("a"));
  assertEquals(isInheritable(fd), true);
  closeFile(fd);
  assertEquals([openFlags(fd), isInheritable(fd)], [-EBADF, false]);
});

Deno.test("descriptors: a lease is given to the only one who has the file open", () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const fd = openFile(path, O_RDWR | O_CREAT | O_CLOEXEC);
  const other = openFile(path, O_RDONLY | O_CLOEXEC);
  assertEquals(setLease(fd, "write"), -EAGAIN);
  closeFile(other);
  assertEquals([setLease(fd, "write"), setLease(fd, "none")], [0, 0]);
  closeFile(fd);
});

Deno.test("sleep: until one of several descriptors has something to read, or not", async () => {
  const [idle, busy] = [openPipe(), openPipe()];
  const fds = [idle.readEnd, busy.readEnd];
  assertEquals(await waitReadable(fds, 0), false);
  assertEquals(sleepUntilReadable(busy.readEnd, 0), false);
  const waiting = waitReadable(fds, 60_000);
  assertEquals(writeAll(busy.writeEnd, new Uint8Array(1)), 0);
  assertEquals(await waiting, true);
  assertEquals(sleepUntilReadable(busy.readEnd, 60_000), true);
  assertEquals(sleepUntilReadable(idle.readEnd, 0), false);
  for (const { readEnd, writeEnd } of [idle, busy]) {
    closeFile(readEnd);
    closeFile(writeEnd);
  }
});
