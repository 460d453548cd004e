/**
 * The name of a lock that several machines share: an engine and a name in it,
 * as one text.
 *
 * @module
 */

import { printable, quotePath } from "../proc/printable.ts";

/** The engines there are. */
export type ClusterEngineKind = "etcd" | "postgres";

/** One server of an engine. */
export interface ClusterEndpoint {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  /** A TCP port. */
  readonly port: number;
}

/** A lock in an engine, or with an empty name the engine itself. */
export interface ClusterUrl {
  /** Which engine. */
  readonly kind: ClusterEngineKind;
  /** What the text begins with; `etcds` is etcd by TLS. */
  readonly scheme: "etcd" | "etcds" | "postgres";
  /** The servers, in the order given; none: those of the environment. */
  readonly endpoints: readonly ClusterEndpoint[];
  /** The user to be there. */
  readonly user: string | undefined;
  /** The database: PostgreSQL alone has one. */
  readonly database: string | undefined;
  /** The lock's name; empty where the engine itself is meant. */
  readonly name: string;
  /** The whole as text, never with a secret. */
  readonly text: string;
}

const SCHEMES: Readonly<Record<string, ClusterUrl["scheme"]>> = {
  etcd: "etcd",
  etcds: "etcds",
  postgres: "postgres",
  postgresql: "postgres",
};

const DEFAULT_PORTS = { etcd: 2379, postgres: 5432 } as const;

/** The longest name, in UTF-16 units. */
const MAX_NAME_LENGTH = 1024;

/** scheme, user and password, hosts, and the rest from the first slash on. */
const FORM =
  /^([a-z]+):\/\/(?:([^@/?#]*)@)?([^/?#]*)(\/[^?#]*)?(\?[^#]*)?(#.*)?$/s;

/**
 * Reads the URL of a lock:
 *
 * ```text
 * etcd://HOST[:2379][,HOST[:PORT]…]/NAME       etcds:// the same by TLS
 * postgres://[USER@]HOST[:5432]/DATABASE#NAME
 * ```
 *
 * Percent escapes are decoded in user, database and name. Servers may be left
 * out where the environment names them (`ETCDCTL_ENDPOINTS`, `PGHOST`). Needs
 * no permission.
 *
 * @param text The URL.
 * @returns Its parts; the name is empty when there is none.
 * @throws {TypeError} when it can't be read or contains a password. The
 * message doesn't repeat a password.
 *
 * @example
 * ```ts
 * import { parseClusterUrl } from "@holdfast/holdfast/cluster";
 *
 * const { endpoints, name } = parseClusterUrl("etcd://a,b:2380/deploy");
 * console.log(endpoints.length, name); // 2 deploy
 * ```
 */
export function parseClusterUrl(text: string): ClusterUrl {
  const match = FORM.exec(text);
  const scheme = SCHEMES[match?.[1] ?? ""];
  if (match === null || scheme === undefined) {
    throw invalid(withoutSecrets(text), "it has no form of etcd or postgres");
  }
  const [, , userText, hosts = "", path = "", query, fragment = ""] = match;
  const shown = withoutSecrets(text);
  if (userText?.includes(":")) {
    throw invalid(
      shown,
      "a password does not belong in it, where every process can read it; " +
        (scheme === "postgres"
          ? "use PGPASSWORD or PGPASSFILE"
          : "use ETCDCTL_PASSWORD"),
    );
  }
  if (query !== undefined) {
    throw invalid(shown, "it has a query, and options are given apart from it");
  }
  const kind = scheme === "postgres" ? "postgres" : "etcd";
  const user = userText ? decode(userText, shown) : undefined;
  const endpoints = hosts === ""
    ? []
    : hosts.split(",").map((host) => parseEndpoint(host, kind, shown));
  const rest = decode(path.slice(1), shown);
  const tag = decode(fragment.slice(1), shown);
  if (kind === "etcd" && fragment !== "") {
    throw invalid(shown, "etcd's locks are named after the slash, without #");
  }
  const name = kind === "etcd" ? rest : tag;
  const database = kind === "etcd" || rest === "" ? undefined : rest;
  if (database?.includes("/")) {
    throw invalid(shown, "the lock's name comes after the database and a #");
  }
  checkName(name, shown);
  return formatted({ kind, scheme, endpoints, user, database, name });
}

/** The same engine with another lock, or none. */
export function withLockName(url: ClusterUrl, name: string): ClusterUrl {
  return formatted({ ...url, name });
}

/**
 * Some URLs in an order that is the same for everybody, each once: two groups
 * taken so can't wait for each other. The lock's name comes first, since one
 * engine may be reached by several lists of servers.
 *
 * @throws {TypeError} when one can't be read.
 */
export function inOneOrder(texts: readonly string[]): string[] {
  const urls = new Map(
    texts.map(parseClusterUrl).map((url) => [url.text, url]),
  );
  const key = ({ kind, name, database = "", text }: ClusterUrl) =>
    [name, kind, database, text].join("\0");
  return [...urls.values()].sort((a, b) => key(a) < key(b) ? -1 : 1)
    .map(({ text }) => text);
}

/** A host and port as a URL has them. */
export function formatEndpoint({ host, port }: ClusterEndpoint): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function formatted(parts: Omit<ClusterUrl, "text">): ClusterUrl {
  const { kind, scheme, endpoints, user, database, name } = parts;
  const hosts = endpoints.map((endpoint) =>
    endpoint.port === DEFAULT_PORTS[kind]
      ? formatEndpoint(endpoint).replace(/:\d+$/, "")
      : formatEndpoint(endpoint)
  );
  const text = `${scheme}://` +
    (user === undefined ? "" : `${encode(user)}@`) + hosts.join(",") +
    (kind === "etcd" ? `/${encode(name, "/@")}` : `/${encode(database ?? "")}` +
      (name === "" ? "" : `#${encode(name, "/@")}`));
  return { kind, scheme, endpoints, user, database, name, text };
}

function parseEndpoint(
  text: string,
  kind: ClusterEngineKind,
  shown: string,
): ClusterEndpoint {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(
    text,
  );
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? DEFAULT_PORTS[kind]);
  if (host === undefined || port < 1 || port > 65535) {
    throw invalid(shown, "one of its servers is not HOST or HOST:PORT");
  }
  return { host, port };
}

function checkName(name: string, shown: string): void {
  if (name.length > MAX_NAME_LENGTH) {
    throw invalid(shown, `its name is longer than ${MAX_NAME_LENGTH}`);
  }
  if (name.includes("\0")) throw invalid(shown, "its name contains NUL");
}

/** Without what might be a password: after a colon before an `@`, or a query. */
function withoutSecrets(text: string): string {
  return text.replace(/^([a-z]+:\/\/[^:@/]*):.*@/s, "$1:…@")
    .replace(/\?.*$/s, "?…");
}

function decode(text: string, shown: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(shown, "a % in it begins no escape; write %25 for a %");
  }
}

/** Leaves what a shell and a reader can do with. */
function encode(text: string, kept = ""): string {
  return encodeURIComponent(text).replace(
    /%(2F|3A|40|2B|3D|2C)/g,
    (escape) => {
      const character = decodeURIComponent(escape);
      return `${kept}:+=,`.includes(character) ? character : escape;
    },
  );
}

function invalid(shown: string, flaw: string): TypeError {
  return new TypeError(
    `Cannot use ${quotePath(shown)} as a lock's URL: ${printable(flaw)}`,
  );
}
