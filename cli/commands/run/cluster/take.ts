/**
 * `run` on locks in engines.
 *
 * @module
 */

import { acquireClusterLock } from "../../../../lib/cluster/acquire.ts";
import {
  type ClusterLock,
  type ClusterLockEvent,
  type ClusterWaitInfo,
  describeParty,
} from "../../../../lib/cluster/engine.ts";
import { ClusterLockTimeoutError } from "../../../../lib/cluster/errors.ts";
import { leaseTimes } from "../../../../lib/cluster/lease_rule.ts";
import { inOneOrder } from "../../../../lib/cluster/url.ts";
import type { HeldLock } from "../../../../lib/lock/held_lock.ts";
import { printable, quotePath } from "../../../../lib/proc/printable.ts";
import { formatDuration } from "../../../args/duration.ts";
import { writeError } from "../../../ui/output.ts";
import { StatusLine } from "../../../ui/terminal.ts";
import type { RunRequest, TakenLock } from "../request.ts";
import { Interruption } from "./interruption.ts";
import { LeaseGuard } from "./lease_guard.ts";
import { Survivors } from "./survivors.ts";
import type { ClusterTarget } from "./request.ts";

/**
 * Takes lock files first and then the locks in engines, each kind in one order
 * that is the same for everybody.
 *
 * @returns The locks; `undefined` when one was busy until the deadline, which
 * has been said on stderr.
 */
export async function takeCluster(
  request: RunRequest,
  target: ClusterTarget,
): Promise<TakenLock | undefined> {
  const interruption = new Interruption();
  try {
    return await takeAll(request, target, interruption);
  } catch (error) {
    interruption.dieIfAny();
    throw error;
  }
}

async function takeAll(
  request: RunRequest,
  target: ClusterTarget,
  interruption: Interruption,
): Promise<TakenLock | undefined> {
  await using stack = new AsyncDisposableStack();
  const start = performance.now();
  const runId = crypto.randomUUID();
  const mark = `HOLDFAST_RUN_ID=${runId}`;
  const guard = stack.use(new LeaseGuard(mark));
  let files: TakenLock | undefined;
  if (target.files.length > 0) {
    files = await takeFilesFirst(request, target.files);
    if (files === undefined) return undefined;
    stack.use(files.lock);
  }
  const ready = request.beforeQueue?.((name) => interruption.note(name));
  const locks: ClusterLock[] = [];
  for (const [index, url] of inOneOrder(target.urls).entries()) {
    const spentMs = request.timeoutMs === 0 ? 0 : performance.now() - start;
    const timeoutMs = Math.max(0, request.timeoutMs - spentMs);
    const lock = await takeOne(
      { ...request, timeoutMs },
      target,
      url,
      (at) => guard.setDeadline(index, at),
      interruption.signal,
    );
    if (lock === undefined) return undefined;
    locks.push(stack.use(lock));
  }
  await ready;
  interruption.signal.throwIfAborted();
  const owned = stack.move();
  const env = {
    ...files?.env,
    ...describe(locks, files),
    HOLDFAST_RUN_ID: runId,
  };
  const { graceMs } = leaseTimes(target.lease);
  let command = 0;
  let survivors: Survivors | undefined;
  return {
    lock: new LeasedLocks(target.urls.join(" "), locks),
    env,
    process: {
      onStart: (pid) => {
        guard.setCommand(pid, locks.map(({ moments }) => moments));
        command = pid;
      },
      askToEnd: () => {
        survivors = new Survivors(command, mark, graceMs);
        guard.commandIsTold();
      },
      lossGraceMs: graceMs,
    },
    finish: async () => {
      await survivors?.end();
      await owned.disposeAsync();
    },
  };
}

async function takeFilesFirst(
  request: RunRequest,
  paths: readonly string[],
): Promise<TakenLock | undefined> {
  const { takeFiles } = await import("../take_files.ts");
  return await takeFiles(
    request,
    { type: "files", paths, kind: "flock", range: undefined },
  );
}

