import { assert, assertEquals } from "@std/assert";
import { tryFlockFd, unlockFlockFd } from "../../../lib/lock/flock/flock.ts";
import { closeFile, O_CREAT, O_RDWR, openFile } from "../../../lib/sys/file.ts";
import { suspendHandlers } from "../../../lib/sys/process/signals.ts";
import { parkCall } from "../../../lib/sys/thread/parked_call.ts";
import { isContextLayoutRight } from "../../../lib/sys/thread/user_context.ts";
import { openDescriptors } from "../../support/open_descriptors.ts";
import { TempDir } from "../../support/temp_dir.ts";

const LOCK_EX = 2;

Deno.test("contexts are laid out as the C library has them", () => {
  assert(isContextLayoutRight());
});

Deno.test("a call is granted what it waits for, and its signal listener is gone", async () => {
  using dir = new TempDir();
  const before = openDescriptors();
  const open = () => openFile(dir.join("a"), O_RDWR | O_CREAT);
  const [mine, its] = [open(), open()];
  assert(tryFlockFd(mine));
  const call = parkCall("flock", [its, LOCK_EX])!;
  assertEquals(tryFlockFd(its), false);
  unlockFlockFd(mine);
  await call.ended;
  assertEquals(tryFlockFd(mine), false);
  // It is too late for that.
  call.interrupt();
  assert(tryFlockFd(its));
  for (const fd of [mine, its]) closeFile(fd);
  assertEquals(openDescriptors(), before);
});

Deno.test("where the signal that tells is taken away, there is no call", async () => {
  using dir = new TempDir();
  const fd = openFile(dir.join("a"), O_RDWR | O_CREAT);
  await parkCall("flock", [fd, LOCK_EX])!.ended;
  const restore = suspendHandlers(["SIGURG"]);
  assertEquals(parkCall("flock", [fd, LOCK_EX]), undefined);
  restore();
  await parkCall("flock", [fd, LOCK_EX])!.ended;
  closeFile(fd);
});

Deno.test("a call that fails at once has ended", async () => {
  using dir = new TempDir();
  const fd = openFile(dir.join("a"), O_RDWR | O_CREAT);
  closeFile(fd);
  await parkCall("flock", [fd, LOCK_EX])!.ended;
});

Deno.test("once a call has ended, its thread does nothing to the open file any more", async () => {
  using dir = new TempDir();
  const open = () => openFile(dir.join("a"), O_RDWR | O_CREAT);
  const [other, its, third] = [open(), open(), open()];
  for (let round = 0; round < 300; round++) {
    const isBusy = round % 2 === 0;
    if (isBusy) assert(tryFlockFd(other));
    const call = parkCall("flock", [its, LOCK_EX])!;
    // Before the thread has begun, or in the midst of its call.
    if (round % 3 === 0) await new Promise((resolve) => setTimeout(resolve));
    call.interrupt();
    await call.ended;
    if (isBusy) unlockFlockFd(other);
    // A call that is late would make it exclusive again.
    assert(tryFlockFd(its, { mode: "shared" }));
    for (let i = 0; i < 10; i++) await undefined;
    assert(tryFlockFd(third, { mode: "shared" }), `round ${round}`);
    unlockFlockFd(third);
    unlockFlockFd(its);
    assert(tryFlockFd(third), `round ${round}`);
    unlockFlockFd(third);
  }
  for (const fd of [other, its, third]) closeFile(fd);
});
