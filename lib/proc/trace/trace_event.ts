/**
 * The events about locks, processes and signals, decoded by the layout that
 * the running kernel gives.
 *
 * @module
 */
import type { EventFormat } from "./event_format.ts";
import type { PageBytes } from "./ring_page.ts";

/** What every event tells. */
interface EventBase {
  /** When, in nanoseconds from the base of the page. */
  timeNs: number;
  /** The thread in which it happened, in the initial pid namespace. */
  threadId: number;
}

/** What an event about a file tells of it: the needle of /proc/locks. */
interface FileEvent extends EventBase {
  /** The superblock's device: major << 20 | minor. */
  device: number;
  /** Lower 32 bits of the inode number. */
  inodeLow: number;
  /** Upper 32 bits of the inode number. */
  inodeHigh: number;
  /**
   * What holds or asks, as a number without meaning: the open file, or for
   * POSIX locks the table of open files.
   */
  owner: number;
  /** FL_ bits, see {@linkcode FL}. */
  flags: number;
  /** 0 shared, 1 exclusive, 2 unlocked: F_RDLCK, F_WRLCK, F_UNLCK. */
  type: number;
}

/** A flock(2) or record lock was asked for, taken, refused or released. */
export interface LockLine extends FileEvent {
  /** What kind of lock. */
  event: "flock" | "posix";
  /** The process that asks. */
  processId: number;
  /** First byte. */
  startByte: bigint;
  /** Last byte; `undefined` for the largest possible offset. */
  endByte: bigint | undefined;
  /** 0 done, 1 the wait begins, else minus an error number. */
  result: number;
}

/** Something happened to a lease. */
export interface LeaseLine extends FileEvent {
  /**
   * `add`: it is asked for; `delete`: given back; `block`: an open or a
   * truncation waits for it; `unblock`: that wait is over; `noblock`: an open
   * that doesn't wait meets it.
   */
  event:
    | "lease-add"
    | "lease-delete"
    | "lease-block"
    | "lease-unblock"
    | "lease-noblock";
}

/** A process or thread was made. */
export interface ForkLine extends EventBase {
  /** What happened. */
  event: "fork";
  /** The new thread, or a new process's first. */
  childId: number;
  /** Its name at first: that of its parent; untrusted. */
  comm: string;
}

/** A process runs another program. */
export interface ExecLine extends EventBase {
  /** What happened. */
  event: "exec";
  /** The program's path; untrusted. */
  filename: string;
}

/** A thread ends; its descriptors are closed after this. */
export interface ExitLine extends EventBase {
  /** What happened. */
  event: "exit";
  /** The thread's name; untrusted. */
  comm: string;
  /**
   * Whether it was the last of its process; older kernels do not tell.
   */
  isLast: boolean | undefined;
}

/** A signal has reached a thread: it is in no system call any more. */
export interface SignalLine extends EventBase {
  /** What happened. */
  event: "signal";
  /** Its number. */
  signal: number;
  /** Whether a handler of the program runs. */
  handled: boolean;
  /** Whether the interrupted call starts again by itself: SA_RESTART. */
  restarts: boolean;
}

/** Any event that is understood. */
export type TraceEvent =
  | LockLine
  | LeaseLine
  | ForkLine
  | ExecLine
  | ExitLine
  | SignalLine;

/** Bits of `flags`, from include/linux/filelock.h. */
export const FL = {
  /** A POSIX or OFD lock. */
  POSIX: 1,
  /** A lock of flock(2). */
  FLOCK: 2,
  /** The descriptor is being closed. */
  CLOSE: 64,
  /** The caller waits if it must. */
  SLEEP: 128,
  /** An OFD lock. */
  OFDLCK: 1024,
} as const;

/** Values of `type`. */
export const LOCK_TYPE = { READ: 0, WRITE: 1, UNLOCK: 2 } as const;

/** The events that this module decodes, as `SYSTEM/EVENT`. */
export const DECODED_EVENTS: readonly string[] = [
  "filelock/flock_lock_inode",
  "filelock/posix_lock_inode",
  "filelock/generic_add_lease",
  "filelock/generic_delete_lease",
  "filelock/break_lease_block",
  "filelock/break_lease_unblock",
  "filelock/break_lease_noblock",
  "sched/sched_process_fork",
  "sched/sched_process_exec",
  "sched/sched_process_exit",
  "signal/signal_deliver",
];

