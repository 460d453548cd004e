/**
 * A trace instance of our own: buffers and switches that nobody else uses.
 *
 * @module
 */

import {
  type EventFormat,
  type PageLayout,
  parseEventFormat,
  parsePageLayout,
} from "../proc/trace/event_format.ts";
import { DECODED_EVENTS } from "../proc/trace/trace_event.ts";
import { EEXIST, ENOENT } from "../sys/errno.ts";
import { SyscallError } from "../sys/error.ts";
import {
  closeFile,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
  openFile,
  readText,
  readTextIfAny,
} from "../sys/file.ts";
import { listDirectory } from "../sys/list_directory.ts";
import { makeDirectory, removeDirectory } from "../sys/storage/names.ts";
import { writeNext } from "../sys/storage/content.ts";
import { readStartTicks } from "../sys/process/process.ts";
import { TraceUnavailableError } from "./tracefs.ts";

/** The events without which there is nothing to see. */
const LOCK_EVENTS = DECODED_EVENTS.slice(0, 2);

/** `holdfast-PID-STARTED` belongs to the process that started then. */
const INSTANCE_NAME = /^holdfast-(\d+)-(\d+)$/;

/** Larger pages take fewer calls to read; from Linux 6.8. */
const SUBBUFFER_KB = 64;

/** How an instance is set up. */
export interface InstanceOptions {
  /** Buffer for each CPU, in KiB; by default a share of what can be spared. */
  bufferKb?: number | undefined;
  /**
   * Only lock events that pass this filter of the kernel, such as
   * `i_ino == 42`; see Documentation/trace/events.rst.
   */
  lockFilter?: string | undefined;
}

/** One CPU's buffer. */
export interface CpuBuffer {
  /** The CPU's number. */
  cpu: number;
  /** A descriptor that gives its pages, without blocking. */
  fd: number;
}

/** A running trace of the kernel. */
export class TraceInstance implements Disposable {
  /** How the pages of its buffers are laid out. */
  readonly pageLayout: PageLayout;
  /** How its events are laid out. */
  readonly formats: readonly EventFormat[];
  /** Its buffers. */
  readonly buffers: readonly CpuBuffer[];
  readonly #directory: string;
  #isRemoved = false;

  private constructor(root: string, directory: string) {
    this.#directory = directory;
    const headerPath = `${root}/events/header_page`;
    this.pageLayout = parsePageLayout(readText(headerPath), headerPath);
    this.formats = readFormats(root);
    this.buffers = openBuffers(`${directory}/per_cpu`);
  }

