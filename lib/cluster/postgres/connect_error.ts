/**
 * Why a connection failed, as one sentence and what to do.
 *
 * @module
 */

import { ClusterPermissionError, ClusterUnreachableError } from "../errors.ts";
import {
  type PostgresServer,
  type PostgresSettings,
  serverName,
} from "./settings.ts";
import { ConnectTimeoutError, TlsError } from "./socket.ts";

/** What went wrong, for those who go on differently. */
export type ConnectFlaw =
  | "unreachable"
  | "refused"
  | "credentials"
  | "database"
  | "tls"
  | "pooler"
  | "old-version"
  | "standby"
  | "starting"
  | "full";

/** One failed attempt to open a session at one server. */
export interface ConnectFailure {
  /** What it comes down to. */
  readonly flaw: ConnectFlaw;
  /** A clause that names the server, and what to do. */
  readonly reason: string;
}

/** What is wrong with the way to a server, found out by a session itself. */
export class UnsuitableServerError extends Error {
  /** The name of the class. */
  override name = "UnsuitableServerError";

  /** The message is a clause. */
  constructor(readonly flaw: ConnectFlaw, message: string) {
    super(message);
  }
}

/** What the driver knows about the login that failed. */
export interface LoginContext {
  /** Whether the server asked for a password and none was found. */
  readonly lacksPassword: boolean;
}

/** The parts of a system's or server's error that are of use here. */
interface CodedError {
  readonly code?: unknown;
  readonly message?: unknown;
}

/** Explains an error of an attempt to open a session. */
export function explainFailure(
  error: unknown,
  server: PostgresServer,
  settings: PostgresSettings,
  { lacksPassword }: LoginContext,
): ConnectFailure {
  const at = serverName(server);
  const { user, database, passwordFileFlaw } = settings;
  const { code, message } = error as CodedError;
  const says = typeof message === "string" ? message : String(error);
  if (error instanceof UnsuitableServerError) {
    return { flaw: error.flaw, reason: error.message };
  }
  if (error instanceof TlsError) {
    return {
      flaw: "tls",
      reason: `TLS with ${at} failed: ${says}` +
        (says.includes("PGSSL") ? "" : "; see PGSSLMODE and PGSSLROOTCERT"),
    };
  }
  if (error instanceof ConnectTimeoutError || code === "CONNECT_TIMEOUT") {
    const seconds = settings.connectTimeoutMs / 1000;
    return {
      flaw: "unreachable",
      reason: `${at} did not answer within ${seconds} s`,
    };
  }
  switch (code) {
    case "ECONNREFUSED":
    case "ENOENT":
      return {
        flaw: "unreachable",
        reason: `nothing listens at ${at}; is PostgreSQL running there?`,
      };
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return { flaw: "unreachable", reason: `there is no host ${server.host}` };
    case "28P01": // invalid_password
    case "28000": { // invalid_authorization_specification
      const flaw = passwordFileFlaw === undefined
        ? ""
        : `; ${passwordFileFlaw}`;
      return lacksPassword
        ? {
          flaw: "credentials",
          reason: `${at} wants a password for the user ${user}; set ` +
            `PGPASSWORD or PGPASSFILE${flaw}`,
        }
        : {
          flaw: "credentials",
          reason: `${at} refuses the user ${user}: ${says}${flaw}`,
        };
    }
    case "42501": // insufficient_privilege
      return { flaw: "refused", reason: `${at} refuses: ${says}` };
    case "3D000": // invalid_catalog_name
      return {
        flaw: "database",
        reason: `there is no database ${database} at ${at}`,
      };
    case "53300": // too_many_connections
      return {
        flaw: "full",
        reason: `${at} has no connection left (${says}); every lock and ` +
          "waiter takes one, see max_connections",
      };
    case "57P03": // cannot_connect_now
      return { flaw: "starting", reason: `${at} takes no sessions: ${says}` };
    case "08P01": // protocol_violation
      return {
        flaw: "pooler",
        reason:
          `${at} is not PostgreSQL itself but a pooler (${says}), and a ` +
          "lock of a shared session is nobody's; connect to the server itself",
      };
    case "42704": // undefined_object, a parameter
    case "42883": // undefined_function
      return {
        flaw: "old-version",
        reason: `${at} is older than PostgreSQL 14 and can't end the session ` +
          `of a frozen holder (${says})`,
      };
    default:
      return { flaw: "unreachable", reason: `${at}: ${says}` };
  }
}

/** In words what a server has said in a session; any other error as it is. */
export function explainRefusal(error: unknown, url: string): unknown {
  // The client library's class, which it is loaded for.
  if (!(error instanceof Error) || error.name !== "PostgresError") return error;
  const { code, message } = error as CodedError;
  return code === "42501" // insufficient_privilege
    ? new ClusterPermissionError(
      url,
      `the server refuses: ${message}; a lock takes pg_advisory_lock, ` +
        "pg_logical_emit_message and their like",
    )
    : new ClusterUnreachableError(url, `the server says ${code}: ${message}`);
}

/** The error for the caller, of the failures at each server. */
export function connectError(
  url: string,
  failures: readonly ConnectFailure[],
): ClusterPermissionError | ClusterUnreachableError {
  const reason = [...new Set(failures.map(({ reason }) => reason))].join("; ");
  const isRefused = failures.some(({ flaw }) =>
    flaw === "credentials" || flaw === "refused"
  );
  return isRefused
    ? new ClusterPermissionError(url, reason)
    : new ClusterUnreachableError(url, reason);
}