/** Variables for the command; several values are a line each. */
function describe(
  locks: readonly ClusterLock[],
  files: TakenLock | undefined,
): Record<string, string> {
  const lines = (texts: readonly (string | undefined)[]) =>
    texts.filter((text) => text !== undefined).join("\n");
  const slot = locks[0]?.slot;
  return {
    HOLDFAST_LOCK: lines([
      files?.env.HOLDFAST_LOCK,
      ...locks.map(({ path }) => path),
    ]),
    HOLDFAST_FENCE: lines(locks.map(({ fence }) => String(fence))),
    HOLDFAST_LOCK_KEY: lines(locks.map(({ key }) => key)),
    ...(slot === undefined ? {} : { HOLDFAST_SLOT: String(slot) }),
  };
}

async function takeOne(
  request: RunRequest,
  { mode, slots, message, engine, lease }: ClusterTarget,
  url: string,
  setDeadline: (moments: ClusterLock["moments"]) => void,
  signal: AbortSignal,
): Promise<ClusterLock | undefined> {
  const { timeoutMs, verbosity, log, command } = request;
  const notice = new QueueNotice(url, request);
  const onEvent = (event: ClusterLockEvent) => {
    if (event.type === "renewed") setDeadline(event.moments);
    log?.leaseEvent(url, event);
    if (event.type === "failed-over" && verbosity === "verbose") {
      writeError(
        `holdfast run: ${printable(event.from)} does not answer; ` +
          `asking ${printable(event.to)}\n`,
      );
    }
  };
  try {
    return await acquireClusterLock(url, {
      ...lease,
      engine,
      signal,
      mode,
      slots,
      timeoutMs: timeoutMs === Infinity ? undefined : timeoutMs,
      message: message ?? command.argv.join(" "),
      onWait: (info) => notice.update(info),
      onEvent,
    });
  } catch (error) {
    if (!(error instanceof ClusterLockTimeoutError)) throw error;
    notice.clear();
    if (verbosity !== "quiet") writeError(`holdfast run: ${error.message}\n`);
    return undefined;
  } finally {
    notice.clear();
  }
}

/** Shows how long a lock has been waited for, and the place in its queue. */
class QueueNotice {
  readonly #url: string;
  readonly #request: RunRequest;
  readonly #start = performance.now();
  readonly #status = new StatusLine();
  #info: ClusterWaitInfo | undefined;
  #ticks: ReturnType<typeof setInterval> | undefined;

  constructor(url: string, request: RunRequest) {
    this.#url = url;
    this.#request = request;
  }

  update(info: ClusterWaitInfo): void {
    const { timeoutMs, verbosity, log } = this.#request;
    const isFirst = this.#info === undefined;
    this.#info = info;
    if (isFirst) log?.waiting(this.#url);
    if (verbosity === "quiet" || timeoutMs === 0) return;
    if (isFirst) this.#ticks = setInterval(() => this.#show(), 1000);
    if (verbosity === "verbose" || !isFirst) this.#show();
  }

  #show(): void {
    if (this.#info === undefined || !this.#status.isLive) return;
    const { path, position, ahead, note } = this.#info;
    const waited = formatDuration(performance.now() - this.#start);
    const place = position === 1
      ? "next in its queue"
      : `place ${position} in its queue`;
    if (note !== undefined) {
      return this.#status.show([
        `holdfast: waiting ${waited} for ${quotePath(path)}; ${
          printable(note)
        }`,
      ]);
    }
    this.#status.show([
      `holdfast: waiting ${waited} for ${quotePath(path)}, ${place}, behind`,
      ...ahead.map((party) => `  ${describeParty(party)}`),
    ]);
  }

  clear(): void {
    clearInterval(this.#ticks);
    this.#status.clear();
  }
}

/** Locks in engines as `run` sees them; `finish` releases them. */
class LeasedLocks implements HeldLock {
  readonly path: string;
  readonly lost: AbortSignal;
  readonly #locks: readonly ClusterLock[];

  constructor(path: string, locks: readonly ClusterLock[]) {
    this.path = path;
    this.#locks = locks;
    this.lost = AbortSignal.any(locks.map((lock) => lock.lost));
  }

  get held(): boolean {
    return this.#locks.every((lock) => lock.held);
  }

  /** Nothing yet: the command must be dead, and the engines must answer. */
  release(): void {}

  [Symbol.dispose](): void {}
}
