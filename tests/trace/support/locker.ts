/**
 * A process that locks files as its stdin says, a command a line: `lock FILE`,
 * `try FILE`, `share FILE`, `unlock FILE`; FILE is the number of an argument.
 * Answers a line each.
 */
import { callLibc } from "../../../lib/sys/call.ts";
import { O_CREAT, O_RDWR, openFile } from "../../../lib/sys/file.ts";
import { libc } from "../../../lib/sys/libc.ts";

/* include/uapi/asm-generic/fcntl.h */
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

const OPERATIONS: Readonly<Record<string, number>> = {
  lock: LOCK_EX,
  try: LOCK_EX | LOCK_NB,
  share: LOCK_SH,
  unlock: LOCK_UN,
};

const fds = Deno.args.map((path) => openFile(path, O_RDWR | O_CREAT));
const answers: Readonly<Record<string, string>> = { 0: "done", [-11]: "busy" };

console.log("ready");
let rest = "";
for await (
  const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())
) {
  const lines = (rest + chunk).split("\n");
  rest = lines.pop()!;
  for (const line of lines) {
    const [command, file] = line.split(" ");
    const fd = fds[Number(file)]!;
    const operation = OPERATIONS[command!]!;
    const result = callLibc(() => libc.flock(fd, operation));
    console.log(answers[result] ?? `error ${result}`);
  }
}
