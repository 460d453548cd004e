import { assert, assertEquals, assertThrows } from "@std/assert";
import { tryFlock } from "../../../lib/lock/flock/flock.ts";
import { probeLockFile } from "../../../lib/lock/lock_file.ts";
import {
  RecordLockAttempt,
  tryRecordLock,
} from "../../../lib/lock/record/record_lock_attempt.ts";
import { subtractSpan } from "../../../lib/lock/record/byte_span.ts";
import { LockableFile } from "../../../lib/lock/record/range_locks.ts";
import { fSetlk } from "../../../lib/lock/record/record_lock.ts";
import { needleFromPath } from "../../../lib/inspect/needle.ts";
import { readHolders } from "../../../lib/inspect/holder.ts";
import { LockError } from "../../../lib/sys/error.ts";
import { closeFile } from "../../../lib/sys/file.ts";
import { openDescriptors } from "../../support/open_descriptors.ts";
import { settled } from "../../support/settled.ts";
import { TempDir } from "../../support/temp_dir.ts";

/** This process's POSIX locks on a file, by the kernel's list. */
function posixLocks(path: string): string[] {
  return settled(() => readHolders(path))
    .filter(({ type }) => type === "POSIX").map((
      { mode, startByte, endByte },
    ) => `${mode} ${startByte}-${endByte ?? "EOF"}`);
}

const HEAD = { startByte: 0n, lengthBytes: 10n };

Deno.test("closing other descriptors of the file doesn't drop a POSIX lock", () => {
  using directory = new TempDir();
  const path = directory.join("file");
  const before = openDescriptors();
  {
    using _posix = tryRecordLock(path, { kind: "posix", range: HEAD })!;
    tryFlock(path)!.release();
    assertEquals(posixLocks(path), ["WRITE 0-9"]);
    using flock = tryFlock(path)!;
    assertEquals(tryFlock(path), undefined);
    assertEquals(posixLocks(path), ["WRITE 0-9"]);
    flock.release();
    closeFile(probeLockFile(path)!.fd);
    needleFromPath(path);
    new LockableFile(path).close();
    tryRecordLock(path, { range: { startByte: 50n } })!.release();
    tryRecordLock(path, { kind: "posix", range: { startByte: 50n } })!
      .release();
    assertEquals(posixLocks(path), ["WRITE 0-9"]);
  }
  assertEquals(posixLocks(path), []);
  assertEquals(openDescriptors(), before);
});

Deno.test("a close drops a POSIX lock that nothing guards: the trap is real", () => {
  using directory = new TempDir();
  const path = directory.join("file");
  using file = new LockableFile(path);
  assert(fSetlk(file.fd, { type: "write" }));
  assertEquals(posixLocks(path), ["WRITE 0-EOF"]);
  new LockableFile(path).close();
  assertEquals(posixLocks(path), []);
});

Deno.test("an O_PATH descriptor is closed at once under a POSIX lock", () => {
  using directory = new TempDir();
  const path = directory.join("file");
  using _posix = tryRecordLock(path, { kind: "posix" })!;
  const before = openDescriptors();
  for (let i = 0; i < 10; i++) needleFromPath(path);
  assertEquals(openDescriptors(), before);
  assertEquals(posixLocks(path), ["WRITE 0-EOF"]);
});

Deno.test("POSIX locks of two handles in one process exclude each other", () => {
  using directory = new TempDir();
  const path = directory.join("file");
  using a = tryRecordLock(path, { kind: "posix", range: HEAD })!;
  assertEquals(
    tryRecordLock(path, { kind: "posix", range: { startByte: 9n } }),
    undefined,
  );
  assertEquals(
    tryRecordLock(path, { kind: "posix", mode: "shared", range: HEAD }),
    undefined,
  );
  using b = tryRecordLock(path, { kind: "posix", range: { startByte: 10n } });
  assert(b !== undefined);
  using waiting = new RecordLockAttempt(path, { kind: "posix", range: HEAD });
  assertThrows(
    () => waiting.block({ timeoutMs: 1000 }),
    LockError,
    "holds it and would wait for itself",
  );
  a.release();
  // The kernel had merged the two; b's bytes must have stayed.
  assertEquals(posixLocks(path), ["WRITE 10-EOF"]);
  using again = waiting.try();
  assert(again?.held);
});

Deno.test("a POSIX lock that a library took in this process is respected", () => {
  using directory = new TempDir();
  const path = directory.join("file");
  using file = new LockableFile(path);
  assert(fSetlk(file.fd, { type: "write", startByte: 5n, lengthBytes: 1n }));
  using attempt = new RecordLockAttempt(path, { kind: "posix" });
  assertEquals(attempt.try(), undefined);
});

Deno.test("releasing one shared POSIX lock keeps what others share", () => {
  using directory = new TempDir();
  const path = directory.join("file");
  const shared = { kind: "posix", mode: "shared" } as const;
  using all = tryRecordLock(path, { ...shared })!;
  using middle = tryRecordLock(path, {
    ...shared,
    range: { startByte: 10n, lengthBytes: 10n },
  })!;
  using tail = tryRecordLock(path, { ...shared, range: { startByte: 15n } })!;
  all.release();
  assertEquals(posixLocks(path), ["READ 10-EOF"]);
  tail.release();
  assertEquals(posixLocks(path), ["READ 10-19"]);
  middle.release();
  assertEquals(posixLocks(path), []);
});

Deno.test("a span less another leaves what the other doesn't cover", () => {
  const span = (startByte: bigint, endByte?: bigint) => ({
    startByte,
    endByte,
  });
  assertEquals(subtractSpan(span(0n), span(5n, 9n)), [
    span(0n, 4n),
    span(10n),
  ]);
  assertEquals(subtractSpan(span(5n, 9n), span(0n)), []);
  assertEquals(subtractSpan(span(5n, 9n), span(9n)), [span(5n, 8n)]);
  assertEquals(subtractSpan(span(5n, 9n), span(0n, 5n)), [span(6n, 9n)]);
  assertEquals(subtractSpan(span(5n, 9n), span(10n)), [span(5n, 9n)]);
});

Deno.test("only an OFD lock can be inherited", () => {
  using directory = new TempDir();
  const path = directory.join("file");
  using posix = tryRecordLock(path, { kind: "posix", range: HEAD })!;
  using ofd = tryRecordLock(path, { range: { startByte: 10n } })!;
  assertEquals(posix.setInheritable, undefined);
  assert(ofd.setInheritable !== undefined);
});

Deno.test("a range that can't be is refused before the file is made", () => {
  using directory = new TempDir();
  const path = directory.join("file");
  for (
    const [range, says] of [
      [{ startByte: -1n }, "0 or more"],
      [{ startByte: 5n, lengthBytes: -6n }, "starts before the file"],
      [
        { startByte: 2n ** 63n - 1n, lengthBytes: 2n },
        "of 2 bytes from 9223372036854775807 ends beyond the largest",
      ],
      [
        { startByte: 2n ** 63n },
        "A range from 9223372036854775808 starts beyond the largest",
      ],
    ] as const
  ) {
    assertThrows(() => tryRecordLock(path, { range }), RangeError, says);
  }
  assertThrows(() => Deno.statSync(path), Deno.errors.NotFound);
});
