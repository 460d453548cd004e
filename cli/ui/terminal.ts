/**
 * What is shown on a terminal, and what becomes of it in a pipe.
 *
 * @module
 */

import { printable } from "../../lib/proc/printable.ts";
import { readEnv } from "./environment.ts";
import { writeError } from "./output.ts";

/** A standard stream. */
export type StandardStream = "stdin" | "stdout" | "stderr";

/** Whether a standard stream is a terminal. */
export function isTerminal(stream: StandardStream): boolean {
  return Deno[stream].isTerminal();
}

const FALLBACK_SIZE = { columns: 80, rows: 24 };

/** The size of the terminal, or 80 by 24 where a stream isn't one. */
export function terminalSize(
  stream: StandardStream,
): { columns: number; rows: number } {
  if (!isTerminal(stream)) return FALLBACK_SIZE;
  try {
    const { columns, rows } = Deno.consoleSize();
    // A serial line or a fresh pseudo-terminal says 0 by 0.
    if (columns > 0 && rows > 0) return { columns, rows };
  } catch {
    // The terminal has hung up.
  }
  return FALLBACK_SIZE;
}

const SGR = {
  bold: 1,
  dim: 2,
  red: 31,
  green: 32,
  yellow: 33,
  cyan: 36,
} as const;

/** Functions that set a text in bold, in colour, …, or leave it alone. */
export type Styles = Readonly<
  Record<keyof typeof SGR, (text: string) => string>
>;

/**
 * Whether to write colours to a stream: never with `NO_COLOR`
 * (no-color.org), always with `CLICOLOR_FORCE`, else on a terminal that knows
 * them.
 */
export function wantsColor(stream: "stdout" | "stderr"): boolean {
  if (readEnv("NO_COLOR") !== undefined) return false;
  if ((readEnv("CLICOLOR_FORCE") ?? "0") !== "0") return true;
  return isTerminal(stream) && readEnv("TERM") !== "dumb" &&
    readEnv("CLICOLOR") !== "0";
}

/** The styles for a stream. */
export function styles(stream: "stdout" | "stderr"): Styles {
  const color = wantsColor(stream);
  const entries = Object.entries(SGR).map(([name, code]) => [
    name,
    color ? (text: string) => `\x1b[${code}m${text}\x1b[0m` : String,
  ]);
  return Object.fromEntries(entries) as Styles;
}

/** Characters that add no column: combining marks, joiners, variants. */
const ZERO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/u;
/** Characters of two columns: East Asian Wide and Fullwidth, and emoji. */
const DOUBLE_WIDTH =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const ASCII = /^[\x20-\x7e]*$/;

function characterColumns(character: string): number {
  if (character < "\u0300") return 1;
  if (ZERO_WIDTH.test(character)) return 0;
  return DOUBLE_WIDTH.test(character) ? 2 : 1;
}

/** The columns a printable text takes on a terminal. */
export function textColumns(text: string): number {
  if (ASCII.test(text)) return text.length;
  let columns = 0;
  for (const character of text) columns += characterColumns(character);
  return columns;
}

/** A printable text cut to some columns, with `…` where something is gone. */
export function truncate(text: string, columns: number): string {
  if (textColumns(text) <= columns) return text;
  let kept = "";
  let left = columns - 1;
  for (const character of text) {
    left -= characterColumns(character);
    if (left < 0) break;
    kept += character;
  }
  return columns > 0 ? `${kept}…` : "";
}

/**
 * A few lines on stderr about something that goes on: on a terminal they
 * replace each other and go away in the end; elsewhere only the first ones are
 * written, as one line.
 */
export class StatusLine {
  readonly #onTerminal = isTerminal("stderr");
  #shownLines = 0;
  #written = false;

  /** Whether there is more to come: in a pipe one line is all. */
  get isLive(): boolean {
    return this.#onTerminal || !this.#written;
  }

  /**
   * Shows lines in place of the last ones.
   *
   * @param lines Any text; what could upset a terminal is made visible.
   */
  show(lines: readonly string[]): void {
    const [first = "", ...others] = lines.map(printable);
    if (!this.#onTerminal) {
      if (this.#written || lines.length === 0) return;
      this.#written = true;
      const rest = others.map((line) => line.trim()).join("; ");
      writeError(`${first}${rest === "" ? "" : ` ${rest}`}\n`);
      return;
    }
    const { columns, rows } = terminalSize("stderr");
    let shown = lines.length === 0 ? [] : [first, ...others];
    // The cursor can't go up to lines that have scrolled away.
    const most = Math.max(rows - 1, 1);
    if (shown.length > most) {
      const hidden = shown.length - most + 1;
      shown = [...shown.slice(0, most - 1), `… and ${hidden} more lines`];
    }
    const text = shown.map((line) => `${truncate(line, columns - 1)}\n`);
    writeError(this.#eraser() + text.join(""));
    this.#shownLines = shown.length;
  }

  /** Takes the lines away; in a pipe there is nothing to take away. */
  clear(): void {
    if (this.#shownLines === 0) return;
    writeError(this.#eraser());
    this.#shownLines = 0;
  }

  /** CUU to the first of our lines, then ED to the end of the screen. */
  #eraser(): string {
    return this.#shownLines === 0 ? "" : `\r\x1b[${this.#shownLines}A\x1b[J`;
  }
}
