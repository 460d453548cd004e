import { printable } from "../../proc/printable.ts";
import type { ClusterDiagnosis, ClusterFact } from "../engine.ts";
import { LockError } from "../../sys/error.ts";
import { GatewayFailure } from "./failures.ts";
import type { Gateway } from "./gateway.ts";
import { queuePrefix } from "./keys.ts";
import { prefixRange } from "./wire.ts";

interface MemberStatus {
  version?: string;
  leader?: string;
  header?: { member_id?: string; cluster_id?: string };
}

/** A server that has answered, or why it hasn't. */
type Probe =
  | { origin: string; status: MemberStatus; ms: number }
  | { origin: string; failure: string };

/**
 * Examines a cluster: asks every server for its state, and does once what
 * taking a lock does, on a lease and without writing a key.
 *
 * @param name The lock to be taken there, if any is known.
 */
export async function diagnoseEtcd(
  gateway: Gateway,
  name: string,
): Promise<ClusterDiagnosis> {
  const { settings } = gateway;
  const facts: ClusterFact[] = [];
  const warnings: { code: string; message: string }[] = [];
  const probes = await Promise.all(
    settings.origins.map((origin) => probe(gateway, origin)),
  );
  for (const each of probes) {
    const value = "failure" in each ? each.failure : describeMember(each);
    facts.push({ name: "server", value: `${each.origin}: ${value}` });
    if ("failure" in each) {
      warnings.push({ code: "server-down", message: each.failure });
    }
  }
  const isPlain = settings.origins.some((origin) => origin.startsWith("http:"));
  facts.push({ name: "transport", value: isPlain ? "plain" : "TLS" });
  facts.push({ name: "user", value: printable(settings.user ?? "none") });
  if (isPlain && settings.user !== undefined) {
    warnings.push({
      code: "password-in-the-clear",
      message: "the password crosses the network in the clear: use etcds://",
    });
  }
  const alive = probes.filter((each) => "status" in each);
  warnings.push(...clusterWarnings(alive));
  const flaw = await tryLocking(gateway, name, facts);
  if (flaw !== undefined) warnings.push({ code: "unusable", message: flaw });
  else await addMembers(gateway, facts, warnings);
  return {
    url: settings.url,
    kind: "etcd",
    usable: flaw === undefined,
    facts,
    warnings,
  };
}

async function probe(gateway: Gateway, origin: string): Promise<Probe> {
  const start = performance.now();
  try {
    const status = await gateway.askOne<MemberStatus>(
      origin,
      "maintenance/status",
      {},
    );
    return { origin, status, ms: performance.now() - start };
  } catch (error) {
    if (error instanceof GatewayFailure) {
      return { origin, failure: error.message };
    }
    throw error;
  }
}

function describeMember(
  { status, ms }: { status: MemberStatus; ms: number },
): string {
  const { version = "of unknown version", leader, header } = status;
  const role = leader === undefined || leader === "0"
    ? "without a leader"
    : leader === header?.member_id
    ? "the leader"
    : "a follower";
  return `etcd ${printable(version)}, ${role}, ${ms.toFixed(1)} ms`;
}

function clusterWarnings(
  alive: { origin: string; status: MemberStatus }[],
): { code: string; message: string }[] {
  const ids = new Set(alive.map(({ status }) => status.header?.cluster_id));
  const leaderless = alive.filter(({ status: { leader } }) =>
    leader === undefined || leader === "0"
  );
  return [
    ...(ids.size > 1
      ? [{
        code: "several-clusters",
        message: "the servers belong to different clusters, so that two " +
          "could hold one lock: name servers of one cluster",
      }]
      : []),
    ...leaderless.map(({ origin }) => ({
      code: "no-leader",
      message: `${origin} knows no leader: most of its cluster is out of reach`,
    })),
  ];
}

/** Does what a lock needs; gives what is in its way. */
async function tryLocking(
  gateway: Gateway,
  name: string,
  facts: ClusterFact[],
): Promise<string | undefined> {
  try {
    const start = performance.now();
    const { ID, TTL } = await gateway.call<{ ID: string; TTL: string }>(
      "lease/grant",
      { ID: "0", TTL: "1" },
    );
    const range = prefixRange(queuePrefix(name));
    await gateway.call("kv/txn", { success: [{ request_range: range }] });
    await gateway.call("lease/revoke", { ID });
    facts.push({
      name: "lease",
      value: `granted and revoked in ${
        (performance.now() - start).toFixed(1)
      } ms; the shortest lasts ${TTL} s`,
    });
    return undefined;
  } catch (error) {
    if (error instanceof LockError) return error.message;
    if (error instanceof GatewayFailure) return error.message;
    throw error;
  }
}

interface Members {
  members?: { name?: string; clientURLs?: string[] }[];
}

/** Without the permission to list members, there is nothing to say of them. */
async function addMembers(
  gateway: Gateway,
  facts: ClusterFact[],
  warnings: { code: string; message: string }[],
): Promise<void> {
  let members: NonNullable<Members["members"]>;
  try {
    members = (await gateway.call<Members>("cluster/member/list", {}))
      .members ?? [];
  } catch (error) {
    if (error instanceof LockError || error instanceof GatewayFailure) return;
    throw error;
  }
  const count = members.length;
  facts.push({
    name: "members",
    value: `${count}; ${Math.floor((count - 1) / 2)} may fail`,
  });
  if (count < 3) {
    warnings.push({
      code: "no-redundancy",
      message: "no server may fail: while one is away no lock can be taken, " +
        "and those held are lost after their lease",
    });
  }
  if (count > 1 && gateway.settings.origins.length === 1) {
    warnings.push({
      code: "one-endpoint",
      message: "the URL names one server of several: name more, so that a " +
        "lock outlives its failure",
    });
  }
}
