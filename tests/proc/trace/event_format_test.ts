import { assertEquals, assertThrows } from "@std/assert";
import { ProcParseError } from "../../../lib/proc/error.ts";
import {
  parseEventFormat,
  parsePageLayout,
} from "../../../lib/proc/trace/event_format.ts";
import { FLOCK_FORMAT } from "./formats.ts";

Deno.test("a format file gives name, id and fields", () => {
  const { name, id, fields } = parseEventFormat(FLOCK_FORMAT);
  assertEquals(name, "flock_lock_inode");
  assertEquals(id, 1125);
  assertEquals([...fields.keys()], [
    "common_type",
    "common_flags",
    "common_preempt_count",
    "common_pid",
    "fl",
    "i_ino",
    "s_dev",
    "blocker",
    "owner",
    "pid",
    "flags",
    "type",
    "fl_start",
    "fl_end",
    "ret",
  ]);
  assertEquals(fields.get("owner"), {
    cType: "fl_owner_t",
    name: "owner",
    offset: 40,
    size: 8,
    signed: false,
  });
});

Deno.test("an array keeps its brackets in the type", () => {
  const text = "name: x\nID: 1\nformat:\n" +
    "\tfield:char comm[16];\toffset:8;\tsize:16;\tsigned:0;\n" +
    "\tfield:__data_loc char[] filename;\toffset:24;\tsize:4;\tsigned:0;\n";
  const { fields } = parseEventFormat(text);
  assertEquals(fields.get("comm")?.cType, "char[16]");
  assertEquals(fields.get("filename")?.cType, "__data_loc char[]");
});

Deno.test("a format without name, id or a whole field is an error", () => {
  for (
    const text of [
      "",
      "ID: 7\n",
      "name: x\n",
      "name: x\nID: 7\n\tfield:int a;\toffset:8;\tsize:four;\tsigned:1;\n",
    ]
  ) {
    const error = assertThrows(
      () => parseEventFormat(text, "events/x/format"),
      ProcParseError,
    );
    assertEquals(error.source, "events/x/format");
  }
});

Deno.test("the page layout is read from header_page", () => {
  const text = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n" +
    "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n" +
    "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n" +
    "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n";
  assertEquals(parsePageLayout(text), {
    timestampOffset: 0,
    commitOffset: 8,
    dataOffset: 16,
  });
  assertThrows(() => parsePageLayout(text.split("\n")[0]!), ProcParseError);
});
