/**
 * What goes wrong between us and etcd, in words.
 *
 * @module
 */

import { ClusterPermissionError, ClusterUnreachableError } from "../errors.ts";

/** How one request to one server has failed. */
export class GatewayFailure extends Error {
  /** The name of the class. */
  override name = "GatewayFailure";
  /** `http://host:port` of the server. */
  readonly origin: string;
  /** What to make of it. */
  readonly kind: FailureKind;

  /** @param reason What happened and what to do, clauses. */
  constructor(origin: string, kind: FailureKind, reason: string) {
    super(reason);
    this.origin = origin;
    this.kind = kind;
  }
}

/**
 * `retry`: another server, or this one a little later, may answer; `down`: this
 * server is not there; `login`: the token is of no use any more; `absent`: what
 * was named is gone; `exists`: it is there already; `denied`: we may not;
 * `unfit`: it never will.
 */
export type FailureKind =
  | "retry"
  | "down"
  | "login"
  | "absent"
  | "exists"
  | "denied"
  | "unfit";

/** gRPC's status codes, see google.golang.org/grpc/codes. */
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const FAILED_PRECONDITION = 9;
const UNIMPLEMENTED = 12;
const UNAUTHENTICATED = 16;

/** What an answer that isn't 200 means. */
export function explainAnswer(
  origin: string,
  status: number,
  body: string,
): GatewayFailure {
  const failure = (kind: FailureKind, reason: string) =>
    new GatewayFailure(origin, kind, `${host(origin)} ${reason}`);
  const { code, text } = readStatus(body);
  if (code === undefined) {
    if (status === 404) {
      return failure(
        "unfit",
        "has no JSON gateway at /v3: it is no etcd 3.4 or later, or runs " +
          "with --enable-grpc-gateway=false",
      );
    }
    if (/HTTP request to an HTTPS server/i.test(body)) {
      return failure("unfit", "speaks TLS only: write etcds:// instead");
    }
    return failure(
      status >= 500 ? "retry" : "unfit",
      `answered with HTTP status ${status}`,
    );
  }
  if (/authentication failed|invalid user ID or password/.test(text)) {
    return failure(
      "denied",
      "refused user and password: check ETCDCTL_USER and ETCDCTL_PASSWORD",
    );
  }
  if (/user name is empty|user name not found/.test(text)) {
    return failure(
      "denied",
      "wants a user: set ETCDCTL_USER and ETCDCTL_PASSWORD",
    );
  }
  if (/CommonName of client sending a request against gateway/.test(text)) {
    return failure(
      "denied",
      "refuses a client certificate with a CommonName through its gateway " +
        "while authentication is on: use one without, and user and password",
    );
  }
  if (code === UNAUTHENTICATED || /auth.* revision .*is old/.test(text)) {
    return failure("login", `refused the login: ${text}`);
  }
  switch (code) {
    case PERMISSION_DENIED:
      return failure(
        "denied",
        "refused: the user lacks permission to read and write the keys of " +
          "this lock (etcdctl role grant-permission)",
      );
    case NOT_FOUND:
      return failure("absent", `answered: ${text}`);
    case FAILED_PRECONDITION:
      return failure("exists", `answered: ${text}`);
    case UNIMPLEMENTED:
      return failure("unfit", `can't do that: ${text}`);
    case INVALID_ARGUMENT:
      return failure("unfit", `refused the request: ${text}`);
  }
  if (/requires? clientAuth|bad certificate|connection closed/.test(text)) {
    return failure(
      "retry",
      `can't reach itself behind its gateway (${text}): a server ` +
        "certificate needs the usage clientAuth too",
    );
  }
  return failure("retry", `can't serve now: ${text}`);
}

function readStatus(body: string): { code: number | undefined; text: string } {
  try {
    const { code, message, error } = JSON.parse(body);
    if (typeof code === "number") {
      return { code, text: String(message ?? error ?? "no reason given") };
    }
  } catch {
    // No answer of etcd's gateway.
  }
  return { code: undefined, text: "" };
}

/** What it means that a request got no answer. */
export function explainNoAnswer(
  origin: string,
  error: unknown,
): GatewayFailure {
  const text = messagesOf(error);
  const failure = (kind: FailureKind, reason: string) =>
    new GatewayFailure(origin, kind, reason);
  const name = host(origin);
  if (/Connection refused/i.test(text)) {
    return failure("down", `${name} refuses connections: is etcd running?`);
  }
  if (/dns error|lookup address|Name or service not known/i.test(text)) {
    return failure("down", `${name} has no address: check the name`);
  }
  if (/UnknownIssuer|SelfSigned|CaUsedAsEndEntity/i.test(text)) {
    return failure(
      "unfit",
      `${name} has a certificate of an unknown issuer: set ETCDCTL_CACERT`,
    );
  }
  if (/NotValidForName/i.test(text)) {
    return failure("unfit", `${name} has a certificate for another name`);
  }
  if (/Expired|NotValidYet/.test(text)) {
    return failure("unfit", `${name} has a certificate that isn't valid now`);
  }
  if (/CertificateRequired|certificate required|BadCertificate/i.test(text)) {
    return failure(
      "denied",
      `${name} wants another client certificate: set ETCDCTL_CERT and ` +
        "ETCDCTL_KEY",
    );
  }
  if (
    /handshake eof|InvalidContentType|corrupt message/i.test(text)
  ) {
    return failure("unfit", `${name} speaks no TLS: write etcd:// instead`);
  }
  if (/invalid peer certificate|TLS|tls/.test(text)) {
    return failure("unfit", `${name}: TLS failed: ${lastClause(text)}`);
  }
  if (/TimeoutError|no answer in time|timed out/i.test(text)) {
    return failure("retry", `${name} does not answer`);
  }
  if (/connection closed before message/.test(text)) {
    const advice = origin.startsWith("http:")
      ? ": if it speaks TLS, write etcds:// instead"
      : "";
    return failure("retry", `${name} closed the connection${advice}`);
  }
  if (/Requests to port/.test(text)) {
    return failure("unfit", `${name}: no program may connect to that port`);
  }
  return failure("retry", `${name}: ${lastClause(text)}`);
}

function messagesOf(error: unknown): string {
  const texts: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    texts.push(`${at.name}: ${at.message}`);
  }
  return texts.length === 0 ? String(error) : texts.join(": ");
}

function lastClause(text: string): string {
  return text.split(": ").slice(-2).join(": ");
}

function host(origin: string): string {
  return origin.replace(/^https?:\/\//, "");
}

/** The error for the caller when no server has done it. */
export function clusterError(
  url: string,
  failures: readonly GatewayFailure[],
): ClusterUnreachableError | ClusterPermissionError {
  const reasons = [...new Set(failures.map(({ message }) => message))];
  const denied = failures.find(({ kind }) =>
    kind === "denied" || kind === "login"
  );
  return denied === undefined
    ? new ClusterUnreachableError(url, reasons.join("; "))
    : new ClusterPermissionError(url, denied.message);
}
