/**
 * Has the library's engine take something, asleep in the kernel where that is
 * all there is to do, and tells the user how it goes.
 *
 * @module
 */

import type { EngineOptions, Wait } from "../../../lib/acquire/budget.ts";
import { toLockPath } from "../../../lib/lock/lock_path.ts";
import { isFirstProcess } from "../../../lib/sys/process/exec.ts";
import { LockTimeoutError } from "../../../lib/wait/lock_timeout_error.ts";
import type { WakeSource } from "../../../lib/wait/wake.ts";
import { UsageError } from "../../args/parse.ts";
import { writeError } from "../../ui/output.ts";
import type { RunRequest } from "./request.ts";
import type { HolderReader, WaitNotice } from "./wait_notice.ts";

/** What is said of waits, where that isn't the file and all of its holders. */
export interface WaitSubject {
  /** What to call it, whatever file is waited for. */
  name?: string | undefined;
  /** Loads what reads who is in the way; asked for only when a wait begins. */
  holderReader?: (() => Promise<HolderReader>) | undefined;
}

/**
 * Has the library take something, says on stderr what is being waited for, and
 * what was in the way when the time is up.
 *
 * @param acquire Takes it.
 * @returns What `acquire` gives; `undefined` when the time was up.
 * @throws {UsageError} when the library finds a number out of range.
 */
export async function takeByEngine<T>(
  request: RunRequest,
  acquire: (options: EngineOptions) => Promise<T>,
  subject: WaitSubject = {},
): Promise<T | undefined> {
  const { timeoutMs, allowRemote, allowNested, verbosity } = request;
  let notice: WaitNotice | undefined;
  const waitBy = async (wait: Wait) => {
    if (sleepable(wait) !== undefined) await request.beforeSleep?.();
    const name = subject.name ?? toLockPath(wait.path).given;
    if (notice?.name !== name) {
      const { WaitNotice } = await import("./wait_notice.ts");
      const readHolders = await subject.holderReader?.();
      notice = new WaitNotice(name, request, readHolders);
    }
    return await noticedWake(wait, notice);
  };
  try {
    return await acquire({ timeoutMs, allowRemote, allowNested, waitBy });
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    if (!(error instanceof LockTimeoutError)) throw error;
    if (verbosity !== "quiet") writeError(`holdfast run: ${error.message}\n`);
    return undefined;
  }
}

/**
 * What this very thread can sleep for. In the first process of a container
 * nothing but a signal listener ends a wait, and that takes the event loop.
 */
function sleepable({ attempt }: Wait): Wait["attempt"] {
  return attempt?.sleep === undefined || isFirstProcess() ? undefined : attempt;
}

/** Wakes a wait, and shows a notice until then. */
async function noticedWake(
  wait: Wait,
  notice: WaitNotice,
): Promise<WakeSource> {
  const { onTick } = notice;
  const attempt = sleepable(wait);
  if (attempt !== undefined) {
    return {
      // Nothing else is to be done meanwhile: this very thread sleeps.
      async wait(timeoutMs) {
        await attempt.sleep!({ timeoutMs, onTick });
      },
      [Symbol.asyncDispose]() {
        return Promise.resolve(notice.clear());
      },
    };
  }
  const source = await wait.wake();
  const ticks = onTick && setInterval(onTick, 1000);
  return {
    wait: (maxMs, signal) => source.wait(maxMs, signal),
    async [Symbol.asyncDispose]() {
      clearInterval(ticks);
      notice.clear();
      await source[Symbol.asyncDispose]();
    },
  };
}
