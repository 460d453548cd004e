/**
 * One session at one server: exactly one connection, never replaced by another.
 *
 * @module
 */

import type postgres from "postgres";
import { fatalMessage, type Row, textRows } from "./answers.ts";
import {
  connectError,
  type ConnectFailure,
  explainFailure,
  UnsuitableServerError,
} from "./connect_error.ts";
import { GREETING } from "./greeting.ts";
import {
  type PostgresServer,
  type PostgresSettings,
  serverName,
} from "./settings.ts";
import {
  type Encryption,
  encryptionsOf,
  openSocket,
  sendCancel,
  TlsError,
} from "./socket.ts";

/** Parameters that a session starts with, as `SET` knows them. */
export type SessionParameters = Readonly<Record<string, string>>;

/** The session has ended, with all that it held. */
export class SessionEndedError extends Error {
  /** The name of the class. */
  override name = "SessionEndedError";
}

/** How a session is opened. */
export interface SessionOptions {
  /** Its application_name: printable ASCII, at most 63 bytes. */
  readonly label: string;
  /** More of them. */
  readonly parameters?: SessionParameters;
  /** Gives up when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Opens one even at a standby or a pooler, to examine it. */
  readonly anyServer?: boolean;
}

/** Whatever a role or database has set for itself, a lock doesn't depend on. */
const PARAMETERS: SessionParameters = {
  search_path: "pg_catalog",
  lock_timeout: "0",
  statement_timeout: "0",
  default_transaction_read_only: "off",
};

/** What is used of the options that the client library leaves untyped. */
interface ClientOptions extends postgres.Options<Record<string, never>> {
  socket(): Promise<unknown>;
  no_subscribe: boolean;
  sslnegotiation: null;
  max_pipeline: number;
  onnotify(): void;
}

/** A session at a server. */
export class PostgresSession implements AsyncDisposable {
  /** Where it is. */
  readonly server: PostgresServer;
  /** Aborts with a {@linkcode SessionEndedError} when it has ended. */
  readonly ended: AbortSignal;
  /** The server's version. */
  version = "";
  /** Whether the server is a standby. */
  isStandby = false;
  /** Whether something between shares sessions among clients. */
  isPooled = false;
  /** Called when a channel that it listens to has something to say. */
  onNotify: (() => void) | undefined;
  readonly #settings: PostgresSettings;
  readonly #encryption: Encryption;
  readonly #sql: postgres.Sql;
  readonly #ended = new AbortController();
  #backend = { pid: 0, secret: 0 };
  #upMs = 0;
  #greetedAt = 0;
  #lastWords: string | undefined;
  #running = 0;
  #hasConnected = false;
  #lacksPassword = false;

  private constructor(
    connect: typeof postgres,
    server: PostgresServer,
    encryption: Encryption,
    settings: PostgresSettings,
    { label, parameters, signal }: SessionOptions,
  ) {
    this.server = server;
    this.ended = this.#ended.signal;
    this.#settings = settings;
    this.#encryption = encryption;
    // Set so that the library doesn't look for them in the environment. A
    // lifetime or an idle timeout of its own would end the session and the lock
    // with it.
    const options: ClientOptions = {
      host: server.host,
      port: server.port,
      user: settings.user,
      database: settings.database,
      pass: () => this.#password(),
      max: 1,
      idle_timeout: 0,
      max_lifetime: null,
      connect_timeout: settings.connectTimeoutMs / 1000,
      ssl: false,
      sslnegotiation: null,
      max_pipeline: 100,
      backoff: () => 0,
      keep_alive: 0,
      prepare: false,
      debug: false,
      fetch_types: false,
      publications: "none",
      target_session_attrs: undefined,
      no_subscribe: true,
      connection: {
        application_name: label,
        ...PARAMETERS,
        ...parameters,
      } as Partial<postgres.ConnectionParameters>,
      // A server that crashes says so in a warning.
      onnotice: ({ code, message }) => {
        if (code?.startsWith("57P")) this.#lastWords = message;
      },
      onnotify: () => this.onNotify?.(),
      onclose: () => this.#end(this.#lastWords ?? "its connection was closed"),
      socket: () => this.#connect(signal),
    };
    this.#sql = connect(options);
  }

