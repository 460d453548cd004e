/**
 * A process that does record locking by holdfast as its stdin says, a command
 * a line: `set|get ofd|posix FD TYPE START LENGTH`; `FD` is 0 or 1, two
 * descriptions of one file. Answers a line each.
 */

import { LockableFile } from "../../../lib/lock/record/range_locks.ts";
import {
  RECORD_LOCK_COMMANDS,
  type RecordLockKind,
  type RecordLockType,
} from "../../../lib/lock/record/record_lock.ts";

const path = Deno.args[0]!;
const files = [new LockableFile(path), new LockableFile(path)];

async function* lines(): AsyncGenerator<string> {
  let rest = "";
  for await (
    const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())
  ) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
}

console.log("ready");
for await (const line of lines()) {
  const [command, kind, fd, type, start, length] = line.split(" ");
  const commands = RECORD_LOCK_COMMANDS[kind as RecordLockKind];
  const request = {
    type: type as RecordLockType,
    startByte: BigInt(start!),
    lengthBytes: BigInt(length!),
  };
  const file = files[Number(fd)]!;
  if (command === "set") {
    console.log(commands.set(file.fd, request) ? "granted" : "busy");
  } else {
    const lock = commands.get(file.fd, request);
    console.log(
      lock === undefined
        ? "free"
        : `${lock.type} ${lock.startByte} ${lock.lengthBytes} ${lock.pid}`,
    );
  }
}
