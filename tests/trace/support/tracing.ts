/** What a test that traces the kernel needs. */
import { fromFileUrl } from "@std/path/from-file-url";
import type { LockActivity } from "../../../lib/trace/activity.ts";
import {
  type TraceBatch,
  traceLocks,
  type TraceOptions,
} from "../../../lib/trace/session.ts";
import { openTracefs } from "../../../lib/trace/tracefs.ts";
import { HelperProcess } from "../../support/helper_process.ts";

const CONFIG = fromFileUrl(new URL("../../../deno.json", import.meta.url));
const LOCKER = fromFileUrl(new URL("locker.ts", import.meta.url));

function whyNot(): string | undefined {
  if (Deno.uid() !== 0) return "needs root";
  try {
    using tracefs = openTracefs();
    Deno.statSync(`${tracefs.root}/events/filelock/flock_lock_inode`);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const reason = whyNot();

/** Spread into a test's definition: it says why it can't run here. */
export const needsTracing: { ignore: boolean; suffix: string } = {
  ignore: reason !== undefined,
  suffix: reason === undefined ? "" : ` (${reason})`,
};

/** Starts a process that locks files as it is told. */
export function startLocker(...paths: string[]): Promise<HelperProcess> {
  return HelperProcess.start(Deno.execPath(), [
    "run",
    "--quiet",
    "--no-prompt",
    "--config",
    CONFIG,
    "--allow-ffi",
    LOCKER,
    ...paths,
  ]);
}

/** Gives a process a command and waits for its answer. */
export async function tell(
  locker: HelperProcess,
  command: string,
): Promise<string | undefined> {
  await locker.writeLine(command);
  return await locker.nextLine();
}

/** A trace that runs beside a test. */
export class RunningTrace implements AsyncDisposable {
  readonly activities: LockActivity[] = [];
  last: TraceBatch | undefined;
  readonly #controller = new AbortController();
  readonly #loop: Promise<void>;
  #onBatch = () => {};

  private constructor(options: TraceOptions, started: () => void) {
    const { signal } = this.#controller;
    this.#loop = (async () => {
      for await (const batch of traceLocks({ ...options, signal })) {
        this.last = batch;
        this.activities.push(...batch.activities);
        started();
        this.#onBatch();
      }
    })();
  }

  /** Starts a trace; it is on when this returns. */
  static async start(options: TraceOptions = {}): Promise<RunningTrace> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const trace = new RunningTrace(options, resolve);
    trace.#loop.catch(reject);
    await promise;
    return trace;
  }

  /** Waits until something has been told. */
  async until(isThere: (activity: LockActivity) => boolean): Promise<void> {
    while (!this.activities.some(isThere)) {
      await new Promise<void>((resolve) => this.#onBatch = resolve);
    }
  }

  /** Ends the trace; all that happened before has been told then. */
  async end(): Promise<LockActivity[]> {
    this.#controller.abort();
    await this.#loop;
    return this.activities;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

/** The instances of holdfast that there are. */
export function listInstances(): string[] {
  using tracefs = openTracefs();
  return [...Deno.readDirSync(`${tracefs.root}/instances`)]
    .map(({ name }) => name).filter((name) => name.startsWith("holdfast-"));
}