  /**
   * Opens a session at the first server that is fit for locks.
   *
   * @throws {ClusterPermissionError} when a server refuses this user.
   * @throws {ClusterUnreachableError} when no server will do.
   * @throws `signal.reason` when the signal aborts.
   */
  static async open(
    settings: PostgresSettings,
    options: SessionOptions,
  ): Promise<PostgresSession> {
    const opened = await PostgresSession.openOrFailures(settings, options);
    if (opened instanceof PostgresSession) return opened;
    throw connectError(settings.url, opened);
  }

  /** The same, but what is wrong with each server is a value. */
  static async openOrFailures(
    settings: PostgresSettings,
    options: SessionOptions,
  ): Promise<PostgresSession | readonly ConnectFailure[]> {
    const failures: ConnectFailure[] = [];
    for (const server of settings.servers) {
      const opened = await openAt(server, settings, options);
      if (opened instanceof PostgresSession) return opened;
      failures.push(opened);
    }
    return failures;
  }

  /** Tries one server in one way. */
  static async tryOpen(
    server: PostgresServer,
    encryption: Encryption,
    settings: PostgresSettings,
    options: SessionOptions,
  ): Promise<PostgresSession | OpenFailure> {
    // Imported here, so that a bundle loads it, and all of node: that it needs,
    // for those alone who have use for it.
    const { default: connect } = await import("postgres");
    const session = new PostgresSession(
      connect,
      server,
      encryption,
      settings,
      options,
    );
    try {
      await session.#greet(options);
      return session;
    } catch (error) {
      await session.close();
      options.signal?.throwIfAborted();
      if (error instanceof Deno.errors.NotCapable) throw error;
      const lacksPassword = session.#lacksPassword;
      return {
        error,
        failure: explainFailure(error, server, settings, { lacksPassword }),
      };
    }
  }

  /** The server process. */
  get pid(): number {
    return this.#backend.pid;
  }

  /**
   * For how long at least the server has remembered its locks: it can't have
   * forgotten them as long as this session lives.
   */
  get memoryMs(): number {
    return this.#upMs + performance.now() - this.#greetedAt;
  }

