/**
 * Locks that are advisory locks of PostgreSQL.
 *
 * @module
 */

import type {
  ClusterDiagnosis,
  ClusterEngine,
  ClusterLock,
  ClusterLockRequest,
  ClusterLockStatus,
  EngineOptions,
} from "../engine.ts";
import { ClusterUnreachableError } from "../errors.ts";
import { DEFAULT_TTL_MS } from "../lease_rule.ts";
import type { ClusterUrl } from "../url.ts";
import { acquireLock } from "./acquire.ts";
import { explainRefusal } from "./connect_error.ts";
import {
  forgetfulNote,
  lockList,
  lockStatus,
  readAdvisoryLocks,
} from "./parties.ts";
import { PostgresSession } from "./session.ts";
import { type PostgresSettings, readSettings } from "./settings.ts";

/** Opens an engine without connecting yet. */
export function openEngine(
  url: ClusterUrl,
  options: EngineOptions = {},
): ClusterEngine {
  return new PostgresEngine(url, options);
}

class PostgresEngine implements ClusterEngine {
  readonly kind = "postgres";
  readonly #url: ClusterUrl;
  readonly #options: EngineOptions;
  #read: PostgresSettings | undefined;

  constructor(url: ClusterUrl, options: EngineOptions) {
    this.#url = url;
    this.#options = options;
  }

  async acquire(
    name: string,
    request: ClusterLockRequest,
  ): Promise<ClusterLock | undefined> {
    return await acquireLock(this.#url, this.#settings, name, request);
  }

  async status(
    name: string,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ClusterLockStatus> {
    const { locks, memoryMs } = await this.#readLocks(options.signal);
    const status = await lockStatus(this.#url, name, locks);
    return status.holders.length > 0
      ? status
      : { ...status, note: forgetfulNote(memoryMs, DEFAULT_TTL_MS) };
  }

  async list(
    prefix: string,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ClusterLockStatus[]> {
    const { locks } = await this.#readLocks(options.signal);
    return await lockList(this.#url, prefix, locks);
  }

  async diagnose(): Promise<ClusterDiagnosis> {
    const { diagnose } = await import("./diagnose.ts");
    return await diagnose(this.#url, () => this.#settings);
  }

  [Symbol.asyncDispose](): Promise<void> {
    // Each lock has its own session, and nothing else stays open.
    return Promise.resolve();
  }

  get #settings(): PostgresSettings {
    return this.#read ??= readSettings(this.#url, this.#options);
  }

  async #readLocks(signal: AbortSignal | undefined) {
    await using session = await PostgresSession.open(this.#settings, {
      label: "holdfast",
      signal,
    });
    const stop = () => void session.close();
    signal?.addEventListener("abort", stop, { once: true });
    try {
      const timeoutMs = this.#settings.connectTimeoutMs;
      return {
        locks: await readAdvisoryLocks(session, timeoutMs),
        memoryMs: session.memoryMs,
      };
    } catch (error) {
      throw session.ended.aborted
        ? new ClusterUnreachableError(
          this.#url.text,
          `the session has ended: ${session.ended.reason.message}`,
        )
        : explainRefusal(error, this.#url.text);
    } finally {
      signal?.removeEventListener("abort", stop);
      signal?.throwIfAborted();
    }
  }
}
