import { ClusterPermissionError, ClusterUnreachableError } from "../errors.ts";
import { quotePath } from "../../proc/printable.ts";
import { readPieces, readText } from "./answer_text.ts";
import {
  clusterError,
  explainAnswer,
  explainNoAnswer,
  GatewayFailure,
} from "./failures.ts";
import type { EtcdSettings } from "./settings.ts";

/** How long one call may take. */
export interface CallOptions {
  /** Ends it; what it throws then is the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** One server gets so long to answer. */
  readonly attemptMs?: number | undefined;
  /**
   * Servers that can't serve now are asked again for so long; with Infinity,
   * those that aren't there are too.
   */
  readonly patienceMs?: number | undefined;
}

/** A change of the server that is asked. */
export interface FailOver {
  readonly from: string;
  readonly to: string;
}

const PAUSE_MS = 150;

/**
 * Asks one of etcd's servers, and another one when it doesn't answer. Every
 * request made through it may safely be made twice.
 */
export class Gateway implements Disposable {
  readonly settings: EtcdSettings;
  readonly #listeners = new Set<(change: FailOver) => void>();
  #current = 0;
  #client: Deno.HttpClient | undefined;
  #token: string | undefined;
  #login: Promise<void> | undefined;

  /** Connects with the first call. */
  constructor(settings: EtcdSettings) {
    this.settings = settings;
  }

