/**
 * Turns in the order of arrival. Neither flock(2) nor fcntl(2) promises any
 * order, and a stream of sharers can keep one who wants the lock alone waiting
 * for ever.
 *
 * A queue file beside the lock is the ticket machine. Ticket N is an exclusive
 * lock on a byte of it, and it is N's turn when all bytes before are free: one
 * shared lock over all of them tells. The kernel frees the byte of a process
 * that dies, wherever it stands in the line. Tickets are numbered by a counter
 * in the file, which is read and written under a lock on the first byte.
 *
 * @module
 */

import { rejectRemoteFile } from "../fs/guard.ts";
import { checkOptions } from "../lock/check.ts";
import {
  type BlockOptions,
  checkMode,
  type FlockHandle,
  type LockMode,
} from "../lock/flock/flock.ts";
import { type LockPath, type PathLike, toLockPath } from "../lock/lock_path.ts";
import { closeWithWorker, inWorker, openNamed } from "../lock/lock_file.ts";
import {
  fOfdSetlk,
  fOfdSetlkw,
  parkOfdSetlkw,
  type RecordLockRequest,
} from "../lock/record/record_lock.ts";
import { quotePath } from "../proc/printable.ts";
import { LockError } from "../sys/error.ts";
import { closeFile, isStillNamed } from "../sys/file.ts";
import type { ParkedCall } from "../sys/thread/parked_call.ts";
import { readState, writeState } from "./state_file.ts";
import {
  type LockWaitOptions,
  MOMENT_MS,
  WaitBudget,
  waitInfo,
} from "../acquire/budget.ts";
import { flockAttempt } from "../acquire/flock_attempt.ts";
import { rejectNestedWait } from "../acquire/nested.ts";

/** A place in the line, given up by `using` or {@linkcode Turn.leave}. */
export class Turn implements Disposable {
  /** The number of the ticket, from 0, in the order of arrival. */
  readonly ticket: bigint;
  /** The descriptor that carries the ticket. */
  readonly fd: number;
  #left = false;

  /** Made by {@linkcode joinQueue}. */
  constructor(fd: number, ticket: bigint) {
    this.fd = fd;
    this.ticket = ticket;
  }

