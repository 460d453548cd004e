/** What is said when an etcd can't be used, and what its users must set. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  acquireClusterLock,
  type ClusterAcquireOptions,
  ClusterPermissionError,
  ClusterUnreachableError,
  diagnoseCluster,
  tryClusterLock,
} from "../../lib/cluster/mod.ts";
import { Certificates } from "../support/certificates.ts";
import { ETCD, EtcdServer } from "../support/etcd.ts";
import { freePort } from "../support/free_port.ts";
import { needs } from "../support/programs.ts";

const TLS = needs("etcd", "etcdctl", "openssl");

/** No variable of the caller's environment plays a part. */
function withEnv(env: Record<string, string> = {}): ClusterAcquireOptions {
  return { engine: { env: (name) => env[name], connectTimeoutMs: 2000 } };
}

Deno.test("etcd: where nobody listens it can't be reached, and no time is lost on it", async () => {
  const url = `etcd://127.0.0.1:${freePort()}/deploy`;
  const error = await assertRejects(
    () => acquireClusterLock(url, withEnv()),
    ClusterUnreachableError,
    "refuses connections: is etcd running?",
  );
  assertEquals(error.url, url.replace("deploy", ""));
  const { usable, warnings } = await diagnoseCluster(url, withEnv());
  assertEquals([usable, warnings[0]?.code], [false, "server-down"]);
});

Deno.test("etcd: a URL without servers needs ETCDCTL_ENDPOINTS", async () => {
  await assertRejects(
    () => acquireClusterLock("etcd:///deploy", withEnv()),
    ClusterUnreachableError,
    "ETCDCTL_ENDPOINTS is not set",
  );
  await assertRejects(
    () =>
      acquireClusterLock(
        "etcd:///deploy",
        withEnv({ ETCDCTL_ENDPOINTS: "ftp://x" }),
      ),
    ClusterUnreachableError,
    "not HOST:PORT",
  );
});

Deno.test("etcd: what is no etcd is told from it", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("<html>", { status: 404 }),
  );
  await assertRejects(
    () =>
      acquireClusterLock(`etcd://127.0.0.1:${server.addr.port}/x`, withEnv()),
    ClusterUnreachableError,
    "has no JSON gateway at /v3",
  );
});

Deno.test({
  name: `etcd: the variables of etcdctl lead to it${ETCD.suffix}`,
  ignore: ETCD.ignore,
  fn: async () => {
    await using server = await EtcdServer.start();
    const env = { ETCDCTL_ENDPOINTS: `http://${server.endpoint}` };
    await using lock = await acquireClusterLock(
      "etcd:///deploy",
      withEnv(env),
    );
    assertEquals(lock.path, "etcd:///deploy");
    assert(lock.held);
  },
});

Deno.test({
  name: `etcd: without its gateway it can't be used${ETCD.suffix}`,
  ignore: ETCD.ignore,
  fn: async () => {
    await using server = await EtcdServer.start({
      args: ["--enable-grpc-gateway=false"],
    });
    await assertRejects(
      () => acquireClusterLock(server.url("deploy"), withEnv()),
      ClusterUnreachableError,
      "--enable-grpc-gateway=false",
    );
    const { usable, warnings } = await diagnoseCluster(
      server.url(""),
      withEnv(),
    );
    assert(!usable && warnings.some(({ code }) => code === "unusable"));
  },
});

Deno.test({
  name: `etcd: user and password, and no permission${ETCD.suffix}`,
  ignore: ETCD.ignore,
  fn: async () => {
    await using server = await EtcdServer.start();
    await server.ctl("user", "add", "root:rootpw");
    await server.ctl("user", "grant-role", "root", "root");
    await server.ctl("user", "add", "ci:s3cret");
    await server.ctl("role", "add", "ci");
    await server.ctl("user", "grant-role", "ci", "ci");
    await server.ctl(
      ...["role", "grant-permission", "--prefix=true", "ci", "readwrite"],
      "deploy/",
    );
    await server.ctl("auth", "enable");
    const url = server.url("deploy");
    const refused = async (
      env: Record<string, string>,
      name: string,
      words: string,
    ) => {
      const { message } = await assertRejects(
        () => acquireClusterLock(server.url(name), withEnv(env)),
        ClusterPermissionError,
        words,
      );
      assert(!message.includes("s3cret"), message);
    };
    await refused({}, "deploy", "wants a user: set ETCDCTL_USER");
    await refused(
      { ETCDCTL_USER: "ci" },
      "deploy",
      'no password for user "ci": set ETCDCTL_PASSWORD',
    );
    await refused(
      { ETCDCTL_USER: "ci", ETCDCTL_PASSWORD: "wrong" },
      "deploy",
      "refused user and password",
    );
    const env = { ETCDCTL_USER: "ci:s3cret" };
    await refused(env, "other", "lacks permission to read and write the keys");
    await using lock = await acquireClusterLock(url, withEnv(env));
    assert(lock.held);
    const apart = { ETCDCTL_USER: "ci", ETCDCTL_PASSWORD: "s3cret" };
    assertEquals(await tryClusterLock(url, withEnv(apart)), undefined);
    const { usable, warnings } = await diagnoseCluster(url, withEnv(env));
    assert(usable);
    assert(warnings.some(({ code }) => code === "password-in-the-clear"));
    assert(!JSON.stringify(warnings).includes("s3cret"));
  },
});

Deno.test({
  name: `etcd: TLS, and certificates of clients${TLS.suffix}`,
  ignore: TLS.ignore,
  fn: async () => {
    using certificates = await Certificates.create();
    const { ca } = certificates;
    const served = await certificates.sign("server");
    const client = await certificates.sign("client");
    await using server = await EtcdServer.start({
      tls: { ...served, ca, askClients: true },
    });
    const url = server.url("deploy");
    assert(url.startsWith("etcds://"));
    const refused = async (
      kind: typeof ClusterUnreachableError | typeof ClusterPermissionError,
      url: string,
      env: Record<string, string>,
      words: string,
    ) =>
      void await assertRejects(
        () => acquireClusterLock(url, withEnv(env)),
        kind,
        words,
      );
    await refused(
      ClusterUnreachableError,
      url,
      {},
      "unknown issuer: set ETCDCTL_CACERT",
    );
    await refused(
      ClusterUnreachableError,
      url,
      { ETCDCTL_CACERT: certificates.path("absent.pem") },
      "can't be read",
    );
    await refused(
      ClusterUnreachableError,
      url.replace("etcds:", "etcd:"),
      {},
      "if it speaks TLS, write etcds://",
    );
    await refused(
      ClusterPermissionError,
      url,
      { ETCDCTL_CACERT: ca },
      "wants another client certificate: set ETCDCTL_CERT",
    );
    const env = {
      ETCDCTL_CACERT: ca,
      ETCDCTL_CERT: client.cert,
      ETCDCTL_KEY: client.key,
    };
    await using lock = await acquireClusterLock(url, withEnv(env));
    assert(lock.held);
    await using plain = await EtcdServer.start();
    await refused(
      ClusterUnreachableError,
      plain.url("deploy").replace("etcd:", "etcds:"),
      {},
      "speaks no TLS: write etcd://",
    );
  },
});
