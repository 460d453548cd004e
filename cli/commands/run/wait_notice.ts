/**
 * What is said while a lock is waited for, and when it isn't to be had.
 *
 * @module
 */

import {
  formatHolder,
  type HolderInfo,
  NO_HOLDERS_RECORDED,
  readHoldersIfAny,
} from "../../../lib/inspect/holder.ts";
import { quotePath } from "../../../lib/proc/printable.ts";
import { LockTimeoutError } from "../../../lib/wait/lock_timeout_error.ts";
import { formatDuration } from "../../args/duration.ts";
import { writeError } from "../../ui/output.ts";
import type { RunRequest } from "./request.ts";
import { StatusLine } from "../../ui/terminal.ts";

/** What a wait needs to know of the request. */
type NoticeRequest = Pick<RunRequest, "timeoutMs" | "verbosity" | "log">;

/**
 * Shows on stderr how long a lock has been waited for, and who holds it: at
 * once with `--verbose`, else after a second; refreshed every second on a
 * terminal, one line in a pipe.
 */
export class WaitNotice implements Disposable {
  /**
   * To be called every second until it returns `false`; `undefined` when
   * nothing is to be said.
   */
  readonly onTick: (() => boolean) | undefined;
  readonly #path: string;
  readonly #request: NoticeRequest;
  readonly #readHolders: () => HolderInfo[];
  readonly #start = performance.now();
  readonly #status = new StatusLine();

  /**
   * Begins the wait.
   *
   * @param holders Reads who is in the way; everybody with a lock on the file
   * unless given.
   */
  constructor(
    path: string,
    request: NoticeRequest,
    holders: () => HolderInfo[] = () => readHoldersIfAny(path),
  ) {
    this.#readHolders = holders;
    this.#path = path;
    this.#request = request;
    const { timeoutMs, verbosity, log } = request;
    this.onTick = verbosity === "quiet" ? undefined : () => this.#show();
    log?.waiting(path);
    if (verbosity === "verbose" && timeoutMs > 0) this.#show();
  }

  /** Whether it is worth doing again. */
  #show(): boolean {
    if (!this.#status.isLive) return false;
    const waited = formatDuration(performance.now() - this.#start);
    const holders = this.#readHolders().map(formatHolder);
    if (holders.length === 0) holders.push(NO_HOLDERS_RECORDED);
    this.#status.show([
      `holdfast: waiting ${waited} for ${quotePath(this.#path)}, held by`,
      ...holders.map((line) => `  ${line}`),
    ]);
    return this.#status.isLive;
  }

  /** Says that the time is up, and who is in the way. */
  sayBusy(): void {
    this.#status.clear();
    const { timeoutMs, verbosity } = this.#request;
    if (verbosity === "quiet") return;
    const waitedMs = timeoutMs === 0 ? 0 : performance.now() - this.#start;
    const { message } = new LockTimeoutError(
      this.#path,
      waitedMs,
      this.#readHolders(),
    );
    writeError(`holdfast run: ${message}\n`);
  }

  /** Takes the notice away. */
  [Symbol.dispose](): void {
    this.#status.clear();
  }
}
