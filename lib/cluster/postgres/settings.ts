/**
 * Where a PostgreSQL server is and how to log in there: what the URL says, then
 * the caller's options, then libpq's service file and environment variables,
 * then libpq's defaults.
 *
 * @module
 */

import { readOwnIdentity } from "../../sys/process/identity.ts";
import type { EngineOptions } from "../engine.ts";
import { ClusterUnreachableError } from "../errors.ts";
import { readVariable } from "../read_variable.ts";
import type { ClusterUrl } from "../url.ts";
import { findPassword, findService } from "./libpq_files.ts";

/** One server. */
export interface PostgresServer {
  /** A name or address, or the directory of a Unix socket. */
  readonly host: string;
  /** Where to connect instead of looking the name up; `PGHOSTADDR`. */
  readonly address: string | undefined;
  /** Its TCP port; also a part of a Unix socket's name. */
  readonly port: number;
}

/** How connections are encrypted; see libpq's documentation of `sslmode`. */
export type SslMode = (typeof SSL_MODES)[number];

const SSL_MODES = [
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
] as const;

/** All that a connection takes. */
export interface PostgresSettings {
  /** The URL, for messages. */
  readonly url: string;
  /** Tried in order; a standby is passed over. */
  readonly servers: readonly PostgresServer[];
  /** The role. */
  readonly user: string;
  /** The database. */
  readonly database: string;
  /** How connections are encrypted. */
  readonly sslMode: SslMode;
  /** The path of the certificates to trust; `system` for the system's. */
  readonly caFile: string | undefined;
  /** The path of this client's certificate. */
  readonly certFile: string | undefined;
  /** The path of its key. */
  readonly keyFile: string | undefined;
  /** One attempt to reach one server takes at most so long. */
  readonly connectTimeoutMs: number;
  /** The password for a server, looked up when it is asked for. */
  password(server: PostgresServer): string | undefined;
  /** Why a password file wasn't read, a clause. */
  readonly passwordFileFlaw: string | undefined;
}

const DEFAULT_CONNECT_TIMEOUT_MS = 5000;
/** Debian's, and PostgreSQL's own. */
const SOCKET_DIRECTORIES = ["/var/run/postgresql", "/tmp"];

/** What libpq would do and this driver can't: silence would be less safe. */
const UNSUPPORTED: readonly [setting: string, variable: string, ok: RegExp][] =
  [
    ["channel_binding", "PGCHANNELBINDING", /^(disable|prefer)?$/],
    ["require_auth", "PGREQUIREAUTH", /^$/],
    ["gssencmode", "PGGSSENCMODE", /^(disable|prefer)?$/],
    ["sslcrl", "PGSSLCRL", /^$/],
    ["sslcrldir", "PGSSLCRLDIR", /^$/],
  ];

/**
 * Reads the settings. Permissions: `--allow-env` for the `PG…` variables and
 * `--allow-read` for the files they name; what isn't permitted isn't read.
 *
 * @throws {ClusterUnreachableError} when a setting makes no sense.
 */
export function readSettings(
  url: ClusterUrl,
  options: EngineOptions,
): PostgresSettings {
  const env = options.env ?? readVariable;
  const home = env("HOME");
  const inHome = (name: string) =>
    home === undefined ? undefined : `${home}/.postgresql/${name}`;
  const service = readService(url, env);
  const setting = (name: string, variable: string) =>
    service?.get(name) || env(variable) || undefined;
  const fail: (reason: string) => never = (reason) => {
    throw new ClusterUnreachableError(url.text, reason);
  };

  for (const [name, variable, ok] of UNSUPPORTED) {
    const value = setting(name, variable) ?? "";
    if (!ok.test(value)) fail(`${variable}=${value} is not supported here`);
  }
  const user = options.user ?? url.user ?? setting("user", "PGUSER") ??
    readOwnIdentity().user ?? fail("it names no user; set PGUSER");
  const database = url.database ?? setting("dbname", "PGDATABASE") ?? user;
  const sslMode = setting("sslmode", "PGSSLMODE") ??
    (options.caFile === undefined ? "prefer" : "verify-full");
  if (!isSslMode(sslMode)) {
    fail(`PGSSLMODE is ${sslMode}, and not one of ${SSL_MODES.join(", ")}`);
  }
  const caFile = options.caFile ?? setting("sslrootcert", "PGSSLROOTCERT") ??
    fileIfAny(inHome("root.crt"));
  if (caFile === "system" && sslMode !== "verify-full") {
    fail("PGSSLROOTCERT=system requires PGSSLMODE=verify-full");
  }
  const timeout = setting("connect_timeout", "PGCONNECT_TIMEOUT");
  const passwords = readPasswords(options, service, env);
  return {
    url: url.text,
    servers: url.endpoints.length > 0
      ? url.endpoints.map((endpoint) => ({ ...endpoint, address: undefined }))
      : serversOf(setting, fail),
    user,
    database,
    sslMode,
    caFile,
    certFile: options.certFile ?? setting("sslcert", "PGSSLCERT") ??
      fileIfAny(inHome("postgresql.crt")),
    keyFile: options.keyFile ?? setting("sslkey", "PGSSLKEY") ??
      fileIfAny(inHome("postgresql.key")),
    connectTimeoutMs: options.connectTimeoutMs ??
      (Number(timeout) > 0
        ? Number(timeout) * 1000
        : DEFAULT_CONNECT_TIMEOUT_MS),
    password: ({ host, port }) =>
      passwords.fixed ?? passwords.find({
        host: SOCKET_DIRECTORIES.includes(host) ? "localhost" : host,
        port,
        database,
        user,
      }),
    passwordFileFlaw: passwords.flaw,
  };
}

