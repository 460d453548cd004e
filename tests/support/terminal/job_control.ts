/**
 * Runs a command on a terminal of its own, as an interactive shell runs a job:
 * `COMMAND [ARGUMENT…]`.
 *
 * Reads orders from stdin, one a line: `type TEXT` types it, a string of JSON;
 * `signal NAME` signals the job's first process; `fg` puts the job back to the
 * foreground and continues it. The end of stdin kills the job.
 *
 * Prints `out LINE` for each line that appears on the terminal, `stopped` when
 * the first process stops, and `exit CODE` once it has ended, negative for a
 * signal.
 */

import { fromFileUrl } from "@std/path/from-file-url";
import { callLibc } from "../../../lib/sys/call.ts";
import { libc } from "../../../lib/sys/libc.ts";
import {
  closeFile,
  O_CLOEXEC,
  O_RDWR,
  openFile,
} from "../../../lib/sys/file.ts";
import {
  prepareCommand,
  waitForChange,
} from "../../../lib/sys/process/exec.ts";
import { ignoreSignal } from "../../../lib/sys/process/signals.ts";
import { lineSplitter } from "../line_splitter.ts";
import { say } from "../lock_script.ts";
import { openPseudoTerminal } from "./pseudo_terminal.ts";

const CONFIG = fromFileUrl(new URL("../../../deno.json", import.meta.url));
const FOREGROUND = fromFileUrl(new URL("./foreground.ts", import.meta.url));

const { symbols } = Deno.dlopen("libc.so.6", {
  setsid: { parameters: [], result: "i32" },
  tcsetpgrp: { parameters: ["i32", "i32"], result: "i32" },
  // Parked on a thread of its own, until the terminal prints something.
  read: {
    parameters: ["i32", "buffer", "usize"],
    result: "isize",
    nonblocking: true,
  },
});

const { master, path } = openPseudoTerminal();
if (symbols.setsid() < 0) throw new Error("cannot begin a session");
// The first that the leader of a session opens is its controlling terminal.
// Open to the end: what is printed would be lost while nobody had it open.
const terminal = openFile(path, O_RDWR | O_CLOEXEC);
ignoreSignal("SIGTTOU");
const job = prepareCommand([
  "sh",
  "-c",
  'exec "$@" <>"$0" >&0 2>&0',
  path,
  Deno.execPath(),
  ...["run", "--quiet", "--no-check", "--allow-ffi", "--config", CONFIG],
  FOREGROUND,
  ...Deno.args,
])();

const printed = showLines();
obey();
for (;;) {
  const change = await waitForChange(job);
  if (change.state === "stopped") {
    symbols.tcsetpgrp(terminal, Deno.pid);
    say("stopped");
  } else if (change.state !== "continued") {
    // Now reading ends after what is still to be read.
    closeFile(terminal);
    await printed;
    say(`exit ${change.state === "exited" ? change.code : -change.signal}`);
    Deno.exit();
  }
}

async function showLines(): Promise<void> {
  const lines = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const bytes = new Uint8Array(4096);
      const count = Number(
        await symbols.read(master, bytes, BigInt(bytes.length)),
      );
      if (count > 0) controller.enqueue(bytes.subarray(0, count));
      else controller.close();
    },
  }).pipeThrough(new TextDecoderStream()).pipeThrough(lineSplitter());
  for await (const line of lines) say(`out ${line.replace(/\r$/, "")}`);
}

async function obey(): Promise<void> {
  const orders = Deno.stdin.readable.pipeThrough(new TextDecoderStream())
    .pipeThrough(lineSplitter());
  for await (const order of orders) {
    const [, word, text] = /^(\w+) ?(.*)$/.exec(order)!;
    if (word === "type") {
      const bytes = new TextEncoder().encode(JSON.parse(text!));
      callLibc(() => libc.write(master, bytes, BigInt(bytes.length)));
    } else if (word === "signal") {
      Deno.kill(job, text as Deno.Signal);
    } else if (word === "fg") {
      symbols.tcsetpgrp(terminal, job);
      Deno.kill(-job, "SIGCONT");
    }
  }
  Deno.kill(-job, "SIGKILL");
}
