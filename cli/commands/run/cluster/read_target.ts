import { leaseTimes } from "../../../../lib/cluster/lease_rule.ts";
import { parseClusterUrl } from "../../../../lib/cluster/url.ts";
import type { LockMode } from "../../../../lib/lock/flock/flock.ts";
import { isLockUrl } from "../../../../lib/lock/lock_path.ts";
import { readCount } from "../../../args/count.ts";
import { parseDuration } from "../../../args/duration.ts";
import { type ParsedOptions, UsageError } from "../../../args/parse.ts";
import { readEngineOptions } from "../../../args/read_engine_options.ts";
import type { ClusterTarget } from "./request.ts";

/** Options that ask for what no engine has, or for what only a file has. */
const UNFIT = [
  "kind",
  "range",
  "every",
  "tree",
  "cpus",
  "cpu-list",
  "llcs",
  "max-load",
  "exec",
  "want",
];

/**
 * Reads what is to be locked in engines.
 *
 * @throws {UsageError} when it can't be.
 */
export function readClusterTarget(
  options: ParsedOptions,
  mode: LockMode,
): ClusterTarget {
  const urls = options.operands.filter(isLockUrl);
  const files = options.operands.filter((path) => !isLockUrl(path));
  const unfit = UNFIT.find((name) => options.flag(name));
  if (unfit !== undefined) {
    throw new UsageError(
      `--${unfit} can't go with a lock on several machines`,
      unfit === "exec" ? { hint: "Somebody must stay to renew its lease" } : {},
    );
  }
  if (options.value("on-supervisor-death") === "keep") {
    throw new UsageError(
      "--on-supervisor-death keep can't go with a lock on several machines",
      { hint: "Nobody would be left to renew its lease" },
    );
  }
  const slots = options.value("slots");
  if (slots !== undefined && options.operands.length > 1) {
    throw new UsageError("--slots needs one name");
  }
  for (const url of urls) checkUrl(url, mode);
  const lease = {
    ttlMs: readMs(options.value("lease")),
    marginMs: readMs(options.value("lease-margin")),
  };
  try {
    leaseTimes(lease);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`the lease can't be kept: ${error.message}`);
  }
  return {
    type: "cluster",
    urls,
    files,
    mode,
    slots: slots === undefined ? undefined : readCount("slots", slots),
    message: options.value("message"),
    engine: readEngineOptions(options),
    lease,
  };
}

function checkUrl(text: string, mode: LockMode): void {
  try {
    const { kind, name } = parseClusterUrl(text);
    if (name === "") throw new TypeError(`no lock is named by ${text}`);
    if (kind === "etcd" && mode === "shared") {
      throw new TypeError("a lock in etcd can't be shared");
    }
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

function readMs(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}