  /**
   * Runs statements without parameters.
   *
   * @param timeoutMs The session counts as ended when no answer comes in time.
   * @returns The rows of the last one.
   * @throws {SessionEndedError} when the session ends before the answer.
   * @throws What the server says, with its SQLSTATE as `code`.
   */
  async query(text: string, timeoutMs?: number): Promise<readonly Row[]> {
    this.ended.throwIfAborted();
    this.#running++;
    const timer = timeoutMs === undefined ? undefined : setTimeout(
      () => this.#end(`no answer came within ${Math.round(timeoutMs)} ms`),
      timeoutMs,
    );
    let stopWatching = () => {};
    const ended = new Promise<never>((_, reject) => {
      const onEnd = () => reject(this.ended.reason);
      this.ended.addEventListener("abort", onEnd, { once: true });
      stopWatching = () => this.ended.removeEventListener("abort", onEnd);
    });
    const answer = this.#sql.unsafe(text).then((result) => {
      // Of several statements each has a result of its own.
      const last = (Array.isArray(result[0]) ? result.at(-1) : result) as
        & readonly Record<string, unknown>[]
        & { state: { pid: number; secret: number } };
      this.#backend = { ...last.state };
      return textRows(last);
    });
    try {
      return await Promise.race([answer, ended]);
    } catch (error) {
      // The library's name for it may come before the socket's own end.
      const code = String((error as { code?: unknown }).code);
      if (this.#hasConnected && code.startsWith("CONNECTION_")) {
        this.#end(this.#lastWords ?? "its connection was closed");
      }
      if (this.ended.aborted && this.#hasConnected) throw this.ended.reason;
      throw error;
    } finally {
      this.#running--;
      answer.catch(() => {});
      stopWatching();
      clearTimeout(timer);
    }
  }

  /** Asks the server to cancel the statement that runs. */
  cancel(): Promise<void> {
    return sendCancel(
      this.server,
      this.#encryption,
      this.#settings,
      this.#backend,
    );
  }

  /**
   * Ends it, at once when a statement is under way, and waits until the socket
   * is closed. Never fails.
   */
  async close(): Promise<void> {
    if (this.#running > 0) this.#end("it has been closed");
    await this.#sql.end({ timeout: 1 }).catch(() => {});
    this.#end("it has been closed");
  }

  /** {@linkcode PostgresSession.close} */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #greet(options: SessionOptions): Promise<void> {
    const { connectTimeoutMs } = this.#settings;
    // The library counts the time of the login, not that of this query.
    const [row] = await this.query(GREETING, 2 * connectTimeoutMs);
    const keyPid = this.#backend.pid;
    this.#greetedAt = performance.now();
    this.#upMs = Number(row?.up_ms);
    this.isStandby = row?.standby === "t";
    this.version = row?.version ?? "";
    // A pooler hands out keys for cancelling of its own, and what it isn't
    // told to track, such as timeouts, never reaches the server.
    this.isPooled = Number(row?.pid) !== keyPid || row?.label !== options.label;
    if (options.anyServer === true) return;
    const at = serverName(this.server);
    if (this.isPooled) {
      throw new UnsuitableServerError(
        "pooler",
        `${at} is not PostgreSQL itself but a pooler such as pgbouncer, and a ` +
          "lock of a shared session is nobody's; connect to the server itself",
      );
    }
    if (this.isStandby) {
      throw new UnsuitableServerError(
        "standby",
        `${at} is a standby, where locks keep nobody out; use the primary`,
      );
    }
  }

  async #connect(signal: AbortSignal | undefined): Promise<unknown> {
    // The library would connect again after the end; a lock isn't there then.
    if (this.#hasConnected || this.ended.aborted) {
      throw this.ended.reason ?? new SessionEndedError("it has ended");
    }
    const socket = await openSocket(
      this.server,
      this.#encryption,
      this.#settings,
      signal,
    );
    this.#hasConnected = true;
    socket.setKeepAlive(true, 10_000);
    socket.on("data", (chunk: Uint8Array) => {
      this.#lastWords = fatalMessage(chunk) ?? this.#lastWords;
    });
    // A query that gave up waiting leaves a socket that nobody reads.
    this.ended.addEventListener("abort", () => socket.destroy());
    return socket;
  }

  #password(): string {
    const password = this.#settings.password(this.server);
    this.#lacksPassword = password === undefined;
    return password ?? "";
  }

  #end(reason: string): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(new SessionEndedError(reason));
  }
}

interface OpenFailure {
  readonly error: unknown;
  readonly failure: ConnectFailure;
}

async function openAt(
  server: PostgresServer,
  settings: PostgresSettings,
  options: SessionOptions,
): Promise<PostgresSession | ConnectFailure> {
  let last: ConnectFailure | undefined;
  for (const encryption of encryptionsOf(server, settings)) {
    const opened = await PostgresSession.tryOpen(
      server,
      encryption,
      settings,
      options,
    );
    if (opened instanceof PostgresSession) return opened;
    last = opened.failure;
    // As in libpq, another way is tried where this one was turned down, which
    // pg_hba.conf does by 28000.
    const { error } = opened;
    const code = (error as { code?: unknown }).code;
    if (!(error instanceof TlsError) && code !== "28000") break;
  }
  return last!;
}
