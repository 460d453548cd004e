/**
 * Waits in vain for a lock of each kind in the directory given, and prints what
 * the error is called.
 */

import { acquireLinkLock, tryLinkLock } from "../../lib/acquire/link_lock.ts";
import * as holdfast from "../../mod.ts";
import * as flock from "../../lib/lock/flock/mod.ts";
import * as record from "../../lib/acquire/record_lock.ts";
import * as patterns from "../../lib/patterns/mod.ts";

const [directory] = Deno.args as [string];
const path = `${directory}/a`;
const soon = { timeoutMs: 20 };

const WAITS: Readonly<Record<string, () => Promise<unknown>>> = {
  acquire: async () => {
    using _busy = flock.tryFlock(path);
    await holdfast.acquire(path, soon);
  },
  "acquire, now": async () => {
    using _busy = flock.tryFlock(path);
    await holdfast.acquire(path, { timeoutMs: 0 });
  },
  acquireRecordLock: async () => {
    using _busy = record.tryRecordLock(path);
    await record.acquireRecordLock(path, soon);
  },
  "acquireRecordLock, posix": async () => {
    using _busy = record.tryRecordLock(path);
    await record.acquireRecordLock(path, { ...soon, kind: "posix" });
  },
  acquireBothLocks: async () => {
    using _busy = flock.tryFlock(path);
    await record.acquireBothLocks(path, soon);
  },
  acquireAll: async () => {
    using _busy = flock.tryFlock(path);
    await holdfast.acquireAll([path, `${path}2`], soon);
  },
  acquireFair: async () => {
    using _busy = flock.tryFlock(path);
    await patterns.acquireFair(path, soon);
  },
  "acquireFair, in the line": async () => {
    using _busy = await patterns.acquireFair(path);
    await patterns.acquireFair(path, soon);
  },
  upgrade: async () => {
    using shared = flock.tryFlock(path, { mode: "shared" })!;
    using _other = flock.tryFlock(path, { mode: "shared" });
    await patterns.upgrade(shared, soon);
  },
  transformFile: async () => {
    using _busy = flock.tryFlock(path);
    await patterns.transformFile(path, (content) => content, soon);
  },
  acquireSlots: async () => {
    const slots = `${directory}/slots`;
    using _busy = await patterns.acquireSlots(slots, { slots: 1 });
    await patterns.acquireSlots(slots, { ...soon, slots: 1 });
  },
  acquireCpus: async () => {
    const cpus = { cpus: 1, allowed: [0], directory: `${directory}/cpus` };
    using _busy = await patterns.acquireCpus(cpus);
    await patterns.acquireCpus({ ...cpus, ...soon });
  },
  acquireLinkLock: async () => {
    using _busy = tryLinkLock(`${directory}/link`);
    await acquireLinkLock(`${directory}/link`, soon);
  },
};

for (const [name, wait] of Object.entries(WAITS)) {
  const error = await wait().then(() => undefined, (error) => error);
  console.log(`${name}: ${error?.name}`);
}
