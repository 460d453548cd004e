/**
 * A trace for people: a line for each thing that happens.
 *
 * @module
 */

import { PATH_NOTES } from "../../ui/path_notes.ts";
import { formatDuration } from "../../args/duration.ts";
import { printable } from "../../../lib/proc/printable.ts";
import { fileKey, type LockActivity } from "../../../lib/trace/activity.ts";
import type { Styles } from "../../ui/terminal.ts";

/** Written under each other; the longest word has eight letters. */
const EVENT_WIDTH = 8;

const COLORS = {
  held: "dim",
  waiting: "yellow",
  acquired: "green",
  refused: "red",
  released: "dim",
  "gave-up": "red",
  breaking: "yellow",
  broken: "green",
} as const satisfies Record<LockActivity["event"], keyof Styles>;

/** One line, without its line end. */
export function formatActivity(activity: LockActivity, styles: Styles): string {
  const { event, file, type, mode, process, startByte, endByte } = activity;
  const name = file.path === undefined
    ? fileKey(file)
    : printable(file.path) + PATH_NOTES[file.pathStatus];
  const range = startByte === 0n && endByte === undefined
    ? ""
    : `[${startByte}-${endByte ?? "EOF"}]`;
  const word = styles[COLORS[event]](event.padEnd(EVENT_WIDTH));
  const words = [
    styles.dim(clockTime(activity.timeMs)),
    word,
    `${type} ${mode} ${name}${range}`,
    `pid ${process.pid} ${printable(process.command)}`,
    ...details(activity),
  ];
  return words.join("  ");
}

function details(activity: LockActivity): string[] {
  const { waitedMs, heldMs, holders, reason } = activity;
  const said: string[] = [];
  if (waitedMs !== undefined) said.push(`waited ${formatDuration(waitedMs)}`);
  if (heldMs !== undefined) said.push(`held ${formatDuration(heldMs)}`);
  if (reason !== undefined) said.push(`(${reason})`);
  if (holders !== undefined && holders.length > 0) {
    const who = holders.map(({ process, heldMs }) =>
      `pid ${process.pid} ${printable(process.command)}` +
      (heldMs === undefined ? "" : `, for ${formatDuration(heldMs)}`)
    );
    said.push(`held by ${who.join("; ")}`);
  }
  return said;
}

/** The time of day here, with microseconds. */
function clockTime(timeMs: number): string {
  const whole = Math.floor(timeMs);
  const date = new Date(whole);
  const two = (value: number) => String(value).padStart(2, "0");
  const micros = Math.floor((timeMs - whole) * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}:` +
    `${two(date.getSeconds())}.` +
    String(date.getMilliseconds() * 1000 + micros).padStart(6, "0");
}