/** A server as messages name it. */
export function serverName({ host, port }: PostgresServer): string {
  if (host.startsWith("/")) return `${host}/.s.PGSQL.${port}`;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether a server is reached by a Unix socket. */
export function isLocalSocket({ host }: PostgresServer): boolean {
  return host.startsWith("/");
}

function isSslMode(text: string): text is SslMode {
  return (SSL_MODES as readonly string[]).includes(text);
}

type Setting = (name: string, variable: string) => string | undefined;

function serversOf(
  setting: Setting,
  fail: (reason: string) => never,
): PostgresServer[] {
  const list = (text: string | undefined) => (text ?? "").split(",");
  const hosts = list(setting("host", "PGHOST"));
  const addresses = list(setting("hostaddr", "PGHOSTADDR"));
  const ports = list(setting("port", "PGPORT"));
  const count = Math.max(hosts.length, addresses.length);
  if (ports.length !== 1 && ports.length !== count) {
    fail(`PGPORT has ${ports.length} ports for ${count} hosts`);
  }
  if (
    [hosts, addresses].some((values) =>
      values.length !== count && values.join("") !== ""
    )
  ) {
    fail(`PGHOST and PGHOSTADDR don't list the same number of hosts`);
  }
  return Array.from({ length: count }, (_, i) => {
    const portText = ports[ports.length === 1 ? 0 : i] || "5432";
    const port = Number(portText);
    if (!(Number.isInteger(port) && port > 0 && port < 65536)) {
      fail(`${portText} is not a port; see PGPORT`);
    }
    const address = addresses[i] || undefined;
    const host = hosts[i] || address || defaultHost(port);
    return { host, address, port };
  });
}

function defaultHost(port: number): string {
  return SOCKET_DIRECTORIES.find((directory) =>
    fileIfAny(`${directory}/.s.PGSQL.${port}`) !== undefined
  ) ?? "localhost";
}

type Environment = (name: string) => string | undefined;

function readService(
  url: ClusterUrl,
  env: Environment,
): Map<string, string> | undefined {
  const name = env("PGSERVICE");
  if (name === undefined || name === "") return undefined;
  const home = env("HOME");
  const files = [
    env("PGSERVICEFILE") || (home && `${home}/.pg_service.conf`),
    `${env("PGSYSCONFDIR") || "/etc/postgresql-common"}/pg_service.conf`,
  ];
  for (const file of files) {
    const text = file ? readIfAny(file) : undefined;
    const service = text === undefined ? undefined : findService(text, name);
    if (service !== undefined) return service;
  }
  throw new ClusterUnreachableError(
    url.text,
    `no service "${name}" is in ${files.filter(Boolean).join(" or ")}; ` +
      "see PGSERVICE",
  );
}

interface Passwords {
  readonly fixed: string | undefined;
  readonly flaw: string | undefined;
  find(query: Parameters<typeof findPassword>[1]): string | undefined;
}

function readPasswords(
  options: EngineOptions,
  service: Map<string, string> | undefined,
  env: Environment,
): Passwords {
  const home = env("HOME");
  const named = service?.get("passfile") || env("PGPASSFILE") || undefined;
  const path = named ?? (home === undefined ? undefined : `${home}/.pgpass`);
  const flaw = named !== undefined && !mayRead(named)
    ? `${named} was not read, because Deno lacks --allow-read=${named}`
    : path === undefined
    ? undefined
    : passwordFileFlaw(path);
  return {
    fixed: options.password ??
      (service?.get("password") || env("PGPASSWORD") || undefined),
    flaw,
    find(query) {
      if (path === undefined || flaw !== undefined) return undefined;
      const text = readIfAny(path);
      return text === undefined ? undefined : findPassword(text, query);
    },
  };
}

/** libpq ignores a password file that others may read, and so does this. */
function passwordFileFlaw(path: string): string | undefined {
  const info = statIfAny(path);
  if (info === undefined) return undefined;
  if (!info.isFile) return `${path} is not a plain file, and was not read`;
  return ((info.mode ?? 0) & 0o077) === 0
    ? undefined
    : `${path} was not read, because others may read it; chmod 600 it`;
}

function fileIfAny(path: string | undefined): string | undefined {
  return path !== undefined && statIfAny(path) !== undefined ? path : undefined;
}

function statIfAny(path: string): Deno.FileInfo | undefined {
  return ifAny(path, () => Deno.statSync(path));
}

function readIfAny(path: string): string | undefined {
  return ifAny(path, () => Deno.readTextFileSync(path));
}

function mayRead(path: string): boolean {
  const { state } = Deno.permissions.querySync({ name: "read", path });
  return state === "granted";
}

/** Without the permission a file counts as absent: nobody has named it. */
function ifAny<T>(path: string, read: () => T): T | undefined {
  if (!mayRead(path)) return undefined;
  try {
    return read();
  } catch {
    return undefined;
  }
}
