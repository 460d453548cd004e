import { assertEquals, assertThrows } from "@std/assert";
import { formatCpuList, parseCpuList } from "../../lib/proc/cpulist.ts";
import { ProcParseError } from "../../lib/proc/error.ts";

Deno.test("parseCpuList: what the kernel writes", () => {
  assertEquals(parseCpuList("\n"), []);
  assertEquals(parseCpuList("0\n"), [0]);
  assertEquals(parseCpuList("0-3,8,10-11\n"), [0, 1, 2, 3, 8, 10, 11]);
  assertEquals(parseCpuList("8,0-1,1"), [0, 1, 8]);
});

Deno.test("parseCpuList: what it doesn't", () => {
  for (
    const text of ["a", "1-", "-1", "3-1", "1,,2", "0-99999", "1 2", "0x1"]
  ) assertThrows(() => parseCpuList(text), ProcParseError);
});

Deno.test("formatCpuList: reads back as it was", () => {
  for (let round = 0; round < 200; round++) {
    const cpus = Array.from({ length: 64 }, (_, cpu) => cpu)
      .filter(() => Math.random() < 0.6);
    assertEquals(parseCpuList(formatCpuList(cpus.toReversed())), cpus);
  }
  assertEquals(formatCpuList([3, 1, 2, 8, 8]), "1-3,8");
});
