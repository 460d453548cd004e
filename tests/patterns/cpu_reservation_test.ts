import { ensureDirSync } from "@std/fs/ensure-dir";
import { dirname } from "@std/path/dirname";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  acquireCpus,
  type AcquireCpusOptions,
  CpuTimeoutError,
} from "../../lib/patterns/cpu_reservation.ts";
import { readCacheDomains } from "../../lib/patterns/cpu_topology.ts";
import { getAffinity, setAffinity } from "../../lib/sys/process/affinity.ts";
import { SyscallError } from "../../lib/sys/error.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { TempDir } from "../support/temp_dir.ts";

/** A /sys/devices/system of files: contents by path. */
function writeTree(root: string, files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    const full = `${root}/${path}`;
    ensureDirSync(dirname(full));
    Deno.writeTextFileSync(full, `${content}\n`);
  }
}

/** Two sockets of two caches each, of two cores with two threads: as AMD. */
function epycTree(): Record<string, string> {
  const files: Record<string, string> = {
    "cpu/online": "0-15",
    "node/node0/cpulist": "0-3,8-11",
    "node/node1/cpulist": "4-7,12-15",
    "node/online": "0-1",
  };
  for (let cpu = 0; cpu < 16; cpu++) {
    const core = cpu % 8;
    const first = core - core % 2;
    const cache = (
      index: number,
      level: number,
      type: string,
      list: string,
    ) => {
      const path = `cpu/cpu${cpu}/cache/index${index}`;
      files[`${path}/level`] = String(level);
      files[`${path}/type`] = type;
      files[`${path}/shared_cpu_list`] = list;
    };
    cache(0, 1, "Data", `${core},${core + 8}`);
    cache(1, 1, "Instruction", `${core},${core + 8}`);
    cache(2, 2, "Unified", `${core},${core + 8}`);
    cache(3, 3, "Unified", `${first}-${first + 1},${first + 8}-${first + 9}`);
  }
  return files;
}

const ALL = Array.from({ length: 16 }, (_, cpu) => cpu);

function testSetup(): { dir: TempDir; base: AcquireCpusOptions } & Disposable {
  const dir = new TempDir();
  writeTree(dir.join("sys"), epycTree());
  return {
    dir,
    base: {
      directory: dir.join("locks"),
      topologyRoot: dir.join("sys"),
      allowed: ALL,
      timeoutMs: 0,
    },
    [Symbol.dispose]: () => dir[Symbol.dispose](),
  };
}

Deno.test("readCacheDomains: last-level caches and their nodes", () => {
  using dir = new TempDir();
  writeTree(dir.path, epycTree());
  assertEquals(readCacheDomains(dir.path), [
    { index: 0, cpus: [0, 1, 8, 9], node: 0 },
    { index: 1, cpus: [2, 3, 10, 11], node: 0 },
    { index: 2, cpus: [4, 5, 12, 13], node: 1 },
    { index: 3, cpus: [6, 7, 14, 15], node: 1 },
  ]);
});

Deno.test("readCacheDomains: packages without caches, CPUs offline", () => {
  using dir = new TempDir();
  writeTree(dir.path, {
    "cpu/online": "0,2-3",
    "cpu/cpu0/topology/physical_package_id": "0",
    "cpu/cpu2/topology/physical_package_id": "1",
    "cpu/cpu3/topology/physical_package_id": "0",
  });
  assertEquals(readCacheDomains(dir.path), [
    { index: 0, cpus: [0, 3], node: undefined },
    { index: 1, cpus: [2], node: undefined },
  ]);
  assertThrows(() => readCacheDomains(dir.join("none")), SyscallError);
});

Deno.test("readCacheDomains: this host's CPUs, each once", () => {
  const cpus = readCacheDomains().flatMap(({ cpus }) => cpus);
  assertEquals(new Set(cpus).size, cpus.length);
  assert(getAffinity().every((cpu) => cpus.includes(cpu)));
});

