/**
 * Where a trace is written, and in which form.
 *
 * @module
 */

import {
  TraceLineWriter,
  type TraceNote,
  type TraceSource,
} from "../../../lib/trace/json.ts";
import { ENXIO } from "../../../lib/sys/errno.ts";
import { SyscallError } from "../../../lib/sys/error.ts";
import { closeFile } from "../../../lib/sys/file.ts";
import { writeAll } from "../../../lib/sys/storage/content.ts";
import { openOutput } from "../../../lib/sys/storage/output.ts";
import type { TraceBatch } from "../../../lib/trace/session.ts";
import type { ParsedOptions } from "../../args/parse.ts";
import { writeError, writeOut } from "../../ui/output.ts";
import { isTerminal, styles } from "../../ui/terminal.ts";
import { formatActivity } from "./text.ts";

/** Writes batches down. */
export interface Printer extends Disposable {
  /** Writes a batch. */
  print(batch: TraceBatch): void;
  /** Writes what there is to say in the end. */
  end(): void;
}

/** The printer for the options `--output`, `--json` and `--text`. */
export function openPrinter(
  options: ParsedOptions,
  source: TraceSource,
): Printer {
  const path = options.value("output");
  if (path !== undefined) {
    const file = new OutputFile(path);
    return new JsonPrinter(
      source,
      (text) => file.write(text),
      () => file.close(),
    );
  }
  const isJson = options.flag("json") ||
    !options.flag("text") && !isTerminal("stdout");
  return isJson ? new JsonPrinter(source, writeOut) : new TextPrinter();
}

/** The file of `--output`. */
class OutputFile {
  readonly #path: string;
  readonly #fd: number;
  readonly #encoder = new TextEncoder();

  constructor(path: string) {
    this.#path = path;
    this.#fd = openOutput(path, "truncate");
    if (this.#fd < 0) this.#fail("open", this.#fd);
  }

  write(text: string): void {
    const result = writeAll(this.#fd, this.#encoder.encode(text));
    if (result < 0) this.#fail("write", result);
  }

  close(): void {
    closeFile(this.#fd);
  }

  #fail(syscall: string, result: number): never {
    const advice = result === -ENXIO
      ? "if it is a FIFO, read it first"
      : undefined;
    const path = this.#path;
    const errno = -result;
    throw new SyscallError(`${syscall} trace`, {
      syscall,
      errno,
      path,
      advice,
    });
  }
}

/** Characters that are written at once. */
const PIECE_LENGTH = 1 << 15;

class JsonPrinter implements Printer {
  readonly #writer = new TraceLineWriter();
  readonly #source: TraceSource;
  readonly #write: (text: string) => void;
  readonly #close: (() => void) | undefined;
  #last: TraceBatch | undefined;

  constructor(
    source: TraceSource,
    write: (text: string) => void,
    close?: () => void,
  ) {
    this.#source = source;
    this.#write = write;
    this.#close = close;
  }

  print(batch: TraceBatch): void {
    const { activities, lost, untilMs } = batch;
    if (this.#last === undefined) {
      const event = "trace-started";
      const source = this.#source;
      this.#note({ event, timeMs: untilMs, source, pid: Deno.pid });
    }
    this.#last = batch;
    if (lost > 0) this.#note({ event: "lost", timeMs: untilMs, count: lost });
    // In pieces: a long text would outlive the garbage collector's nursery.
    let text = "";
    for (const activity of activities) {
      text += this.#writer.activity(activity);
      if (text.length < PIECE_LENGTH) continue;
      this.#write(text);
      text = "";
    }
    if (text !== "") this.#write(text);
  }

  end(): void {
    if (this.#last === undefined) return;
    const { untilMs, totalReceived, totalLost } = this.#last;
    this.#note({
      event: "trace-ended",
      timeMs: untilMs,
      received: totalReceived,
      lost: totalLost,
    });
    reportLost(this.#last);
  }

  [Symbol.dispose](): void {
    this.#close?.();
  }

  #note(note: TraceNote): void {
    this.#write(this.#writer.note(note));
  }
}

class TextPrinter implements Printer {
  readonly #styles = styles("stdout");
  #last: TraceBatch | undefined;

  print(batch: TraceBatch): void {
    const { activities, lost } = batch;
    this.#last = batch;
    if (lost > 0) writeError(`holdfast trace: ${lost} events are lost here\n`);
    if (activities.length === 0) return;
    writeOut(
      activities.map((each) => `${formatActivity(each, this.#styles)}\n`)
        .join(""),
    );
  }

  end(): void {
    if (this.#last !== undefined) reportLost(this.#last);
  }

  [Symbol.dispose](): void {}
}

function reportLost({ totalReceived, totalLost }: TraceBatch): void {
  if (totalLost === 0) return;
  const all = totalReceived + totalLost;
  writeError(
    `holdfast trace: ${totalLost} of ${all} events came faster than they ` +
      "could be read and are lost; --buffer gives them more room\n",
  );
}
