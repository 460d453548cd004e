/**
 * Locks over time: a table that refreshes in place, or a line for each change.
 *
 * @module
 */

import type { LockTable } from "../../../lib/inspect/lock_table.ts";
import { writeOut } from "../../ui/output.ts";
import { isTerminal, terminalSize, truncate } from "../../ui/terminal.ts";
import { LockChanges } from "./change.ts";

/**
 * Shows lines again and again until SIGINT or SIGTERM: on a terminal in place
 * and taken away in the end, elsewhere one table after another.
 */
export async function watchTable(
  read: () => string[],
  intervalMs: number,
): Promise<void> {
  const onTerminal = isTerminal("stdout");
  let shownRows = 0;
  let isFirst = true;
  const show = () => {
    const lines = read();
    if (!onTerminal) {
      const gap = isFirst ? "" : "\n";
      writeOut(gap + lines.map((line) => `${line}\n`).join(""));
      isFirst = false;
      return;
    }
    const { rows, columns } = terminalSize("stdout");
    const room = Math.max(1, rows - 2);
    const shown = lines.length <= room ? lines : [
      ...lines.slice(0, room - 1),
      `… and ${lines.length - room + 1} more`,
    ];
    const time = new Date().toLocaleTimeString("en-GB");
    const status = truncate(
      `every ${intervalMs / 1000} s, ${time}; Ctrl-C ends it`,
      columns,
    );
    writeOut(
      eraser(shownRows) + [...shown, status].map((l) => `${l}\n`).join(""),
    );
    shownRows = shown.length + 1;
  };
  try {
    await repeat(show, intervalMs, () => {
      // Lines may have wrapped: what was shown can't be found again.
      if (onTerminal) writeOut("\x1b[H\x1b[J");
      shownRows = 0;
      show();
    });
  } finally {
    if (onTerminal) writeOut(eraser(shownRows));
  }
}

/** CUU to the first line shown, then ED to the end of the screen. */
function eraser(rows: number): string {
  return rows === 0 ? "" : `\r\x1b[${rows}A\x1b[J`;
}

/** Writes a JSON line for what is there, then for each change. */
export async function watchChanges(
  read: () => LockTable,
  intervalMs: number,
): Promise<void> {
  const changes = new LockChanges();
  await repeat(() => {
    const text = [...changes.next(read())].join("");
    if (text !== "") writeOut(text);
  }, intervalMs);
}

/** Calls now and every interval, until SIGINT, SIGTERM or a closed pipe. */
async function repeat(
  tick: () => void,
  intervalMs: number,
  onResize: () => void = () => {},
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const guarded = (action: () => void) => () => {
    try {
      action();
    } catch (error) {
      // `| head` has seen enough.
      if (error instanceof Deno.errors.BrokenPipe) resolve();
      else reject(error);
    }
  };
  const resized = guarded(onResize);
  const stop = () => resolve();
  Deno.addSignalListener("SIGINT", stop);
  Deno.addSignalListener("SIGTERM", stop);
  Deno.addSignalListener("SIGWINCH", resized);
  guarded(tick)();
  const timer = setInterval(guarded(tick), intervalMs);
  try {
    await promise;
  } finally {
    clearInterval(timer);
    Deno.removeSignalListener("SIGINT", stop);
    Deno.removeSignalListener("SIGTERM", stop);
    Deno.removeSignalListener("SIGWINCH", resized);
  }
}
