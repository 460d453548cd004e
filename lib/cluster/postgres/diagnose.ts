import { printable } from "../../proc/printable.ts";
import type { ClusterDiagnosis, ClusterFact } from "../engine.ts";
import { ClusterPermissionError, ClusterUnreachableError } from "../errors.ts";
import { DEFAULT_TTL_MS } from "../lease_rule.ts";
import type { ClusterUrl } from "../url.ts";
import type { Row } from "./answers.ts";
import { PostgresSession } from "./session.ts";
import {
  isLocalSocket,
  type PostgresServer,
  type PostgresSettings,
  serverName,
} from "./settings.ts";

/** What is asked of each server. */
const EXAMINATION = `select
  current_setting('server_version') as version,
  current_setting('server_version_num')::int as version_number,
  current_user as role, current_database() as database,
  (select version from pg_stat_ssl where pid = pg_backend_pid() and ssl)
    as tls,
  pg_is_in_recovery() as standby,
  extract(epoch from clock_timestamp() - pg_postmaster_start_time()) as up,
  current_setting('synchronous_commit') as synchronous_commit,
  current_setting('fsync') as fsync,
  current_setting('full_page_writes') as full_page_writes,
  current_setting('synchronous_standby_names') as synchronous_standbys,
  (select count(*) from pg_stat_replication) as replicas,
  current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int as max_sessions,
  (select count(*) from pg_stat_activity
    where backend_type = 'client backend') as sessions,
  has_function_privilege('pg_logical_emit_message(bool, text, text)',
    'execute') and has_function_privilege('pg_advisory_lock(int8)', 'execute')
    as may_lock`;

/** Sessions left below this are few: every lock and waiter takes one or two. */
const FEW_SESSIONS = 5;

interface Warning {
  readonly code: string;
  readonly message: string;
}

/** Examines all servers of an engine, and doesn't throw for what it finds. */
export async function diagnose(
  url: ClusterUrl,
  readSettings: () => PostgresSettings,
): Promise<ClusterDiagnosis> {
  const facts: ClusterFact[] = [];
  const warnings: Warning[] = [];
  let usable = false;
  try {
    const settings = readSettings();
    for (const server of settings.servers) {
      // Locks are taken at the first server that will do.
      const found = await examine(server, settings, facts, warnings);
      usable ||= found;
    }
  } catch (error) {
    if (
      !(error instanceof ClusterUnreachableError) &&
      !(error instanceof ClusterPermissionError)
    ) throw error;
    warnings.push({ code: "settings", message: error.reason });
  }
  return {
    url: url.text,
    kind: "postgres",
    usable,
    facts,
    warnings: warnings.map(({ code, message }) => ({
      code,
      message: printable(message),
    })),
  };
}

async function examine(
  server: PostgresServer,
  settings: PostgresSettings,
  facts: ClusterFact[],
  warnings: Warning[],
): Promise<boolean> {
  const add = (name: string, value: string) =>
    facts.push({ name, value: printable(value) });
  add("server", serverName(server));
  const opened = await PostgresSession.openOrFailures(
    { ...settings, servers: [server] },
    { label: "holdfast doctor", anyServer: true },
  );
  if (!(opened instanceof PostgresSession)) {
    for (const { flaw, reason } of opened) {
      warnings.push({ code: flaw, message: reason });
    }
    return false;
  }
  await using session = opened;
  const [row] = await session.query(EXAMINATION, settings.connectTimeoutMs);
  const answerMs = await measureAnswer(session, settings.connectTimeoutMs);
  addFacts(row!, answerMs, add);
  const found = fatalFlaws(row!, session.isPooled, serverName(server));
  warnings.push(...found);
  if (found.length > 0) return false;
  warnings.push(...surprises(row!, server, settings));
  return true;
}