const LEASE_EVENTS: Readonly<Record<string, LeaseLine["event"]>> = {
  generic_add_lease: "lease-add",
  generic_delete_lease: "lease-delete",
  break_lease_block: "lease-block",
  break_lease_unblock: "lease-unblock",
  break_lease_noblock: "lease-noblock",
};

type Decoder = (page: PageBytes, at: number, timeNs: number) => TraceEvent;

/** OFFSET_MAX of the kernel, in two halves. */
const MAX_HIGH = 0x7fff_ffff;
const MAX_LOW = 0xffff_ffff;
const TWO_32 = 2 ** 32;
const SA_RESTART = 0x1000_0000;

/** Decodes events by their `common_type`. */
export class EventDecoder {
  readonly #decoders: (Decoder | undefined)[] = [];

  /**
   * @param formats The layouts of the events; those of unknown name are
   * ignored.
   * @throws {TypeError} when a layout lacks a field that it must have.
   */
  constructor(formats: Iterable<EventFormat>) {
    for (const format of formats) {
      this.#decoders[format.id] = makeDecoder(format);
    }
  }

  /**
   * Decodes one event.
   *
   * @param page The page that it is in.
   * @param offset Its first byte.
   * @param timeNs Its time.
   * @returns The event, or `undefined` for one of another kind.
   */
  decode(
    page: PageBytes,
    offset: number,
    timeNs: number,
  ): TraceEvent | undefined {
    const type = page.words[offset >>> 2]! & 0xffff;
    return this.#decoders[type]?.(page, offset, timeNs);
  }
}

function makeDecoder(format: EventFormat): Decoder | undefined {
  switch (format.name) {
    case "flock_lock_inode":
      return lockDecoder(format, "flock");
    case "posix_lock_inode":
      return lockDecoder(format, "posix");
    case "sched_process_fork":
      return forkDecoder(format);
    case "sched_process_exec":
      return execDecoder(format);
    case "sched_process_exit":
      return exitDecoder(format);
    case "signal_deliver":
      return signalDecoder(format);
    default: {
      const event = LEASE_EVENTS[format.name];
      return event && leaseDecoder(format, event);
    }
  }
}

/** Where a field is; names that have changed over the years are all tried. */
function offsetOf(format: EventFormat, ...names: string[]): number {
  for (const name of names) {
    const field = format.fields.get(name);
    if (field !== undefined) return field.offset;
  }
  throw new TypeError(
    `The kernel's event ${format.name} has no field ${names.join(" or ")}`,
  );
}

function wordOf(format: EventFormat, ...names: string[]): number {
  return offsetOf(format, ...names) >>> 2;
}

function lockDecoder(format: EventFormat, event: LockLine["event"]): Decoder {
  const thread = wordOf(format, "common_pid");
  const inode = wordOf(format, "i_ino");
  const device = wordOf(format, "s_dev");
  const owner = wordOf(format, "owner", "fl_owner");
  const process = wordOf(format, "pid", "fl_pid");
  const flags = wordOf(format, "flags", "fl_flags");
  const type = offsetOf(format, "type", "fl_type");
  const start = wordOf(format, "fl_start");
  const end = wordOf(format, "fl_end");
  const result = wordOf(format, "ret");
  return ({ words, bytes }, offset, timeNs) => {
    const at = offset >>> 2;
    return {
      event,
      timeNs,
      threadId: words[at + thread]!,
      device: words[at + device]!,
      inodeLow: words[at + inode]!,
      inodeHigh: words[at + inode + 1]!,
      owner: pointer(words, at + owner),
      flags: words[at + flags]!,
      type: bytes[offset + type]!,
      processId: words[at + process]!,
      startByte: byteOffset(words, at + start) ?? 0n,
      endByte: byteOffset(words, at + end),
      result: words[at + result]! | 0,
    };
  };
}

/** The low 53 bits of a kernel address tell it from all others. */
function pointer(words: Uint32Array, at: number): number {
  return (words[at + 1]! & 0x1f_ffff) * TWO_32 + words[at]!;
}

