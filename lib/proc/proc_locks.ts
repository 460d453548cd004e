/**
 * Parser of /proc/locks, see proc_locks(5).
 *
 * Text in, values out: nothing is read and no permission is needed. The reader
 * decodes the file as UTF-8, with U+FFFD for bytes that aren't.
 *
 * ```ts
 * import { parseProcLocks } from "@holdfast/holdfast/proc-locks";
 *
 * const [lock] = parseProcLocks("1: FLOCK ADVISORY WRITE 7 fe:00:42 0 EOF\n");
 * console.log(lock?.type, lock?.pid); // FLOCK 7
 * ```
 *
 * @module
 */
import { ProcParseError, type ProcParseOptions, reportLine } from "./error.ts";

export {
  ProcParseError,
  type ProcParseErrorInit,
  type ProcParseOptions,
} from "./error.ts";

/** A kind of lock; a word of a future kernel is kept as it is. */
export type LockType =
  | "FLOCK"
  | "POSIX"
  | "OFDLCK"
  | "ACCESS"
  | "LEASE"
  | "DELEG"
  | "UNKNOWN"
  | (string & Record<never, never>);

/** How a lock is enforced; a word of another kernel is kept as it is. */
export type LockEnforcement =
  | "ADVISORY"
  | "MANDATORY"
  | "*NOINODE*"
  | "ACTIVE"
  | "BREAKING"
  | "BREAKER"
  | "MSNFS"
  | "UNKNOWN"
  | (string & Record<never, never>);

/** What a lock grants; a word of another kernel is kept as it is. */
export type LockAccess =
  | "READ"
  | "WRITE"
  | "UNLCK"
  | "RW"
  | "NONE"
  | (string & Record<never, never>);

/** The device number of a superblock. */
export interface DeviceNumber {
  /** Major number. */
  major: number;
  /** Minor number. */
  minor: number;
}

/** One line of /proc/locks, or one `lock:` line of /proc/PID/fdinfo/FD. */
export interface ProcLock {
  /** Ordinal of the lock in this reading; waiters repeat their holder's. */
  id: number;
  /** Whether this is a waiter, a `->` line. */
  blocked: boolean;
  /** 0 for a holder, 1 for its waiter, 2 for the waiter's waiter, … */
  depth: number;
  /** The kind of lock. */
  type: LockType;
  /** How it is enforced. */
  enforcement: LockEnforcement;
  /** What it grants or, for a waiter, asks for. */
  access: LockAccess;
  /**
   * The process that took the lock: -1 for OFD locks, 0 for one that is not
   * visible in the reader's pid namespace; other negative numbers are remote.
   */
  pid: number;
  /** The superblock's device; undefined when the kernel says `<none>`. */
  device: DeviceNumber | undefined;
  /** The inode's number in that superblock; 0 when there is no device. */
  inode: bigint;
  /** First locked byte. */
  startByte: bigint;
  /** Last locked byte, inclusive; undefined for `EOF`: to the end, whatever it is. */
  endByte: bigint | undefined;
}

const SOURCE = "/proc/locks";

const SPACE = 0x20;
const TAB = 0x09;
const RETURN = 0x0d;
const ZERO = 0x30;
const MINUS = 0x2d;
const COLON = 0x3a;

/** The words of the kernel, see `lock_get_status` in fs/locks.c. */
const WORDS: ReadonlyMap<string, string> = new Map(
  [
    ..."FLOCK POSIX OFDLCK ACCESS LEASE DELEG".split(" "),
    ..."ADVISORY MANDATORY ACTIVE BREAKING BREAKER".split(" "),
    ..."READ WRITE UNLCK RW NONE UNKNOWN".split(" "),
  ].map((word) => [word, word]),
);

/** Digits that a double holds exactly, whatever they are. */
const EXACT_DIGITS = 15;