  /**
   * Makes an instance, and removes those of tracers that were killed. The
   * kernel traces from now on.
   *
   * @param root Where tracefs is.
   * @throws {TraceUnavailableError} when this kernel lacks the events.
   * @throws {SyscallError} when the instance can't be made.
   */
  static create(root: string, options: InstanceOptions): TraceInstance {
    for (const event of LOCK_EVENTS) {
      if (readTextIfAny(`${root}/events/${event}/id`) === undefined) {
        throw new TraceUnavailableError(
          `this kernel has no event ${event.replace("/", ":")}`,
          "it takes Linux 5.4 or later with CONFIG_FILE_LOCKING",
        );
      }
    }
    removeStaleInstances(root);
    const started = readStartTicks(Deno.pid) ?? 0;
    const directory = `${root}/instances/holdfast-${Deno.pid}-${started}`;
    makeInstance(directory);
    let instance: TraceInstance | undefined;
    try {
      // An open buffer first: a tracer of another pid namespace, which takes
      // this one for dead, can't remove it.
      instance = new TraceInstance(root, directory);
      configure(directory, options.bufferKb);
      enableEvents(directory, options.lockFilter);
      return instance;
    } catch (error) {
      if (instance === undefined) removeDirectory(directory);
      else instance[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * How many events of all kinds were lost so far because nobody had read them
   * in time: the kernel's own count.
   */
  readLost(): number {
    let lost = 0;
    for (const { cpu } of this.buffers) {
      const path = `${this.#directory}/per_cpu/cpu${cpu}/stats`;
      const counts = readTextIfAny(path)
        ?.matchAll(/^(?:overrun|dropped events): (\d+)$/gm);
      for (const [, count] of counts ?? []) lost += Number(count);
    }
    return lost;
  }

  /** Stops the trace; what is in the buffers can still be read. */
  stop(): void {
    writeSwitch(`${this.#directory}/tracing_on`, "0");
  }

  /** Removes the instance and its buffers. */
  [Symbol.dispose](): void {
    if (this.#isRemoved) return;
    this.#isRemoved = true;
    // An open buffer keeps the kernel from removing it.
    for (const { fd } of this.buffers) closeFile(fd);
    removeDirectory(this.#directory);
  }
}

/** What the buffers of all CPUs share unless told otherwise, in KiB. */
const ALL_BUFFERS_KB = 256 * 1024;
const MIN_BUFFER_KB = 1024;
/** At half a million events a second, this is more than a second's. */
const MAX_BUFFER_KB = 64 * 1024;
/** So much of the memory that is free may be taken. */
const PART_OF_MEMORY = 32;

function defaultBufferKb(directory: string): number {
  const meminfo = readTextIfAny("/proc/meminfo") ?? "";
  const freeKb = Number(/^MemAvailable: +(\d+) kB$/m.exec(meminfo)?.[1] ?? 0);
  const allKb = Math.min(ALL_BUFFERS_KB, freeKb / PART_OF_MEMORY);
  const names = listDirectory(`${directory}/per_cpu`);
  const cpus = typeof names === "number" ? 1 : names.length;
  const share = Math.max(MIN_BUFFER_KB, Math.floor(allKb / cpus));
  return Math.min(MAX_BUFFER_KB, share);
}

function configure(
  directory: string,
  bufferKb = defaultBufferKb(directory),
): void {
  writeSwitch(`${directory}/trace_clock`, "mono");
  writeSwitch(
    `${directory}/buffer_subbuf_size_kb`,
    `${SUBBUFFER_KB}`,
    "if any",
  );
  writeSwitch(`${directory}/buffer_size_kb`, `${bufferKb}`);
  // poll(2) else returns only once half a buffer is full; since Linux 5.0.
  writeSwitch(`${directory}/buffer_percent`, "0", "if any");
}

function enableEvents(directory: string, lockFilter: string | undefined): void {
  for (const event of DECODED_EVENTS) {
    const events = `${directory}/events/${event}`;
    const isLock = LOCK_EVENTS.includes(event);
    if (isLock && lockFilter !== undefined) {
      writeSwitch(`${events}/filter`, lockFilter);
    }
    writeSwitch(`${events}/enable`, "1", isLock ? undefined : "if any");
  }
}

function readFormats(root: string): EventFormat[] {
  const formats: EventFormat[] = [];
  for (const event of DECODED_EVENTS) {
    const path = `${root}/events/${event}/format`;
    const text = readTextIfAny(path);
    if (text !== undefined) formats.push(parseEventFormat(text, path));
  }
  return formats;
}

function openBuffers(perCpu: string): CpuBuffer[] {
  const names = listDirectory(perCpu);
  if (typeof names === "number") throw failure("list", perCpu, "open", names);
  const buffers: CpuBuffer[] = [];
  for (const name of names) {
    const cpu = /^cpu(\d+)$/.exec(name)?.[1];
    if (cpu === undefined) continue;
    const path = `${perCpu}/${name}/trace_pipe_raw`;
    const fd = openFile(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
      for (const buffer of buffers) closeFile(buffer.fd);
      throw failure("open", path, "open", fd);
    }
    buffers.push({ cpu: Number(cpu), fd });
  }
  return buffers;
}

/**
 * Removes the instances of tracers that are dead: killed, they couldn't do so
 * themselves, and the kernel would fill their buffers for ever.
 *
 * @param root Where tracefs is.
 * @returns How many there were.
 */
export function removeStaleInstances(root: string): number {
  const names = listDirectory(`${root}/instances`);
  if (typeof names === "number") return 0;
  let removed = 0;
  for (const name of names) {
    const [, pid, started] = INSTANCE_NAME.exec(name) ?? [];
    if (pid === undefined) continue;
    if (readStartTicks(Number(pid)) === BigInt(started!)) continue;
    // One that a process of another pid namespace reads is busy, and stays.
    if (removeDirectory(`${root}/instances/${name}`) === 0) removed++;
  }
  return removed;
}

function makeInstance(path: string): void {
  const result = makeDirectory(path, 0o700);
  if (result === -EEXIST) {
    throw new TraceUnavailableError(
      "this process already has a trace",
      "end it before starting another",
    );
  }
  if (result < 0) throw failure("make a trace instance", path, "mkdir", result);
}

/** Writes a switch of tracefs; `if any`: unless this kernel lacks it. */
function writeSwitch(path: string, text: string, needed?: "if any"): void {
  const fd = openFile(path, O_WRONLY | O_CLOEXEC);
  if (fd === -ENOENT && needed !== undefined) return;
  if (fd < 0) throw failure("set", path, "open", fd);
  const bytes = new TextEncoder().encode(text);
  const result = writeNext(fd, bytes);
  closeFile(fd);
  if (result < 0) throw failure(`write ${text} to`, path, "write", result);
}

function failure(
  action: string,
  path: string,
  syscall: string,
  result: number,
): SyscallError {
  return new SyscallError(action, { syscall, errno: -result, path });
}
