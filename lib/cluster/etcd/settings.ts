/**
 * Where etcd is and who we are there: from the URL, the options, and the
 * variables that etcdctl(1) reads.
 *
 * @module
 */

import { readVariable } from "../read_variable.ts";
import type { EngineOptions } from "../engine.ts";
import { ClusterUnreachableError } from "../errors.ts";
import { type ClusterUrl, formatEndpoint } from "../url.ts";

/** How to talk to a cluster. */
export interface EtcdSettings {
  /** The URL without a lock's name, for messages. */
  readonly url: string;
  /** `http://host:port` of each server. */
  readonly origins: readonly string[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  /** One attempt to reach one server takes at most so long. */
  readonly attemptMs: number;
  /** Servers that can't serve now, as in an election, are asked for so long. */
  readonly patienceMs: number;
}

const DEFAULT_ATTEMPT_MS = 3000;
/** An election takes one to two seconds, unless configured otherwise. */
const PATIENCE_ATTEMPTS = 2.5;

/** The settings for a URL. */
export function etcdSettings(
  url: ClusterUrl,
  options: EngineOptions,
): EtcdSettings {
  const env = options.env ?? readVariable;
  const variable = (name: string) => env(`ETCDCTL_${name}`) || undefined;
  // etcdctl takes "name:password" too.
  const [envUser, ...rest] = (variable("USER") ?? "").split(":");
  const envPassword = rest.length > 0 ? rest.join(":") : undefined;
  const user = options.user ?? url.user ?? (envUser || undefined);
  const isEnvUser = user === envUser;
  const attemptMs = options.connectTimeoutMs ?? DEFAULT_ATTEMPT_MS;
  const certFile = options.certFile ?? variable("CERT");
  return {
    url: url.text,
    origins: readOrigins(url, variable("ENDPOINTS")),
    user,
    password: options.password ?? variable("PASSWORD") ??
      (isEnvUser ? envPassword : undefined),
    caFile: options.caFile ?? variable("CACERT"),
    certFile,
    keyFile: options.keyFile ?? variable("KEY"),
    attemptMs,
    patienceMs: attemptMs * PATIENCE_ATTEMPTS,
  };
}

function readOrigins(
  url: ClusterUrl,
  fromEnv: string | undefined,
): readonly string[] {
  const scheme = url.scheme === "etcds" ? "https" : "http";
  if (url.endpoints.length > 0) {
    return url.endpoints.map((each) => `${scheme}://${formatEndpoint(each)}`);
  }
  const origins = (fromEnv ?? "").split(",").map((text) => text.trim())
    .filter((text) => text !== "").map((text) => readOrigin(text, scheme));
  if (origins.length > 0 && !origins.includes(undefined)) {
    return origins as string[];
  }
  throw new ClusterUnreachableError(
    url.text,
    fromEnv === undefined
      ? "it names no server, and ETCDCTL_ENDPOINTS is not set"
      : "it names no server, and ETCDCTL_ENDPOINTS has one that is not " +
        "HOST:PORT or http(s)://HOST:PORT",
  );
}

/** A plain `HOST:PORT` speaks as the URL says, `https://…` as it says itself. */
function readOrigin(text: string, scheme: string): string | undefined {
  const match =
    /^(?:(https?):\/\/)?(\[[0-9A-Fa-f:.%]+\]|[^:/@[\]\s]+)(?::(\d{1,5}))?\/?$/
      .exec(text);
  if (match === null) return undefined;
  // The scheme of the URL is a promise: etcds is never talked to in the clear.
  const own = scheme === "https" ? scheme : match[1] ?? scheme;
  return `${own}://${match[2]}:${match[3] ?? 2379}`;
}