/**
 * Parses the text of /proc/locks.
 *
 * Every line is either a value or an error. The file is not a snapshot: it is
 * produced page by page while locks come and go, so a waiter may appear
 * without its holder, and a lock twice or never. Blank lines are skipped; CR
 * before the line end and a missing last line end are accepted. Needs no
 * permission. See proc_locks(5).
 *
 * @param text The text of /proc/locks.
 * @param options `source` for messages; `onError` to go on after a bad line.
 * @returns The locks in the order of the text.
 * @throws {ProcParseError} For the first unreadable line, without `onError`.
 *
 * @example
 * ```ts
 * import { parseProcLocks } from "@holdfast/holdfast/proc-locks";
 * const text = "1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOF\n";
 * const [lock] = parseProcLocks(text);
 * console.log(lock.pid, lock.inode); // 359 11691n
 * ```
 */
export function parseProcLocks(
  text: string,
  options: ProcParseOptions = {},
): ProcLock[] {
  const locks: ProcLock[] = [];
  const scanner = new LockScanner(text);
  let line = 0;
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    line++;
    if (scanner.startLine(start, end)) {
      const lock = scanner.scan();
      if (typeof lock === "string") {
        const source = options.source ?? SOURCE;
        const init = { source, line, text: text.slice(start, end) };
        reportLine(new ProcParseError(lock, init), options);
      } else {
        locks.push(lock);
      }
    }
    start = end + 1;
  }
  return locks;
}

/**
 * Parses one line of /proc/locks, or what follows `lock:` in fdinfo.
 *
 * Needs no permission. See proc_locks(5) and `lock_get_status` in fs/locks.c.
 *
 * @param line The line without its line end.
 * @param source The file that an error names.
 * @param lineNumber The line number that an error names, from 1.
 * @returns The lock.
 * @throws {ProcParseError} If the line has another form.
 *
 * @example
 * ```ts
 * import { parseProcLockLine } from "@holdfast/holdfast/proc-locks";
 * const line = "7:  -> POSIX  ADVISORY  READ 12 08:01:99 0 9";
 * console.log(parseProcLockLine(line).depth); // 2
 * ```
 */
export function parseProcLockLine(
  line: string,
  source: string = SOURCE,
  lineNumber = 1,
): ProcLock {
  const lock = scanProcLockLine(line);
  if (typeof lock !== "string") return lock;
  throw new ProcParseError(lock, { source, line: lineNumber, text: line });
}

/**
 * Reads a lock from a part of a line, for parsers of lines that hold one.
 *
 * @param line A line without its line end.
 * @param start Where the lock starts in it, in UTF-16 units.
 * @returns The lock, or the words for what was expected.
 */
export function scanProcLockLine(line: string, start = 0): ProcLock | string {
  const scanner = new LockScanner(line);
  return scanner.startLine(start, line.length)
    ? scanner.scan()
    : "a lock instead of blanks";
}

/**
 * Reads lock lines in place, without splitting the text: a busy server has a
 * hundred thousand of them.
 *
 * ```text
 * 41:  -> POSIX  ADVISORY  WRITE 1234 fd:00:2531452 0 EOF
 * (1)(2)  (3)    (4)       (5)   (6)  (7)   (8)     (9)(10)
 * ```
 *
 * 1. ordinal; 2. only for waiters: an arrow, indented by one space for each
 * level below the first; 3. type, padded to 6; 4. enforcement;
 * 5. access; 6. pid, signed; 7. major and minor device number
 * in hexadecimal; 8. inode, decimal; or `<none>:0` for 7 and 8; 9. first byte;
 * 10. last byte or `EOF`.
 */