  /** The server that is asked now: `http://host:port`. */
  get origin(): string {
    return this.settings.origins[this.#current]!;
  }

  /** Has a function told of changes of the server; gives what ends that. */
  onFailOver(listener: (change: FailOver) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Asks a server, and others after it.
   *
   * @throws {GatewayFailure} of the kinds `absent` and `exists`: etcd has
   * answered so.
   * @throws {ClusterUnreachableError} when none has done it.
   * @throws {ClusterPermissionError} when it was refused.
   */
  async call<T>(
    path: string,
    body: unknown,
    options: CallOptions = {},
  ): Promise<T> {
    const { signal, patienceMs = this.settings.patienceMs } = options;
    const start = performance.now();
    const text = JSON.stringify(body);
    let loggedInAgain = false;
    let failures: GatewayFailure[] = [];
    for (;;) {
      signal?.throwIfAborted();
      try {
        return await this.#ask<T>(path, text, options);
      } catch (error) {
        if (!(error instanceof GatewayFailure)) throw error;
        const { kind } = error;
        if (kind === "absent" || kind === "exists") throw error;
        if (kind === "login" && !loggedInAgain) {
          loggedInAgain = true;
          this.#token = undefined;
          continue;
        }
        failures = failures.filter(({ origin }) => origin !== error.origin);
        failures.push(error);
        if (kind === "denied" || kind === "login") {
          throw clusterError(this.settings.url, failures);
        }
        this.#failOver(error.origin);
        const allTried = failures.length === this.settings.origins.length;
        if (!allTried) continue;
        // A persistent caller waits for servers that are down to come back.
        const hopeless = failures.every(({ kind }) =>
          kind === "unfit" || kind === "down" && patienceMs !== Infinity
        );
        if (hopeless || performance.now() - start >= patienceMs) {
          throw clusterError(this.settings.url, failures);
        }
        await pause(PAUSE_MS, signal);
      }
    }
  }

  /** Asks one server, once. */
  async askOne<T>(
    origin: string,
    path: string,
    body: unknown,
    options: CallOptions = {},
  ): Promise<T> {
    return await this.#askOrigin<T>(
      origin,
      path,
      JSON.stringify(body),
      options,
    );
  }

  /**
   * Opens a stream of lines at the server that is asked now, and gives its text
   * in pieces.
   *
   * @throws {GatewayFailure} when the server doesn't open it.
   */
  async stream(
    path: string,
    body: string,
    signal: AbortSignal,
  ): Promise<AsyncIterator<string>> {
    const { origin } = this;
    const answer = await this.#fetch(origin, path, body, signal);
    if (!answer.ok || answer.body === null) {
      throw explainAnswer(
        origin,
        answer.status,
        await readText(answer, signal),
      );
    }
    return readPieces(answer, signal);
  }

  async #ask<T>(path: string, body: string, options: CallOptions): Promise<T> {
    const { origin } = this;
    if (this.settings.user !== undefined && this.#token === undefined) {
      await (this.#login ??= this.#logIn(origin, options).finally(() =>
        this.#login = undefined
      ));
    }
    return await this.#askOrigin<T>(origin, path, body, options);
  }

  async #askOrigin<T>(
    origin: string,
    path: string,
    body: string,
    options: CallOptions,
  ): Promise<T> {
    const { signal, attemptMs = this.settings.attemptMs } = options;
    const attempt = new AbortController();
    const stop = () => attempt.abort(signal?.reason);
    if (signal?.aborted) throw signal.reason;
    signal?.addEventListener("abort", stop);
    const timer = setTimeout(
      () => attempt.abort(new DOMException("no answer", "TimeoutError")),
      attemptMs,
    );
    try {
      const answer = await this.#fetch(origin, path, body, attempt.signal);
      const text = await readAll(answer, origin, attempt.signal);
      if (!answer.ok) throw explainAnswer(origin, answer.status, text);
      return JSON.parse(text) as T;
    } catch (error) {
      // A caller who has had enough of this server, not of the call.
      if (signal?.aborted && !isTimeout(signal.reason)) throw signal.reason;
      if (error instanceof SyntaxError) {
        throw new GatewayFailure(origin, "unfit", `${origin} sent no JSON`);
      }
      if (signal?.aborted) this.#failOver(origin);
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  async #fetch(
    origin: string,
    path: string,
    body: string,
    signal: AbortSignal,
  ): Promise<Response> {
    this.#client ??= await this.#openClient();
    try {
      return await fetch(`${origin}/v3/${path}`, {
        method: "POST",
        body,
        signal,
        client: this.#client,
        redirect: "manual",
        headers: this.#token ? { authorization: this.#token } : {},
      });
    } catch (error) {
      throw explainFetch(origin, error);
    }
  }

  async #logIn(origin: string, options: CallOptions): Promise<void> {
    const { user: name, password } = this.settings;
    if (password === undefined) {
      throw new ClusterPermissionError(
        this.settings.url,
        `there is no password for user ${quotePath(name ?? "")}: set ` +
          "ETCDCTL_PASSWORD",
      );
    }
    try {
      const { token } = await this.#askOrigin<{ token: string }>(
        origin,
        "auth/authenticate",
        JSON.stringify({ name, password }),
        options,
      );
      this.#token = token;
    } catch (error) {
      // Authentication is off: whoever is asked to say who he is may do so.
      if (!(error instanceof GatewayFailure && error.kind === "exists")) {
        throw error;
      }
      this.#token = "";
    }
  }

  #failOver(from: string): void {
    const { origins } = this.settings;
    if (this.origin !== from || origins.length === 1) return;
    this.#current = (this.#current + 1) % origins.length;
    const change = { from, to: this.origin };
    for (const listener of [...this.#listeners]) listener(change);
  }

  async #openClient(): Promise<Deno.HttpClient> {
    const { caFile, certFile, keyFile } = this.settings;
    const read = (path: string) => this.#readPem(path);
    return Deno.createHttpClient({
      ...(caFile === undefined ? {} : { caCerts: [await read(caFile)] }),
      ...(certFile === undefined || keyFile === undefined
        ? {}
        : { cert: await read(certFile), key: await read(keyFile) }),
    });
  }

  async #readPem(path: string): Promise<string> {
    try {
      return await Deno.readTextFile(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) throw error;
      throw new ClusterUnreachableError(
        this.settings.url,
        `the PEM file ${quotePath(path)} can't be read (${
          error instanceof Error ? error.message.split(":")[0] : error
        })`,
      );
    }
  }

  /** Closes its connections. */
  [Symbol.dispose](): void {
    this.#client?.close();
    this.#client = undefined;
  }
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === "TimeoutError";
}

function explainFetch(origin: string, error: unknown): unknown {
  // What Deno does not permit is for the user of this program to know.
  if (error instanceof Deno.errors.NotCapable) return error;
  return explainNoAnswer(origin, error);
}

async function readAll(
  answer: Response,
  origin: string,
  signal: AbortSignal,
): Promise<string> {
  try {
    return await readText(answer, signal);
  } catch (error) {
    throw explainNoAnswer(origin, signal.aborted ? signal.reason : error);
  }
}

/** Sleeps; an abort ends it. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    if (signal?.aborted) return resolve();
    const timer = setTimeout(finish, ms);
    signal?.addEventListener("abort", finish);
  });
}
