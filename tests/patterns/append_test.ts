/** What is appended stays whole, and so does what others append. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { appendBy, appendToFile } from "../../lib/patterns/append.ts";
import { FILE_CALLS, type FileCalls } from "../../lib/patterns/file/calls.ts";
import { LockError, SyscallError } from "../../lib/sys/error.ts";
import { runProgram } from "../support/run_program.ts";
import { cliArgs } from "../support/cli.ts";
import {
  giveAway,
  needsOrdinary,
  runCliAsOrdinary,
} from "../support/ordinary_user.ts";
import { needsMounts, PrivateMounts } from "../support/private_mounts.ts";
import { TempDir } from "../support/temp_dir.ts";
import { interceptCalls, smallDisk } from "./support/faults.ts";

Deno.test("appendToFile: a disk that is full after any byte leaves no part of a record", async () => {
  using dir = new TempDir();
  const path = dir.join("log");
  const record = "a record\n";
  for (let room = 0; room <= record.length; room++) {
    Deno.writeTextFileSync(path, "before\n");
    const calls = smallDisk(room, "unsupported");
    const error = await appendBy(calls, path, record)
      .then(() => undefined, (error) => error);
    const text = Deno.readTextFileSync(path);
    if (room === record.length) {
      assertEquals([error, text], [undefined, `before\n${record}`]);
      continue;
    }
    assertEquals([error.code, text], ["ENOSPC", "before\n"]);
    assert(error.message.endsWith("nothing was appended"), error.message);
  }
});

Deno.test("appendToFile: what another program appends meanwhile is never cut off", async () => {
  using dir = new TempDir();
  const path = dir.join("log");
  const record = "a record\n";
  // It appends between any two writes, and keeps the file open or not.
  for (const keepsOpen of [true, false]) {
    for (let room = 0; room < record.length; room++) {
      Deno.writeTextFileSync(path, "before\n");
      using other = Deno.openSync(path, { append: true });
      if (!keepsOpen) other.close();
      const disk = smallDisk(room, "unsupported");
      const calls: FileCalls = {
        ...disk,
        append: (fd, bytes) => {
          const count = disk.append(fd, bytes);
          if (keepsOpen) other.writeSync(new TextEncoder().encode("other\n"));
          else Deno.writeTextFileSync(path, "other\n", { append: true });
          return count;
        },
      };
      const error = await assertRejects(
        () => appendBy(calls, path, record),
        SyscallError,
      );
      const text = Deno.readTextFileSync(path);
      const others = text.match(/other\n/g)?.length;
      const part = text.replaceAll("other\n", "").slice("before\n".length);
      assert(text.startsWith("before\n"), text);
      assertEquals([others, part], [room === 0 ? 1 : 2, record.slice(0, room)]);
      assert(
        error.message.includes(
          room === 0
            ? "nothing was appended"
            : `${room} bytes of it are still there`,
        ),
        error.message,
      );
      if (!keepsOpen) Deno.openSync(path);
    }
  }
});

Deno.test("appendToFile: says where its record is, though others append without a lock", async () => {
  using dir = new TempDir();
  const path = dir.join("log");
  let foreign = false;
  const calls = interceptCalls((name) => {
    if (name !== "append" || foreign) return undefined;
    foreign = true;
    Deno.writeTextFileSync(path, "other\n", { append: true });
    return undefined;
  });
  const { startByte, lengthBytes } = await appendBy(calls, path, "mine\n");
  assertEquals([startByte, lengthBytes], [6n, 5n]);
  assertEquals(Deno.readTextFileSync(path), "other\nmine\n");
});

Deno.test("appendToFile: space is set aside before anything is written", async () => {
  using dir = new TempDir();
  const path = dir.join("log");
  const made: string[] = [];
  const calls = interceptCalls((name) => {
    made.push(name);
    return name === "reserve" ? -28 : undefined;
  });
  const error = await assertRejects(
    () => appendBy(calls, path, "x"),
    SyscallError,
  );
  assertEquals([error.code, made], ["ENOSPC", ["reserve"]]);
  assertEquals(FILE_CALLS.reserve.length, 3);
});

Deno.test("appendToFile: a directory is refused by its name", async () => {
  using dir = new TempDir();
  const error = await assertRejects(
    () => appendToFile(dir.path, "x"),
    LockError,
  );
  assert(/EISDIR|is a directory/.test(error.message), error.message);
});

Deno.test("append: a limit of file size (ulimit -f) leaves the file whole, and is named", async () => {
  using dir = new TempDir();
  const path = dir.join("log");
  // In blocks of 512 bytes, and large enough for what the runtime writes.
  const blocks = 64 * 1024;
  const length = 512 * blocks - 1000;
  Deno.writeTextFileSync(path, "");
  Deno.truncateSync(path, length);
  const { code, stderr } = await runProgram("sh", [
    "-c",
    `ulimit -f ${blocks}; head -c 2000 /dev/zero | "$@"`,
    "sh",
    Deno.execPath(),
    ...cliArgs(["append", path]),
  ], { env: { DENO_DIR: dir.join("cache") } });
  assertEquals([code, Deno.statSync(path).size], [73, length]);
  assert(/EFBIG.*see ulimit -f/.test(stderr), stderr);
});

const mounts = needsMounts();
Deno.test({
  name:
    `append: a full and a read-only disk give 73, and no part of a record${mounts.suffix}`,
  ignore: mounts.ignore,
  async fn() {
    using dir = new TempDir();
    await using disks = await PrivateMounts.create(
      dir.path,
      "mkdir full ro\nmount -t tmpfs -o size=64k none full\n" +
        "printf old >full/log\nmount -t tmpfs none ro\nprintf old >ro/log\n" +
        "mount -o remount,ro ro\n" +
        "head -c 1000000 /dev/zero >full/fill 2>/dev/null || :",
    );
    for (const [path, name] of [["full/log", "ENOSPC"], ["ro/log", "EROFS"]]) {
      const { code, stderr } = await disks.output("sh", [
        "-c",
        `cd "$1"; shift; head -c 10000 /dev/zero | { "$@"; code=$?;
          cat ${path} | head -c 10 >&2; exit $code; }`,
        "sh",
        dir.path,
        Deno.execPath(),
        ...cliArgs(["append", path!]),
      ]);
      const said = new TextDecoder().decode(stderr);
      assertEquals(code, 73, said);
      assert(said.includes(name!) && said.endsWith("\nold"), said);
    }
  },
});

const ordinary = await needsOrdinary();
Deno.test({
  name: `append: to a read-only file names the real error${ordinary.suffix}`,
  ignore: ordinary.ignore,
  async fn() {
    using dir = new TempDir();
    giveAway(dir.path);
    const path = dir.join("log");
    Deno.writeTextFileSync(path, "old");
    giveAway(path);
    Deno.chmodSync(path, 0o444);
    for (const command of [["append"], ["transform"]]) {
      const tail = command[0] === "append" ? [] : ["--", "true"];
      const { code, stderr } = await runCliAsOrdinary(
        [...command, path, ...tail],
      );
      assertEquals(code, 66, stderr);
      assert(stderr.includes(`"${path}": open returned EACCES`), stderr);
    }
    assertEquals(Deno.readTextFileSync(path), "old");
  },
});