function addFacts(
  row: Row,
  answerMs: number,
  add: (name: string, value: string) => void,
): void {
  const { version, role, database, tls, standby, up } = row;
  add("version", `PostgreSQL ${version}`);
  add("user", `${role}`);
  add("database", `${database}`);
  add("encryption", tls ?? "none");
  add("role", standby === "t" ? "standby" : "primary");
  add("running for", `${Math.floor(Number(up))} s`);
  add("answers in", `${answerMs.toFixed(1)} ms`);
  add("sessions", `${row.sessions} of ${row.max_sessions}`);
  add("replicas", `${row.replicas}`);
  add(
    "clocks",
    "not compared: leases count from the holder's own last renewal",
  );
}

async function measureAnswer(
  session: PostgresSession,
  timeoutMs: number,
): Promise<number> {
  const start = performance.now();
  await session.query("select 1", timeoutMs);
  return performance.now() - start;
}

/** What rules locks out. */
function fatalFlaws(row: Row, isPooled: boolean, at: string): Warning[] {
  const flaws: Warning[] = [];
  if (isPooled) {
    flaws.push({
      code: "pooler",
      message: `${at} is a pooler such as pgbouncer: in transaction mode two ` +
        "clients would hold one lock; connect to the server itself",
    });
  }
  if (row.standby === "t") {
    flaws.push({
      code: "standby",
      message: `${at} is a standby, where locks keep nobody out; name the ` +
        "primary",
    });
  }
  if (Number(row.version_number) < 140000) {
    flaws.push({
      code: "old-version",
      message: `PostgreSQL ${row.version} can't end the session of a frozen ` +
        "holder (idle_session_timeout); use 14 or later",
    });
  }
  if (row.may_lock !== "t") {
    flaws.push({
      code: "refused",
      message: `${row.role} may not call pg_advisory_lock and ` +
        "pg_logical_emit_message; grant execute on them",
    });
  }
  return flaws;
}

/** What is true of a usable server, and may surprise. */
function surprises(
  row: Row,
  server: PostgresServer,
  settings: PostgresSettings,
): Warning[] {
  const warnings: Warning[] = [];
  const warn = (code: string, message: string) =>
    warnings.push({ code, message });
  if (row.fsync === "off" || row.full_page_writes === "off") {
    warn(
      "not-durable",
      "fsync or full_page_writes is off: after a crash of the host fences may " +
        "go back; set both on",
    );
  }
  if (row.synchronous_commit === "off" || row.synchronous_commit === "local") {
    warn(
      "asynchronous-commit",
      `synchronous_commit is ${row.synchronous_commit}; holdfast turns it on ` +
        "for its own sessions, but what your commands commit under the lock " +
        "may be lost in a crash",
    );
  }
  if (Number(row.replicas) > 0) {
    warn(
      "failover",
      "it has replicas: after a failover the new primary knows no lock, so " +
        `wait ${DEFAULT_TTL_MS / 1000} s (the longest TTL in use) before it ` +
        "serves" +
        (row.synchronous_standbys === ""
          ? ", and fences may go back because no standby is synchronous"
          : ""),
    );
  }
  if (Number(row.max_sessions) - Number(row.sessions) < FEW_SESSIONS) {
    warn(
      "few-sessions",
      `${row.sessions} of ${row.max_sessions} sessions are in use; every lock ` +
        "and every waiter takes one, see max_connections",
    );
  }
  const isLoopback = /^(localhost|127\.|::1$)/.test(
    server.address ?? server.host,
  );
  if (isLocalSocket(server) || isLoopback) return warnings;
  if (row.tls === null) {
    warn(
      "plain-text",
      "the connection is not encrypted; set PGSSLMODE=verify-full and " +
        "PGSSLROOTCERT",
    );
  } else if (!settings.sslMode.startsWith("verify")) {
    warn(
      "unverified",
      `PGSSLMODE is ${settings.sslMode}, so the server's certificate proves ` +
        "nothing; verify-full does",
    );
  }
  return warnings;
}