class LockScanner {
  readonly #text: string;
  #at = 0;
  #end = 0;
  #lastDevice: DeviceNumber | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** Goes to a line, trims it, and tells whether anything is left. */
  startLine(start: number, end: number): boolean {
    while (end > start && isBlank(this.#text.charCodeAt(end - 1))) end--;
    this.#at = start;
    this.#end = end;
    this.#skipBlanks();
    return this.#at < end;
  }

  /** The lock of the line, or the words for what was expected. */
  scan(): ProcLock | string {
    const id = this.#number(10);
    if (id === undefined) return "the lock's number";
    if (!this.#character(COLON)) return 'a ":" after the lock\'s number';
    const afterColon = this.#at;
    this.#skipBlanks();
    const indent = this.#at - afterColon;
    const blocked = this.#literal("->");
    const depth = blocked ? Math.max(1, indent) : 0;

    const type = this.#word();
    if (type === "") return "a lock type";
    const enforcement = this.#word();
    if (enforcement === "") return 'a word like "ADVISORY"';
    const access = this.#word();
    if (access === "") return 'a word like "READ" or "WRITE"';

    this.#skipBlanks();
    const negative = this.#character(MINUS);
    const pid = this.#number(10);
    if (pid === undefined || !this.#skipBlanks()) return "a process id";

    let device: DeviceNumber | undefined;
    if (!this.#literal("<none>")) {
      const major = this.#number(16);
      if (major === undefined || !this.#character(COLON)) {
        return "a device number";
      }
      const minor = this.#number(16);
      if (minor === undefined) return "a device number";
      // Mostly it is the same as in the line before.
      device = this.#lastDevice;
      if (device?.major !== major || device.minor !== minor) {
        device = this.#lastDevice = { major, minor };
      }
    }
    if (!this.#character(COLON)) return 'a ":" before the inode';
    const inode = this.#bigint(64);
    if (inode === undefined || !this.#skipBlanks()) return "an inode number";

    const startByte = this.#bigint(63);
    if (startByte === undefined || !this.#skipBlanks()) return "a first byte";
    const endByte = this.#literal("EOF") ? undefined : this.#bigint(63) ?? null;
    if (endByte === null || this.#at < this.#end) {
      return 'a last byte or "EOF" at the end';
    }
    return {
      id,
      blocked,
      depth,
      type,
      enforcement,
      access,
      pid: negative ? -pid : pid,
      device,
      inode,
      startByte,
      endByte,
    };
  }

  /** Whether there was a blank. */
  #skipBlanks(): boolean {
    const start = this.#at;
    while (this.#at < this.#end && isBlank(this.#text.charCodeAt(this.#at))) {
      this.#at++;
    }
    return this.#at > start;
  }

  #character(code: number): boolean {
    if (this.#at >= this.#end) return false;
    if (this.#text.charCodeAt(this.#at) !== code) return false;
    this.#at++;
    return true;
  }

  #literal(literal: string): boolean {
    if (this.#at + literal.length > this.#end) return false;
    if (!this.#text.startsWith(literal, this.#at)) return false;
    this.#at += literal.length;
    return true;
  }

  /** The next word, `""` at the end of the line. */
  #word(): string {
    this.#skipBlanks();
    const start = this.#at;
    while (this.#at < this.#end && !isBlank(this.#text.charCodeAt(this.#at))) {
      this.#at++;
    }
    // One copy of each word serves all lines; only the kernel's own few are
    // kept, not what a damaged text may hold.
    const word = this.#text.slice(start, this.#at);
    return WORDS.get(word) ?? word;
  }

  /** A number without a sign that a double holds exactly. */
  #number(base: 10 | 16): number | undefined {
    const start = this.#at;
    let value = 0;
    for (; this.#at < this.#end; this.#at++) {
      const digit = digitValue(this.#text.charCodeAt(this.#at), base);
      if (digit < 0) break;
      value = value * base + digit;
    }
    return this.#at === start || value > Number.MAX_SAFE_INTEGER
      ? undefined
      : value;
  }

  /** A decimal number without a sign of at most so many bits. */
  #bigint(bits: 63 | 64): bigint | undefined {
    const start = this.#at;
    const value = this.#number(10);
    const length = this.#at - start;
    if (length <= EXACT_DIGITS) {
      // Most locks start at 0: one 0n serves them all.
      if (value === 0) return 0n;
      return value === undefined ? undefined : BigInt(value);
    }
    if (length > 20) return undefined;
    const exact = BigInt(this.#text.slice(start, this.#at));
    return exact >> BigInt(bits) === 0n ? exact : undefined;
  }
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB || code === RETURN;
}

/** The value of a digit, -1 for any other character. */
function digitValue(code: number, base: 10 | 16): number {
  const decimal = code - ZERO;
  if (decimal >= 0 && decimal <= 9) return decimal;
  if (base === 10) return -1;
  const letter = (code | SPACE) - 0x61;
  return letter >= 0 && letter <= 5 ? letter + 10 : -1;
}
