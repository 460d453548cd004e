/**
 * A caller need not be TypeScript: what is of the wrong type is a TypeError
 * that names the argument, and nothing is made or locked.
 */
import { assert, assertEquals } from "@std/assert";
import * as holdfast from "../mod.ts";
import * as doctor from "../lib/fs/mod.ts";
import * as flock from "../lib/lock/flock/mod.ts";
import * as inspect from "../lib/inspect/mod.ts";
import * as record from "../lib/acquire/record_lock.ts";
import * as patterns from "../lib/patterns/mod.ts";
import { TempDir } from "./support/temp_dir.ts";

type Call = (path: string) => [call: unknown, args: unknown[]];

const CASES: [says: string, call: Call][] = [
  ["path must be a string or a URL, got the number 5", () => [
    holdfast.tryAcquire,
    [5],
  ]],
  ["path must be", () => [holdfast.acquire, [undefined]]],
  ["path must be", () => [holdfast.withLock, [null, {}, () => {}]]],
  ["path must be", () => [flock.tryFlock, [{}]]],
  ["path must be", () => [flock.blockFlock, [5n]]],
  ["path must be", () => [record.tryRecordLock, [[]]]],
  ["path must be", () => [record.acquireRecordLock, [true]]],
  ["path must be", () => [record.blockRecordLock, [5]]],
  ["path must be", () => [record.acquireBothLocks, [5]]],
  ["path must be", () => [holdfast.materialize, [5]]],
  ["path must be", () => [flock.openLockFile, [5]]],
  ["path must be", () => [flock.probeLockFile, [5]]],
  ["path must be", () => [holdfast.needleFromPath, [5]]],
  ["path must be", () => [holdfast.readHolders, [5]]],
  ["path must be", () => [inspect.readLockParties, [5]]],
  ["path must be", () => [doctor.diagnose, [5]]],
  ["file must be", () => [holdfast.rejectRemoteFs, [undefined]]],
  ["A member must be", () => [holdfast.acquireAll, [[5]]]],
  ["A member must be an object, got null", () => [
    holdfast.acquireAll,
    [["/x", null]],
  ]],
  ["path must be", () => [holdfast.acquireAll, [[{ kind: "ofd" }]]]],
  ["options must be", (path) => [holdfast.acquireAll, [[path], null]]],
  ["options must be", (path) => [holdfast.withLock, [path, 5, () => {}]]],
  ["mode must be", (path) => [patterns.acquireTree, ["/", { mode: path }]]],
  ["members must be an array", (path) => [holdfast.acquireAll, [path]]],
  ['mode must be "exclusive" or "shared", got "write"', (path) => [
    flock.tryFlock,
    [path, { mode: "write" }],
  ]],
  ['options must be an object, got "shared"', (path) => [
    flock.tryFlock,
    [path, "shared"],
  ]],
  ["options must be an object, got null", (path) => [
    flock.blockFlock,
    [path, null],
  ]],
  ["mode must be", (path) => [holdfast.tryAcquire, [path, { mode: "write" }]]],
  ["mode must be", (path) => [holdfast.acquire, [path, { mode: 1 }]]],
  ["mode must be", (path) => [
    record.tryRecordLock,
    [path, { mode: "write" }],
  ]],
  ["mode must be", (path) => [
    record.acquireBothLocks,
    [path, { mode: "write" }],
  ]],
  ["mode must be", (path) => [
    holdfast.acquireAll,
    [[{ path, mode: "write" }]],
  ]],
  ['kind must be "flock", "ofd", "posix", "both" or "link"', (path) => [
    holdfast.acquireAll,
    [[{ path, kind: "fcntl" }]],
  ]],
  ["kind must be", (path) => [record.tryRecordLock, [path, { kind: "x" }]]],
  ['options must be an object, got "shared"', (path) => [
    holdfast.tryAcquire,
    [path, "shared"],
  ]],
  ["options must be", (path) => [holdfast.acquire, [path, 5000]]],
  ["options must be", (path) => [record.tryRecordLock, [path, "posix"]]],
  ["startByte must be a bigint, got the number 5", (path) => [
    record.tryRecordLock,
    [path, { range: { startByte: 5 } }],
  ]],
  ["lengthBytes must be a bigint", (path) => [
    record.acquireRecordLock,
    [path, { range: { lengthBytes: 5 } }],
  ]],
  ["range must be an object", (path) => [
    record.tryRecordLock,
    [path, { range: "0-5" }],
  ]],
  ['timeoutMs must be a number, got "5"', (path) => [
    holdfast.acquire,
    [path, { timeoutMs: "5" }],
  ]],
  ["timeoutMs must be a number", (path) => [
    holdfast.acquireAll,
    [[path], { timeoutMs: "5" }],
  ]],
  ["timeoutMs must be a number", (path) => [
    flock.blockFlock,
    [path, { timeoutMs: "5" }],
  ]],
  ["timeoutMs must be a number", (path) => [
    record.blockRecordLock,
    [path, { timeoutMs: 5n }],
  ]],
  ["signal must be an AbortSignal", (path) => [
    holdfast.acquire,
    [path, { signal: new AbortController() }],
  ]],
  ["onWait must be a function", (path) => [
    holdfast.acquire,
    [path, { onWait: "log" }],
  ]],
  ["fn must be a function, got undefined", (path) => [
    holdfast.withLock,
    [path, {}],
  ]],
  ['fd must be an open file descriptor, got "3"', () => [
    flock.tryFlockFd,
    ["3", { mode: "shared" }],
  ]],
  ["mode must be", () => [flock.blockFlockFd, [0, { mode: "x" }]]],
  ["options must be", () => [flock.tryFlockFd, [0, "shared"]]],
  ["fd must be", () => [flock.unlockFlockFd, [{}]]],
  ["fd must be", () => [inspect.needleFromFd, ["3"]]],
  ["file must be an open file descriptor", () => [record.readLock, [null]]],
  ["kind must be", () => [record.writeLock, [0, { kind: "flock" }]]],
  ['type must be "read", "write" or "unlock"', () => [
    record.fOfdSetlk,
    [0, { type: "x" }],
  ]],
  ["fd must be", () => [record.fSetlk, ["0", { type: "read" }]]],
  ["fd must be", () => [record.fOfdGetlk, ["0", { type: "read" }]]],
  ["fd must be", () => [record.fOfdSetlkw, ["0", { type: "read" }]]],
  ["path must be", () => [patterns.acquireFair, [5]]],
  ["mode must be", (path) => [patterns.acquireFair, [path, { mode: "w" }]]],
  ["path must be", () => [patterns.appendToFile, [5, "x"]]],
  ["data must be a string or a Uint8Array, got the number 5", (path) => [
    patterns.appendToFile,
    [path, 5],
  ]],
  ["path must be", () => [patterns.transformFile, [5, () => {}]]],
  ["transform must be a function", (path) => [patterns.transformFile, [path]]],
  ["directory must be", () => [patterns.collectLockFiles, [5]]],
  ["directory must be", () => [patterns.treeLockPath, [5]]],
  ["directory must be", () => [patterns.acquireTree, [5]]],
  ['slots must be a number, got "2"', (path) => [
    patterns.acquireSlots,
    [path, { slots: "2" }],
  ]],
  ["options must be", (path) => [patterns.acquireSlots, [path]]],
  ["nameOrDirectory must be", () => [patterns.acquireSlots, [5, { slots: 1 }]]],
  ["nameOrDirectory must be", () => [patterns.readSlots, [5]]],
  ["nameOrPath must be", () => [patterns.trySingleton, [5]]],
  ["directory must be", () => [
    patterns.getOrBuild,
    ["key", () => {}, { directory: 5 }],
  ]],
  ["key must be a string", (directory) => [
    patterns.getOrBuild,
    [5, () => {}, { directory }],
  ]],
  ["build must be a function", (directory) => [
    patterns.getOrBuild,
    ["key", undefined, { directory }],
  ]],
  ["key must be a string", (directory) => [
    patterns.evict,
    [undefined, { directory }],
  ]],
  ["path must be", () => [patterns.acquireIfDue, [5, { intervalMs: 1 }]]],
  ["intervalMs must be a number", (path) => [
    patterns.acquireIfDue,
    [path, { intervalMs: "1h" }],
  ]],
  ["fn must be a function", (path) => [
    patterns.debounce,
    [path, { intervalMs: 1 }],
  ]],
  ["lock must be a held flock", (path) => [patterns.upgrade, [path]]],
  ["lock must be a held flock", () => [patterns.downgrade, [{}]]],
  ["options must be", () => [patterns.acquireCpus, [2]]],
  ["cpus must be a number or an array", () => [
    patterns.acquireCpus,
    [{ cpus: "2" }],
  ]],
  ["directory must be", () => [
    patterns.acquireCpus,
    [{ cpus: 1, directory: 5 }],
  ]],
  ["maxLoad must be a number", () => [patterns.waitForLoad, ["4"]]],
];

for (const [says, call] of CASES) {
  const [called] = call("/x");
  const name = (called as { name: string }).name;
  Deno.test(`${name}: ${says}`, async () => {
    using dir = new TempDir();
    const [take, args] = call(dir.join("a"));
    let error: unknown;
    try {
      await (take as (...args: unknown[]) => unknown)(...args);
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof TypeError, `${error}`);
    assert(error.message.startsWith(says), error.message);
    assertEquals([...Deno.readDirSync(dir.path)], []);
  });
}
