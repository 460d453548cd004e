import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  fGetlk,
  FLOCK_LAYOUT,
  fOfdGetlk,
  fOfdSetlk,
  fOfdSetlkw,
  fSetlk,
  fSetlkw,
  type RecordLockRequest,
} from "../../../lib/lock/record/record_lock.ts";
import {
  LockableFile,
  lockf,
  readLock,
  readwLock,
  testLock,
  unLock,
  writeLock,
  writewLock,
} from "../../../lib/lock/record/range_locks.ts";
import { parseProcLocks } from "../../../lib/proc/proc_locks.ts";
import { SyscallError } from "../../../lib/sys/error.ts";
import { readText } from "../../../lib/sys/file.ts";
import { needs } from "../../support/programs.ts";
import { runScript } from "../../support/run_script.ts";
import { settled } from "../../support/settled.ts";
import { TempDir } from "../../support/temp_dir.ts";

const compiler = needs("cc");

Deno.test({
  name: "struct flock is laid out as the C compiler lays it out" +
    compiler.suffix,
  ignore: compiler.ignore,
  async fn() {
    using directory = new TempDir();
    const source = directory.join("layout.c");
    Deno.writeTextFileSync(
      source,
      `#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
int main(void) {
  printf("{\\"l_type\\":%zu,\\"l_whence\\":%zu,\\"l_start\\":%zu,"
    "\\"l_len\\":%zu,\\"l_pid\\":%zu,\\"size\\":%zu}",
    offsetof(struct flock, l_type), offsetof(struct flock, l_whence),
    offsetof(struct flock, l_start), offsetof(struct flock, l_len),
    offsetof(struct flock, l_pid), sizeof(struct flock));
  fprintf(stderr, "%d %d %d %d %d %d %d %d %d", F_GETLK, F_SETLK, F_SETLKW,
    F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_RDLCK, F_WRLCK, F_UNLCK);
}`,
    );
    const program = directory.join("layout");
    const built = await new Deno.Command("cc", {
      args: ["-o", program, source],
    }).output();
    assert(built.success);
    const { stdout, stderr } = await new Deno.Command(program).output();
    assertEquals(JSON.parse(new TextDecoder().decode(stdout)), FLOCK_LAYOUT);
    assertEquals(new TextDecoder().decode(stderr), "5 6 7 36 37 38 0 1 2");
  },
});

/** The record locks on a file, as the kernel lists them. */
function kernelLocks(path: string): string[] {
  const inode = BigInt(Deno.statSync(path).ino!);
  return settled(() =>
    parseProcLocks(readText("/proc/locks"))
      .filter((lock) => lock.inode === inode && !lock.blocked)
      .map(({ type, access, pid, startByte, endByte }) =>
        `${type} ${access} ${pid} ${startByte}-${endByte ?? "EOF"}`
      ).sort()
  );
}

const BIG = 2n ** 62n;

Deno.test("each command reaches the kernel with 64-bit offsets", () => {
  using directory = new TempDir();
  const path = directory.join("file");
  using a = new LockableFile(path);
  using b = new LockableFile(path);
  const far: RecordLockRequest = {
    type: "write",
    startByte: BIG,
    lengthBytes: 7n,
  };
  assert(fOfdSetlk(a.fd, far));
  assertEquals(kernelLocks(path), [`OFDLCK WRITE -1 ${BIG}-${BIG + 6n}`]);
  assertEquals(fOfdSetlk(b.fd, { ...far, type: "read" }), false);
  assertEquals(fSetlk(b.fd, { ...far, type: "read" }), false);
  const blocking = {
    type: "write",
    startByte: BIG,
    lengthBytes: 7n,
    pid: -1,
  } as const;
  assertEquals(fOfdGetlk(b.fd, { type: "read" }), blocking);
  assertEquals(fGetlk(b.fd, { type: "read" }), blocking);
  assertEquals(fOfdGetlk(a.fd, { type: "write" }), undefined);
  assertEquals(fOfdSetlkw(b.fd, far, { timeoutMs: 20 }), false);
  assertEquals(fSetlkw(b.fd, far, { timeoutMs: 20 }), false);
  assert(fOfdSetlk(a.fd, { ...far, type: "unlock" }));
  assert(fSetlkw(b.fd, far));
  assertEquals(kernelLocks(path), [
    `POSIX WRITE ${Deno.pid} ${BIG}-${BIG + 6n}`,
  ]);
  assertEquals(fOfdGetlk(a.fd, { type: "read" })?.pid, Deno.pid);
  // This process itself is never in the way of its POSIX locks.
  assertEquals(fGetlk(a.fd, { type: "write" }), undefined);
});