Deno.test("acquireCpus: one cache domain first, then all of them", async () => {
  using setup = testSetup();
  const { base } = setup;
  using three = await acquireCpus({ ...base, cpus: 3 });
  assertEquals([three.cpus, three.domains], [[0, 1, 8], [0]]);
  using two = await acquireCpus({ ...base, cpus: 2 });
  assertEquals([two.cpus, two.domains], [[2, 3], [1]]);
  using six = await acquireCpus({ ...base, cpus: 6 });
  assertEquals([six.cpus, six.domains], [[4, 5, 9, 10, 11, 12], [0, 1, 2]]);
  await assertRejects(
    () => acquireCpus({ ...base, cpus: 6 }),
    CpuTimeoutError,
  );
  three.release();
  two.release();
  using more = await acquireCpus({ ...base, cpus: 3, sameDomain: true });
  assertEquals(more.cpus, [0, 1, 8]);
});

Deno.test("acquireCpus: performance wants the cache for itself", async () => {
  using setup = testSetup();
  const { base } = setup;
  using quiet = await acquireCpus({ ...base, cpus: 1, use: "performance" });
  assertEquals(quiet.cpus, [0]);
  using next = await acquireCpus({ ...base, cpus: 1 });
  assertEquals(next.cpus, [2]);
  const error = await assertRejects(
    () => acquireCpus({ ...base, cpus: [2], use: "performance" }),
    CpuTimeoutError,
  );
  assertEquals(error.busy.map(({ name }) => name), ["LLC 1"]);
  assertEquals(error.busy[0]!.holders.map(({ pid }) => pid), [Deno.pid]);
  assert(error.message.includes("\nLLC 1 busy\n  pid="), error.message);
});

Deno.test("acquireCpus: shared CPUs are shared with the sharing only", async () => {
  using setup = testSetup();
  const { base } = setup;
  using _one = await acquireCpus({ ...base, cpus: [5], use: "shared" });
  using two = await acquireCpus({ ...base, cpus: [5], use: "shared" });
  assertEquals(two.cpus, [5]);
  const error = await assertRejects(
    () => acquireCpus({ ...base, cpus: [4, 5] }),
    CpuTimeoutError,
  );
  assertEquals(error.busy.map(({ name }) => name), ["CPU 5"]);
  // All or none: CPU 4 was given back.
  using four = await acquireCpus({ ...base, cpus: [4] });
  assertEquals(four.cpus, [4]);
});

Deno.test("acquireCpus: whole cache domains", async () => {
  using setup = testSetup();
  const { base } = setup;
  using _one = await acquireCpus({ ...base, cpus: [9] });
  using two = await acquireCpus({ ...base, domains: 2 });
  assertEquals([two.cpus, two.domains], [
    [2, 3, 4, 5, 10, 11, 12, 13],
    [1, 2],
  ]);
  await assertRejects(
    () => acquireCpus({ ...base, domains: [0] }),
    CpuTimeoutError,
    "CPU 9 busy",
  );
  using last = await acquireCpus({ ...base, domains: [3] });
  assertEquals(last.cpus, [6, 7, 14, 15]);
});

Deno.test("acquireCpus: waits, and leaves nothing behind", async () => {
  using setup = testSetup();
  const { base } = setup;
  const all = await acquireCpus({ ...base, cpus: 16 });
  await assertRejects(() => acquireCpus({ ...base, cpus: 1 }), CpuTimeoutError);
  const before = openDescriptors();
  await assertRejects(() => acquireCpus({ ...base, cpus: 1 }), CpuTimeoutError);
  assertEquals(openDescriptors(), before);
  using one = await acquireCpus({
    ...base,
    cpus: 1,
    timeoutMs: 10_000,
    onWait: () => all.release(),
  });
  assertEquals(one.cpus, [0]);
});

Deno.test("acquireCpus: what can't ever be", async () => {
  using setup = testSetup();
  const { base } = setup;
  const allowed = [0, 1, 2];
  for (
    const options of [
      { cpus: 0 },
      { cpus: 17 },
      { cpus: 5, sameDomain: true },
      { cpus: 4, allowed },
      { cpus: [3], allowed },
      { cpus: [1, 2], sameDomain: true },
      { cpus: [] },
      { cpus: [99] },
      { domains: 5 },
      { domains: [4] },
      { cpus: 1, domains: 1 },
      {},
    ]
  ) await assertRejects(() => acquireCpus({ ...base, ...options }), RangeError);
});

Deno.test("setAffinity: commands inherit it", () => {
  const before = getAffinity();
  const one = before.at(-1)!;
  setAffinity([one]);
  try {
    assertEquals(getAffinity(), [one]);
  } finally {
    setAffinity(before);
  }
  assertEquals(getAffinity(), before);
  assertThrows(() => setAffinity([8191]), SyscallError);
});