  /** Whether everybody who came earlier has left the line. */
  isDue(path: string): boolean {
    // A length of 0 would mean all bytes.
    return this.ticket === 0n || fOfdSetlk(this.fd, this.#earlier, { path });
  }

  /** Sleeps until then; `undefined` when that can't be. */
  park(): ParkedCall | undefined {
    return parkOfdSetlkw(this.fd, this.#earlier);
  }

  /** Has this thread sleep until then; `false` when the time was up. */
  sleep(options: BlockOptions & { path: string }): boolean {
    return this.ticket === 0n || fOfdSetlkw(this.fd, this.#earlier, options);
  }

  get #earlier(): RecordLockRequest {
    return {
      type: "read",
      startByte: FIRST_TICKET,
      lengthBytes: this.ticket,
    };
  }

  /** Lets the next one come forward; a second call does nothing. */
  leave(): void {
    if (this.#left) return;
    this.#left = true;
    closeFile(this.fd);
  }

  /** Leaves; see {@linkcode Turn.leave}. */
  [Symbol.dispose](): void {
    this.leave();
  }
}

/** The byte under whose lock tickets are drawn. */
const MACHINE = { startByte: 0n, lengthBytes: 1n };
const FIRST_TICKET = 1n;

/** What the first line of a queue file says. */
export const QUEUE_KIND = "queue";

/**
 * Draws the next ticket of a queue file, which is created if need be.
 *
 * @throws {LockTimeoutError} when somebody else is still drawing one at the
 * deadline.
 */
export async function joinQueue(
  file: PathLike | LockPath,
  budget: WaitBudget,
  options: Pick<LockWaitOptions, "allowRemote" | "createParents"> = {},
): Promise<Turn> {
  const queue = toLockPath(file);
  // A ticket that outlived its Worker would hold up the line.
  if (inWorker) await closeWithWorker();
  for (;;) {
    const { fd, stat } = openNamed(queue, options);
    let turn: Turn | undefined;
    try {
      if (options.allowRemote !== true) {
        rejectRemoteFile(fd, queue.given, stat);
      }
      const drawn = await waitForMachine(fd, queue, budget, () => {
        // The cleaner of lock files may have removed it just before.
        if (!isStillNamed(queue.absolute, stat)) return "gone";
        const ticket = drawTicket(fd, queue.given);
        fOfdSetlk(fd, { type: "unlock", ...MACHINE }, {
          path: queue.given,
        });
        return new Turn(fd, ticket);
      });
      if (drawn === undefined) throw await budget.timeoutError(queue);
      if (drawn !== "gone") return turn = drawn;
    } finally {
      if (turn === undefined) closeFile(fd);
    }
  }
}

/**
 * Draws under the lock of the ticket machine, which nobody holds longer than
 * that takes, unless a process has been stopped.
 *
 * @returns `undefined` when the time was up.
 */
async function waitForMachine<T>(
  fd: number,
  { given, absolute }: LockPath,
  budget: WaitBudget,
  draw: () => T,
): Promise<T | undefined> {
  const request: RecordLockRequest = { type: "write", ...MACHINE };
  const block = (options: BlockOptions) =>
    fOfdSetlkw(fd, request, { ...options, path: given });
  // Drawn at once: were it held meanwhile, others of this isolate would block.
  const tryDraw = () =>
    fOfdSetlk(fd, request, { path: given }) ? draw() : undefined;
  const drawn = tryDraw();
  if (drawn !== undefined) return drawn;
  if (block({ timeoutMs: MOMENT_MS })) return draw();
  return await budget.take(absolute, {
    fd,
    try: tryDraw,
    park: () => parkOfdSetlkw(fd, request),
    sleep: block,
  });
}

function drawTicket(fd: number, path: string): bigint {
  const state = readState(fd, path, QUEUE_KIND) ?? "0";
  if (!/^\d{1,18}$/.test(state)) {
    throw new LockError(
      `Cannot draw a ticket from ${quotePath(path)}: it is damaged; ` +
        "remove it when nobody waits",
    );
  }
  const ticket = BigInt(state);
  // First the lock, then the counter: one that dies in between leaves no gap.
  const free = fOfdSetlk(fd, {
    type: "write",
    startByte: FIRST_TICKET + ticket,
    lengthBytes: 1n,
  }, { path });
  if (!free) {
    throw new LockError(
      `Cannot draw a ticket from ${quotePath(path)}: its counter has been ` +
        "set back while others wait; leave the file alone and try again",
    );
  }
  writeState(fd, path, QUEUE_KIND, String(ticket + 1n));
  return ticket;
}

/** How a line is joined. */
export interface TakeTurnOptions
  extends Pick<LockWaitOptions, "allowRemote" | "createParents"> {
  /** Refuses to wait in a line that will never move. */
  rejectNested?: (() => Promise<void>) | undefined;
}

/**
 * Joins the line of a queue file and waits to be the first.
 *
 * @returns The turn, to be left once the lock is held; `undefined` when the
 * time was up.
 */
export async function takeTurn(
  path: LockPath | string,
  budget: WaitBudget,
  options: TakeTurnOptions = {},
): Promise<Turn | undefined> {
  const { rejectNested } = options;
  const turn = await joinQueue(path, budget, options);
  const { given } = toLockPath(path);
  try {
    const due = await budget.take(path, {
      fd: turn.fd,
      try: () => turn.isDue(given) || undefined,
      park: () => turn.park(),
      sleep: (options) => turn.sleep({ ...options, path: given }),
    }, { rejectNested });
    if (due) return turn;
  } catch (error) {
    turn.leave();
    throw error;
  }
  turn.leave();
  return undefined;
}

/** How {@linkcode acquireFair} takes a lock. */
export interface AcquireFairOptions extends LockWaitOptions {
  /** Shared or exclusive; exclusive unless set. */
  mode?: LockMode | undefined;
}

const QUEUE_SUFFIX = ".queue";

/**
 * Takes a flock(2) in the order of arrival: whoever has called this earlier
 * gets the lock earlier, shared and exclusive alike, so that a stream of
 * sharers can't keep an exclusive one waiting. One who dies in the line holds
 * up nobody.
 *
 * Only those who all come by this function (or `run --fair`) take turns; one
 * who takes the lock directly may cut in. The line is a second file,
 * `PATH.queue`.
 *
 * Permissions: `--allow-ffi`. See flock(2), and F_OFD_SETLK in
 * fcntl_locking(2).
 *
 * @param path The lock file; created if need be.
 * @param options Mode, `timeoutMs`, `signal`.
 * @returns The held lock; `using` releases it at the end of the block.
 * @throws {LockTimeoutError} when it was busy until the deadline.
 * @throws {UnsupportedFilesystemError} when flock can't be relied on there.
 * @throws {SyscallError} when a file can't be opened or locked.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { acquireFair } from "@holdfast/holdfast/patterns";
 *
 * using lock = await acquireFair("/tmp/holdfast-example.lock", {
 *   timeoutMs: 5000,
 * });
 * console.log(`my turn: ${lock.path}`);
 * ```
 */
export async function acquireFair(
  path: PathLike,
  options: AcquireFairOptions = {},
): Promise<FlockHandle> {
  checkOptions(options);
  const file = toLockPath(path);
  const { mode = "exclusive" } = options;
  checkMode(mode);
  const budget = new WaitBudget({
    ...options,
    // To wait in the line is to wait for the lock.
    onWait: options.onWait && (() => options.onWait?.(waitInfo(file))),
  });
  using turn = await takeTurn(
    file.plus(QUEUE_SUFFIX),
    budget,
    {
      ...options,
      rejectNested: () =>
        rejectNestedWait(file, { types: ["FLOCK"], mode }, options),
    },
  );
  if (turn !== undefined) {
    using attempt = flockAttempt(file, { ...options, mode });
    const lock = await budget.take(file, attempt);
    if (lock !== undefined) return lock;
  }
  throw await budget.timeoutError(file);
}
