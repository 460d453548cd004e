/**
 * A socket to a server, ready for the first message of the protocol: TLS is
 * agreed on here, because the client library knows fewer modes than libpq.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import {
  isLocalSocket,
  type PostgresServer,
  type PostgresSettings,
} from "./settings.ts";

/**
 * Whether to ask for TLS: `offer` goes on without it where the server has none.
 */
export type Encryption = "plain" | "offer" | "tls";

/** The server has refused TLS, or the two could not agree on it. */
export class TlsError extends Error {
  /** The name of the class. */
  override name = "TlsError";
}

/** No answer came in time. */
export class ConnectTimeoutError extends Error {
  /** The name of the class. */
  override name = "ConnectTimeoutError";
}

/** The ways to try in turn, as `sslmode` has them in libpq. */
export function encryptionsOf(
  server: PostgresServer,
  { sslMode }: PostgresSettings,
): readonly Encryption[] {
  if (isLocalSocket(server) || sslMode === "disable") return ["plain"];
  if (sslMode === "allow") return ["plain", "tls"];
  if (sslMode === "prefer") return ["offer", "plain"];
  return ["tls"];
}

/** Protocol version 3.0's messages before the start of a session. */
const SSL_REQUEST = requestMessage(80877103);
const CANCEL_REQUEST = 80877102;

function requestMessage(...words: number[]): Uint8Array {
  const message = new Uint8Array(4 + 4 * words.length);
  const view = new DataView(message.buffer);
  [message.length, ...words].forEach((word, i) => view.setUint32(4 * i, word));
  return message;
}

/**
 * Connects, with TLS where wanted.
 *
 * @throws {TlsError} when TLS is wanted and fails.
 * @throws {ConnectTimeoutError} when it takes too long.
 * @throws `signal.reason` when the signal aborts; and what the system says.
 */
export async function openSocket(
  server: PostgresServer,
  encryption: Encryption,
  settings: PostgresSettings,
  signal?: AbortSignal,
): Promise<Socket> {
  const net = await import("node:net");
  signal?.throwIfAborted();
  const socket = isLocalSocket(server)
    ? net.connect({ path: `${server.host}/.s.PGSQL.${server.port}` })
    : net.connect({ host: server.address ?? server.host, port: server.port });
  const limit = new AbortController();
  const timer = setTimeout(
    () => limit.abort(new ConnectTimeoutError("no answer in time")),
    settings.connectTimeoutMs,
  );
  const ends = signal === undefined
    ? limit.signal
    : AbortSignal.any([signal, limit.signal]);
  try {
    await happens(socket, "connect", ends);
    socket.setNoDelay(true);
    if (encryption === "plain") return socket;
    return await secured(socket, server, encryption, settings, ends);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function secured(
  socket: Socket,
  server: PostgresServer,
  encryption: Encryption,
  settings: PostgresSettings,
  signal: AbortSignal,
): Promise<Socket> {
  socket.write(SSL_REQUEST);
  const answer = await happens(socket, "data", signal) as Uint8Array;
  // More than one byte in clear text would have been put in by somebody between.
  if (answer.length !== 1) throw new TlsError("its answer was not one byte");
  if (answer[0] === "N".charCodeAt(0)) {
    if (encryption === "offer") return socket;
    throw new TlsError("the server has no TLS (ssl is off there)");
  }
  if (answer[0] !== "S".charCodeAt(0)) {
    throw new TlsError("it is no PostgreSQL server, or a very old one");
  }
  const options = tlsOptions(server, settings);
  const tls = await import("node:tls");
  const secure = tls.connect({ socket, ...options });
  try {
    await happens(secure, "secureConnect", signal);
  } catch (error) {
    secure.destroy();
    if (signal.aborted) throw error;
    throw new TlsError(error instanceof Error ? error.message : `${error}`);
  }
  return secure;
}

function tlsOptions(
  { host }: PostgresServer,
  settings: PostgresSettings,
): ConnectionOptions {
  const { sslMode, caFile, certFile, keyFile } = settings;
  // With trusted certificates at hand, `require` verifies them, as in libpq.
  const verifies = sslMode.startsWith("verify") ||
    (sslMode === "require" && caFile !== undefined);
  if (verifies && caFile === undefined) {
    throw new TlsError(
      `PGSSLMODE=${sslMode} needs certificates to trust; set PGSSLROOTCERT`,
    );
  }
  return {
    ...(isAddress(host) ? { host } : { servername: host }),
    rejectUnauthorized: verifies,
    ...(caFile === undefined || caFile === "system" || !verifies
      ? {}
      : { ca: readPem(caFile) }),
    ...(sslMode === "verify-full"
      ? {}
      : { checkServerIdentity: () => undefined }),
    ...(certFile === undefined || keyFile === undefined
      ? {}
      : { cert: readPem(certFile), key: readKey(keyFile) }),
  };
}

function isAddress(host: string): boolean {
  return host.includes(":") || /^[0-9.]+$/.test(host);
}

/** As in libpq, a key that others may read is none. */
function readKey(path: string): string {
  const text = readPem(path);
  const { mode, uid } = Deno.statSync(path);
  if (((mode ?? 0) & (uid === 0 ? 0o037 : 0o077)) === 0) return text;
  throw new TlsError(
    `${path} was not used, because others may read it; chmod 600 it`,
  );
}

function readPem(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new TlsError(
      `cannot read ${path}: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** The event's argument; rejects with an error, at the end or at the abort. */
function happens(
  socket: Socket,
  event: string,
  signal: AbortSignal,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void) => {
      socket.off(event, onEvent).off("error", onError).off("close", onClose);
      signal.removeEventListener("abort", onAbort);
      then();
    };
    const onEvent = (value: unknown) => settle(() => resolve(value));
    const onError = (error: Error) => settle(() => reject(error));
    const onClose = () =>
      settle(() => reject(new Error("the server closed the connection")));
    const onAbort = () => {
      // What a destroyed socket has still to say is nobody's.
      socket.on("error", () => {});
      settle(() => reject(signal.reason));
    };
    socket.once(event, onEvent).once("error", onError).once("close", onClose);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

/**
 * Asks the server to cancel what a session is doing, and waits until it has
 * taken note. Fails in silence: then the session has to be closed instead.
 */
export async function sendCancel(
  server: PostgresServer,
  encryption: Encryption,
  settings: PostgresSettings,
  { pid, secret }: { pid: number; secret: number },
): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const socket = await openSocket(server, encryption, settings);
    const closed = new Promise((resolve) => {
      socket.once("close", resolve).on("error", () => {});
    });
    timer = setTimeout(() => socket.destroy(), settings.connectTimeoutMs);
    socket.resume();
    socket.end(requestMessage(CANCEL_REQUEST, pid, secret));
    await closed;
  } catch {
    // The caller closes the session if the cancelled statement goes on.
  } finally {
    clearTimeout(timer);
  }
}
