import { assertEquals, assertThrows } from "@std/assert";
import { parseEventFormat } from "../../../lib/proc/trace/event_format.ts";
import { allocatePage } from "../../../lib/proc/trace/ring_page.ts";
import { EventDecoder } from "../../../lib/proc/trace/trace_event.ts";
import {
  ADD_LEASE_FORMAT,
  EXEC_FORMAT,
  EXIT_FORMAT,
  FLOCK_FORMAT,
  FORK_FORMAT,
  OLD_FLOCK_FORMAT,
  POSIX_FORMAT,
  SIGNAL_FORMAT,
} from "./formats.ts";

/** Decodes an event whose fields have these values. */
function decode(formatText: string, values: Record<string, bigint | string>) {
  const format = parseEventFormat(formatText);
  const page = allocatePage(4096);
  // Not at the start of the page: offsets must be added.
  const at = 64;
  let end = at + 256;
  page.view.setUint16(at, format.id, true);
  for (const [name, value] of Object.entries(values)) {
    const { offset, size, cType } = format.fields.get(name)!;
    if (typeof value === "string") {
      const bytes = new TextEncoder().encode(value + "\0");
      if (cType.startsWith("__data_loc")) {
        page.bytes.set(bytes, end);
        page.view.setUint32(at + offset, bytes.length << 16 | end - at, true);
        end += bytes.length;
      } else page.bytes.set(bytes, at + offset);
    } else if (size === 8) {
      page.view.setBigUint64(at + offset, BigInt.asUintN(64, value), true);
    } else if (size === 4) {
      page.view.setUint32(at + offset, Number(BigInt.asUintN(32, value)), true);
    } else page.bytes[at + offset] = Number(value);
  }
  return new EventDecoder([format]).decode(page, at, 123);
}

const MAX = (1n << 63n) - 1n;

Deno.test("a flock line is decoded, by new and by old names", () => {
  const expected = {
    event: "flock" as const,
    timeNs: 123,
    threadId: 77,
    device: 254 << 20 | 3,
    inodeLow: 5,
    inodeHigh: 0x8000_0001,
    owner: 0x1f_8881_2345_6780,
    flags: 130,
    type: 1,
    processId: 70,
    startByte: 0n,
    endByte: undefined,
    result: -11,
  };
  const values = {
    common_pid: 77n,
    i_ino: 0x8000_0001_0000_0005n,
    s_dev: BigInt(expected.device),
    fl_start: 0n,
    fl_end: MAX,
    ret: -11n,
  };
  const owner = 0xffff_8881_2345_6780n;
  assertEquals(
    decode(FLOCK_FORMAT, {
      ...values,
      owner,
      pid: 70n,
      flags: 130n,
      type: 1n,
    }),
    expected,
  );
  assertEquals(
    decode(OLD_FLOCK_FORMAT, {
      ...values,
      fl_owner: owner,
      fl_pid: 70n,
      fl_flags: 130n,
      fl_type: 1n,
    }),
    expected,
  );
});

Deno.test("the range of a record lock is exact to 63 bits", () => {
  const event = decode(POSIX_FORMAT, { fl_start: 1n << 53n, fl_end: MAX - 1n });
  assertEquals(event?.event, "posix");
  if (event?.event !== "posix") return;
  assertEquals(event.startByte, 1n << 53n);
  assertEquals(event.endByte, MAX - 1n);
});

Deno.test("processes, signals and leases are decoded", () => {
  assertEquals(
    decode(FORK_FORMAT, { parent_pid: 5n, child_pid: 6n, child_comm: "ba sh" }),
    { event: "fork", timeNs: 123, threadId: 5, childId: 6, comm: "ba sh" },
  );
  assertEquals(decode(EXEC_FORMAT, { common_pid: 6n, filename: "/bin/ls" }), {
    event: "exec",
    timeNs: 123,
    threadId: 6,
    filename: "/bin/ls",
  });
  const exit = { event: "exit" as const, timeNs: 123, threadId: 6, comm: "ls" };
  const exitValues = { common_pid: 6n, comm: "ls" };
  assertEquals(decode(EXIT_FORMAT, { ...exitValues, group_dead: 1n }), {
    ...exit,
    isLast: true,
  });
  const olderExit = EXIT_FORMAT.replace(/.*group_dead.*\n?/, "");
  assertEquals(decode(olderExit, exitValues), { ...exit, isLast: undefined });
  const signal = { common_pid: 6n, sig: 2n };
  const base = {
    event: "signal" as const,
    timeNs: 123,
    threadId: 6,
    signal: 2,
  };
  assertEquals(
    decode(SIGNAL_FORMAT, {
      ...signal,
      sa_handler: 0x7f00_0000_0000n,
      sa_flags: 0x1000_0000n,
    }),
    { ...base, handled: true, restarts: true },
  );
  // SIG_IGN
  assertEquals(decode(SIGNAL_FORMAT, { ...signal, sa_handler: 1n }), {
    ...base,
    handled: false,
    restarts: false,
  });
  const lease = decode(ADD_LEASE_FORMAT, { common_pid: 9n, i_ino: 4n });
  assertEquals(lease?.event, "lease-add");
  assertEquals(lease?.threadId, 9);
});

Deno.test("events of other kinds are passed over", () => {
  const decoder = new EventDecoder([
    { name: "sched_switch", id: 3, fields: new Map() },
  ]);
  const page = allocatePage(64);
  page.view.setUint16(0, 3, true);
  assertEquals(decoder.decode(page, 0, 0), undefined);
  page.view.setUint16(0, 9999, true);
  assertEquals(decoder.decode(page, 0, 0), undefined);
});

Deno.test("a kernel whose event lacks a field is refused by name", () => {
  const format = parseEventFormat("name: flock_lock_inode\nID: 7\n");
  assertThrows(
    () => new EventDecoder([format]),
    TypeError,
    "event flock_lock_inode has no field common_pid",
  );
});
