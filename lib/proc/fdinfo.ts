/**
 * Parser of /proc/PID/fdinfo/FD, see proc_pid_fdinfo(5).
 *
 * Text in, values out: nothing is read and no permission is needed. The reader
 * decodes the file as UTF-8, with U+FFFD for bytes that aren't.
 *
 * @module
 */
import { ProcParseError, type ProcParseOptions, reportLine } from "./error.ts";
import { type ProcLock, scanProcLockLine } from "./proc_locks.ts";

/** What the kernel tells of an open file description. */
export interface FdInfo {
  /** File offset in bytes. */
  pos: bigint;
  /** Access mode and status flags of open(2), written in octal. */
  flags: number;
  /** The mount it was opened on, as in mountinfo. */
  mountId: number;
  /** The inode's number in its superblock; undefined before Linux 5.14. */
  inode: bigint | undefined;
  /** The locks that are held through this open file description. */
  locks: ProcLock[];
  /** All other lines as key and value, in order, such as `eventfd-count`. */
  other: [key: string, value: string][];
}

const SOURCE = "/proc/self/fdinfo";

const DECIMAL = /^-?\d{1,20}$/;
const OCTAL = /^[0-7]{1,16}$/;

/**
 * Parses the text of /proc/PID/fdinfo/FD.
 *
 * A line `inotify wd:1 ino:2` without a blank after its colon has the key
 * `inotify`. If a driver repeats one of the kernel's own keys, the repetition
 * is among `other`. Needs no permission. See proc_pid_fdinfo(5).
 *
 * @param text The text of the file.
 * @param options `source` for messages; `onError` to go on after a bad line.
 * @returns The values.
 * @throws {ProcParseError} For the first unreadable line, without `onError`;
 * in any case if `pos`, `flags` or `mnt_id` is missing.
 *
 * @example
 * ```ts
 * import { parseFdinfo } from "./fdinfo.ts";
 * const info = parseFdinfo("pos:\t0\nflags:\t0100002\nmnt_id:\t29\nino:\t7\n");
 * console.log(info.mountId, info.inode); // 29 7n
 * ```
 */
export function parseFdinfo(
  text: string,
  options: ProcParseOptions = {},
): FdInfo {
  const source = options.source ?? SOURCE;
  let pos: bigint | undefined;
  let flags: number | undefined;
  let mountId: number | undefined;
  let inode: bigint | undefined;
  const locks: ProcLock[] = [];
  const other: [string, string][] = [];
  let number = 0;

  for (let start = 0; start < text.length;) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end);
    start = end + 1;
    number++;
    // What was expected, if the line is bad.
    let expected: string | undefined;
    if (pos === undefined && line.startsWith("pos:")) {
      pos = parseDecimal(line.slice(4));
      if (pos !== undefined && BigInt.asIntN(64, pos) !== pos) pos = undefined;
      if (pos === undefined) expected = 'a file offset after "pos:"';
    } else if (flags === undefined && line.startsWith("flags:")) {
      const value = line.slice(6).trim();
      if (OCTAL.test(value)) flags = parseInt(value, 8);
      else expected = 'an octal number after "flags:"';
    } else if (mountId === undefined && line.startsWith("mnt_id:")) {
      mountId = Number(parseDecimal(line.slice(7)) ?? NaN);
      if (!Number.isSafeInteger(mountId)) mountId = undefined;
      if (mountId === undefined) expected = 'a mount id after "mnt_id:"';
    } else if (inode === undefined && line.startsWith("ino:")) {
      inode = parseDecimal(line.slice(4));
      if (inode !== undefined && BigInt.asUintN(64, inode) !== inode) {
        inode = undefined;
      }
      if (inode === undefined) expected = 'an inode number after "ino:"';
    } else if (line.startsWith("lock:")) {
      const lock = scanProcLockLine(line, 5);
      if (typeof lock === "string") expected = lock;
      else locks.push(lock);
    } else {
      const pair = keyAndValue(line);
      if (pair !== undefined) other.push(pair);
    }
    if (expected !== undefined) {
      const init = { source, line: number, text: line };
      reportLine(new ProcParseError(expected, init), options);
    }
  }
  if (pos === undefined || flags === undefined || mountId === undefined) {
    throw new ProcParseError("pos, flags and mnt_id", {
      source,
      line: Math.max(1, number),
      text,
    });
  }
  return { pos, flags, mountId, inode, locks, other };
}

function parseDecimal(text: string): bigint | undefined {
  const digits = text.trim();
  return DECIMAL.test(digits) ? BigInt(digits) : undefined;
}

/** Key and value of a line; undefined for a blank one. */
function keyAndValue(line: string): [string, string] | undefined {
  const trimmed = line.trim();
  if (trimmed === "") return undefined;
  // A key may have blanks ("settime flags: 01"), but then a blank or nothing
  // follows its colon, unlike in "inotify wd:1 ino:2".
  const [whole, key, word] = /^([^:]*):(?=\s|$)|^(\S+)/.exec(trimmed)!;
  return [key ?? word!, trimmed.slice(whole.length).trim()];
}
