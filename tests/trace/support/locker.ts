/**
 * A process that locks files as its stdin says, a command a line: `lock FILE`,
 * `try FILE`, `share FILE`, `unlock FILE`; FILE is the number of an argument.
 * Answers a line each.
 */
import { O_CREAT, O_RDWR, openFile } from "../../../lib/sys/file.ts";
import { flockAsleep, flockNow, unflock } from "../../../lib/sys/lock/flock.ts";

const OPERATIONS: Readonly<Record<string, (fd: number) => number>> = {
  lock: (fd) => flockAsleep(fd, "exclusive"),
  try: (fd) => flockNow(fd, "exclusive"),
  share: (fd) => flockAsleep(fd, "shared"),
  unlock: unflock,
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
    const result = OPERATIONS[command!]!(fd);
    console.log(answers[result] ?? `error ${result}`);
  }
}
