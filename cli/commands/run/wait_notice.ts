/**
 * What is said while a lock is waited for.
 *
 * @module
 */

import { formatHoldersInTheWay } from "../../../lib/inspect/ancestor_holder.ts";
import {
  type HolderInfo,
  readHoldersIfAny,
} from "../../../lib/inspect/holder.ts";
import { quotePath } from "../../../lib/proc/printable.ts";
import { formatDuration } from "../../args/duration.ts";
import type { RunRequest } from "./request.ts";
import { StatusLine } from "../../ui/terminal.ts";

/** Reads who is in the way of the lock on a file. */
export type HolderReader = (path: string) => HolderInfo[];

/** What a wait needs to know of the request. */
type NoticeRequest = Pick<RunRequest, "timeoutMs" | "verbosity" | "log">;

/**
 * Shows on stderr how long a lock has been waited for, and who holds it: at
 * once with `--verbose`, else after a second; refreshed every second on a
 * terminal, one line in a pipe.
 */
export class WaitNotice {
  /** What is waited for. */
  readonly name: string;
  /**
   * To be called every second until it returns `false`; `undefined` when
   * nothing is to be said.
   */
  readonly onTick: (() => boolean) | undefined;
  readonly #readHolders: HolderReader;
  readonly #start = performance.now();
  readonly #status = new StatusLine();

  /**
   * Begins the wait.
   *
   * @param name The file, or another name.
   * @param readHolders Reads who is in the way; everybody with a lock on the
   * file unless given.
   */
  constructor(
    name: string,
    request: NoticeRequest,
    readHolders: HolderReader = readHoldersIfAny,
  ) {
    this.name = name;
    this.#readHolders = readHolders;
    const { timeoutMs, verbosity, log } = request;
    this.onTick = verbosity === "quiet" ? undefined : () => this.#show();
    log?.waiting(name);
    if (verbosity === "verbose" && timeoutMs > 0) this.#show();
  }

  /** Whether it is worth doing again. */
  #show(): boolean {
    if (!this.#status.isLive) return false;
    const waited = formatDuration(performance.now() - this.#start);
    const holders = formatHoldersInTheWay(this.#readHolders(this.name));
    this.#status.show([
      `holdfast: waiting ${waited} for ${quotePath(this.name)}, held by`,
      ...holders.map((line) => `  ${line}`),
    ]);
    return this.#status.isLive;
  }

  /** Takes it away from a terminal. */
  clear(): void {
    this.#status.clear();
  }
}