/** An offset of 63 bits; `undefined` for the largest. */
function byteOffset(words: Uint32Array, at: number): bigint | undefined {
  const low = words[at]!;
  const high = words[at + 1]!;
  if (high === 0) return low === 0 ? 0n : BigInt(low);
  if (high === MAX_HIGH && low === MAX_LOW) return undefined;
  return BigInt(high) << 32n | BigInt(low);
}

function leaseDecoder(
  format: EventFormat,
  event: LeaseLine["event"],
): Decoder {
  const thread = wordOf(format, "common_pid");
  const inode = wordOf(format, "i_ino");
  const device = wordOf(format, "s_dev");
  const owner = wordOf(format, "owner", "fl_owner");
  const flags = wordOf(format, "flags", "fl_flags");
  const type = offsetOf(format, "type", "fl_type");
  return ({ words, bytes }, offset, timeNs) => {
    const at = offset >>> 2;
    return {
      event,
      timeNs,
      threadId: words[at + thread]!,
      device: words[at + device]!,
      inodeLow: words[at + inode]!,
      inodeHigh: words[at + inode + 1]!,
      owner: pointer(words, at + owner),
      flags: words[at + flags]!,
      type: bytes[offset + type]!,
    };
  };
}

const textDecoder = new TextDecoder();

/** A text up to its NUL. */
function textAt(bytes: Uint8Array, start: number, length: number): string {
  const field = bytes.subarray(start, start + length);
  const end = field.indexOf(0);
  return textDecoder.decode(end < 0 ? field : field.subarray(0, end));
}

/** Reads a text: an array, or (`__data_loc`) a word with place and length. */
function textReader(
  format: EventFormat,
  name: string,
): (page: PageBytes, offset: number) => string {
  const start = offsetOf(format, name);
  const { cType, size } = format.fields.get(name)!;
  if (!cType.startsWith("__data_loc")) {
    return ({ bytes }, offset) => textAt(bytes, offset + start, size);
  }
  return ({ bytes, words }, offset) => {
    const location = words[offset + start >>> 2]!;
    return textAt(bytes, offset + (location & 0xffff), location >>> 16);
  };
}

function forkDecoder(format: EventFormat): Decoder {
  const parent = wordOf(format, "parent_pid");
  const child = wordOf(format, "child_pid");
  const comm = textReader(format, "child_comm");
  return (page, offset, timeNs) => ({
    event: "fork",
    timeNs,
    threadId: page.words[(offset >>> 2) + parent]!,
    childId: page.words[(offset >>> 2) + child]!,
    comm: comm(page, offset),
  });
}

function execDecoder(format: EventFormat): Decoder {
  const thread = wordOf(format, "common_pid");
  const filename = textReader(format, "filename");
  return (page, offset, timeNs) => ({
    event: "exec",
    timeNs,
    threadId: page.words[(offset >>> 2) + thread]!,
    filename: filename(page, offset),
  });
}

function exitDecoder(format: EventFormat): Decoder {
  const thread = wordOf(format, "common_pid");
  const comm = textReader(format, "comm");
  const last = format.fields.get("group_dead")?.offset;
  return (page, offset, timeNs) => ({
    event: "exit",
    timeNs,
    threadId: page.words[(offset >>> 2) + thread]!,
    comm: comm(page, offset),
    isLast: last === undefined ? undefined : page.bytes[offset + last] !== 0,
  });
}

function signalDecoder(format: EventFormat): Decoder {
  const thread = wordOf(format, "common_pid");
  const signal = wordOf(format, "sig");
  const handler = wordOf(format, "sa_handler");
  const flags = wordOf(format, "sa_flags");
  return ({ words }, offset, timeNs) => {
    const at = offset >>> 2;
    // SIG_DFL is 0 and SIG_IGN 1.
    const isAddress = words[at + handler]! > 1 || words[at + handler + 1]! > 0;
    return {
      event: "signal",
      timeNs,
      threadId: words[at + thread]!,
      signal: words[at + signal]!,
      handled: isAddress,
      restarts: (words[at + flags]! & SA_RESTART) !== 0,
    };
  };
}