Deno.test("ranges count from the start, the offset or the end, either way", () => {
  using directory = new TempDir();
  const path = directory.join("file");
  Deno.writeTextFileSync(path, "x".repeat(100));
  using file = new LockableFile(path);
  fOfdSetlk(file.fd, { type: "write", whence: "end", lengthBytes: -10n });
  assertEquals(kernelLocks(path), ["OFDLCK WRITE -1 90-99"]);
  fOfdSetlk(file.fd, { type: "unlock" });
  fOfdSetlk(file.fd, { type: "read", whence: "current", startByte: 5n });
  assertEquals(kernelLocks(path), ["OFDLCK READ -1 5-EOF"]);
  fOfdSetlk(file.fd, { type: "unlock" });
  fOfdSetlk(file.fd, { type: "read", startByte: 20n, lengthBytes: -20n });
  assertEquals(kernelLocks(path), ["OFDLCK READ -1 0-19"]);
});

Deno.test("what can't be a range is refused, each with its reason", () => {
  using directory = new TempDir();
  using file = new LockableFile(directory.join("file"));
  const write = { type: "write" } as const;
  assertThrows(
    () => fOfdSetlk(file.fd, { ...write, startByte: 2n ** 63n }),
    RangeError,
    "startByte",
  );
  assertThrows(
    () => fOfdSetlk(file.fd, { ...write, startByte: 5n, lengthBytes: -6n }),
    SyscallError,
    "EINVAL",
  );
  assertThrows(
    () =>
      fOfdSetlk(file.fd, {
        ...write,
        startByte: 2n ** 63n - 1n,
        lengthBytes: 2n,
      }),
    SyscallError,
    "EOVERFLOW",
  );
  assertThrows(
    () => fOfdSetlk(file.fd, { type: "exclusive" as "write" }),
    TypeError,
    `"read", "write" or "unlock"`,
  );
  assertThrows(
    () => fSetlk(9999, write, { path: "/some/path" }),
    SyscallError,
    'Cannot lock a range of "/some/path": fcntl returned EBADF (9)',
  );
  using readOnly = new LockableFile(directory.join("file"), { readOnly: true });
  assertThrows(() => writeLock(readOnly), SyscallError, "for writing");
  assert(readLock(readOnly));
});

Deno.test("the classical five and the test work on two open files", () => {
  using directory = new TempDir();
  const path = directory.join("file");
  using a = new LockableFile(path);
  using b = new LockableFile(path);
  const head = { startByte: 0n, lengthBytes: 10n };
  assert(readLock(a, head));
  assert(readwLock(b.fd, head));
  assertEquals(writeLock(a, head), false);
  assertEquals(writewLock(a, { ...head, timeoutMs: 20 }), false);
  unLock(b, { startByte: 4n, lengthBytes: 2n });
  assertEquals(
    testLock(a, "write", { startByte: 4n, lengthBytes: 2n }),
    undefined,
  );
  assertEquals(testLock(a, "write", head), {
    type: "read",
    startByte: 0n,
    lengthBytes: 4n,
    pid: -1,
  });
  unLock(b);
  assert(writewLock(a, head));
  assertEquals(kernelLocks(path), ["OFDLCK WRITE -1 0-9"]);
});

Deno.test("lockf locks from the offset on, tests and unlocks", () => {
  using directory = new TempDir();
  const path = directory.join("file");
  using a = new LockableFile(path);
  using b = new LockableFile(path);
  assert(lockf(a, "tlock", 5n));
  assertEquals(kernelLocks(path), ["OFDLCK WRITE -1 0-4"]);
  assertEquals(lockf(b, "test"), false);
  assertEquals(lockf(b, "lock", 0n, { timeoutMs: 20 }), false);
  assert(lockf(a, "ulock"));
  assert(lockf(b, "test"));
  assert(lockf(b, "lock"));
  assertEquals(kernelLocks(path), ["OFDLCK WRITE -1 0-EOF"]);
});

Deno.test("a sleeping F_OFD_SETLKW gets the lock when its holder lets it go", async () => {
  using directory = new TempDir();
  const path = directory.join("file");
  await using holder = await runScript(
    `const fd = open(args[0]);
posix(fd, [5, 10]);
say("ready");
line();
untilWaitedFor(fd);`,
    path,
  );
  using file = new LockableFile(path);
  const range = { startByte: 14n, lengthBytes: 1n };
  assertEquals(testLock(file, "read", range), {
    type: "write",
    startByte: 5n,
    lengthBytes: 10n,
    pid: holder.pid,
  });
  await holder.writeLine("go");
  assert(writewLock(file, { ...range, timeoutMs: 10_000 }));
  assertEquals(kernelLocks(path), ["OFDLCK WRITE -1 14-14"]);
});
