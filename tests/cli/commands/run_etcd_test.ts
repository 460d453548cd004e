/** Commands under locks in etcd, and what ends them in time. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import {
  acquireClusterLock,
  readClusterLock,
} from "../../../lib/cluster/mod.ts";
import { runCli } from "../../support/cli.ts";
import {
  ETCD,
  etcdctlEnv,
  EtcdServer,
  runEtcdTest,
} from "../../support/etcd.ts";
import { freePort } from "../../support/free_port.ts";
import { startLeased, untilQueued } from "../../support/leased_command.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { Certificates } from "../../support/certificates.ts";
import { needs } from "../../support/programs.ts";
import { TempDir } from "../../support/temp_dir.ts";

const PERMISSIONS = ["--allow-ffi", "--allow-net"];
const openssl = needs("openssl");

function run(args: string[], env: Record<string, string> = {}) {
  return runCli(["run", ...args], { permissions: PERMISSIONS, env });
}

runEtcdTest(
  "the command is told lock, fence and key, and the lock is free afterwards",
  async (server, directory) => {
    const url = server.url("deploy");
    const { code, stdout, stderr } = await run([
      ...["--env", "EXTRA=1", "--cwd", directory.path, url, "--", "sh", "-c"],
      'echo "$HOLDFAST_LOCK $HOLDFAST_FENCE $HOLDFAST_LOCK_KEY $EXTRA"; pwd; ' +
      "exit 7",
    ]);
    assertEquals([code, stderr], [7, ""]);
    const [line = "", cwd] = stdout.split("\n");
    const [lock, fence, key, extra] = line.split(" ");
    assertEquals([lock, extra, cwd], [url, "1", directory.path]);
    assert(BigInt(fence!) > 0n);
    assert(/^deploy\/[0-9a-f]+$/.test(key!), key);
    assertEquals((await readClusterLock(url)).holders, []);
    const again = await run([url, "--", "sh", "-c", "echo $HOLDFAST_FENCE"]);
    assert(BigInt(again.stdout.trim()) > BigInt(fence!));
  },
);

runEtcdTest(
  "a busy lock is 75, with the holder's name, command and place",
  async (server) => {
    const url = server.url("deploy");
    await using _held = await acquireClusterLock(url, { message: "release 7" });
    const { code, stderr } = await run(["-n", url, "--", "true"]);
    assertEquals(code, 75);
    assertStringIncludes(stderr, `pid ${Deno.pid}`);
    assertStringIncludes(stderr, "release 7");
    const waited = await run(["-v", "-w", "0.2", url, "--", "true"]);
    assertEquals(waited.code, 75);
    assertStringIncludes(waited.stderr, "next in its queue");
    const quiet = await run(["--singleton", url, "--", "true"]);
    assertEquals([quiet.code, quiet.stderr], [0, ""]);
  },
);

Deno.test("run with etcd: where none is, it is 69 and one sentence", async () => {
  const url = `etcd://127.0.0.1:${freePort()}/deploy`;
  const { code, stdout, stderr } = await run([url, "--", "echo", "never"]);
  assertEquals([code, stdout], [69, ""]);
  assertEquals(stderr.trim().split("\n").length, 1);
  assertStringIncludes(stderr, "refuses connections");
});

runEtcdTest(
  "wrong credentials are 77, and no secret is in any text",
  async (server, directory) => {
    await server.ctl("user", "add", "root:rootpw");
    await server.ctl("user", "grant-role", "root", "root");
    await server.ctl("auth", "enable");
    const env = { ETCDCTL_USER: "root", ETCDCTL_PASSWORD: "hunter2" };
    const url = server.url("deploy");
    const { code, stderr } = await run([url, "--", "true"], env);
    assertEquals(code, 77);
    assertStringIncludes(stderr, "refused user and password");
    assert(!stderr.includes("hunter2"), stderr);
    const good = { ETCDCTL_USER: "root", ETCDCTL_PASSWORD: "rootpw" };
    assertEquals((await run([url, "--", "true"], good)).code, 0);
    const file = directory.join("password");
    const args = ["--password-file", file, url, "--", "true"];
    for (const [text, expected] of [["rootpw\r\n", 0], ["hunter2", 77]]) {
      Deno.writeTextFileSync(file, `${text}`, { mode: 0o600 });
      const { code, stderr } = await run(args, { ETCDCTL_USER: "root" });
      assertEquals(code, expected, stderr);
      assert(!stderr.includes("hunter2"), stderr);
    }
  },
);

Deno.test("run with etcd: what can't go with a lease is refused", async () => {
  const url = "etcd://127.0.0.1/deploy";
  for (
    const [words, ...args] of [
      ["--exec can't", "--exec", url],
      ["can't be shared", "--shared", url],
      ["Nobody would be left", "--on-supervisor-death", "keep", url],
      ["--kind can't", "--kind", "ofd", url],
      ["password does not belong", "etcd://u:hunter2@h/deploy"],
      ["no lock is named", "etcd://h/"],
      ["can't be kept", "--lease", "1s", url],
      ["--slots needs one name", "--slots", "2", url, "etcd://h/b"],
    ] as const
  ) {
    const { code, stderr } = await run([...args, "--", "true"]);
    assertEquals(code, 64, stderr);
    assertStringIncludes(stderr, words);
    assert(!stderr.includes("hunter2"), stderr);
  }
});

runEtcdTest(
  "a group of files and URLs: files first, and one order for everybody",
  async (server, directory) => {
    const file = directory.join("file.lock");
    const [a, b] = [server.url("a"), server.url("b")];
    const show = 'echo "$HOLDFAST_LOCK"; echo "$HOLDFAST_FENCE"';
    const runs = await Promise.all([
      run([a, file, b, "--", "sh", "-c", show]),
      run([b, a, file, "--", "sh", "-c", show]),
      run([b, a, "--", "sh", "-c", show]),
    ]);
    for (const [index, { code, stdout, stderr }] of runs.entries()) {
      assertEquals([code, stderr], [0, ""]);
      const lines = stdout.trim().split("\n");
      const files = index < 2 ? [file] : [];
      assertEquals(lines.slice(0, files.length + 2), [...files, a, b]);
      assertEquals(lines.length, files.length + 4);
    }
  },
);

runEtcdTest("slots: each command has a number of its own", async (server) => {
  const url = server.url("gpu");
  const args = ["--slots", "2", url, "--", "sh", "-c", "echo $HOLDFAST_SLOT"];
  await using held = await acquireClusterLock(url, { slots: 2 });
  assertEquals(held.slot, 0);
  const { code, stdout } = await run(args);
  assertEquals([code, stdout], [0, "1\n"]);
});

runEtcdTest(
  "a command that can't be found is 127, and the lock is given up",
  async (server) => {
    const url = server.url("deploy");
    const { code, stderr } = await run([url, "--", "/no/such/command"]);
    assertEquals(code, 127);
    assertStringIncludes(stderr, "/no/such/command");
    assertEquals((await readClusterLock(url)).holders, []);
  },
);

Deno.test({
  name:
    `commands with etcd: certificates and password by options; no secret is to be seen${ETCD.suffix}${openssl.suffix}`,
  ignore: ETCD.ignore || openssl.ignore,
  fn: async () => {
    using certificates = await Certificates.create();
    using directory = new TempDir();
    const served = await certificates.sign("server");
    const own = await certificates.sign("client");
    const tls = { ...served, ca: certificates.ca, askClients: true };
    await using server = await EtcdServer.start({ tls });
    const asRoot = [
      ...["--cacert", certificates.ca, "--cert", own.cert, "--key", own.key],
    ];
    const url = server.url("deploy");
    const holdfast = (args: string[]) =>
      runCli(args, { permissions: [...PERMISSIONS, "--allow-read"], env: {} });

    const bare = await holdfast(["run", url, "--", "true"]);
    assertEquals(bare.code, 69);
    assertStringIncludes(bare.stderr, "unknown issuer");
    for (
      const args of [
        ["run", ...asRoot, url, "--", "true"],
        ["who", ...asRoot, url],
        ["test", ...asRoot, url],
        ["locks", ...asRoot, server.url("")],
        ["doctor", ...asRoot, url],
      ]
    ) {
      const { code, stderr } = await holdfast(args);
      assertEquals(code, 0, `${args[0]}: ${stderr}`);
    }

    const password = directory.join("password");
    const secret = crypto.randomUUID();
    Deno.writeTextFileSync(password, `${secret}\nmore\n`, { mode: 0o600 });
    const login = (path: string) => [...asRoot, "--password-file", path];
    const asUser = url.replace("etcds://", "etcds://root@");
    const { held } = await startLeased(
      [...login(password), asUser],
      [...PERMISSIONS, "--allow-read"],
    );
    await using _held = held;
    const seen = [...Deno.readDirSync("/proc")]
      .filter(({ name }) => /^\d+$/.test(name))
      .map(({ name }) => readIfAny(`/proc/${name}/cmdline`));
    assert(seen.some((text) => text.includes(asUser)));
    assertEquals(seen.filter((text) => text.includes(secret)), []);
    Deno.chmodSync(password, 0o640);
    const open = await holdfast(["who", ...login(password), asUser]);
    assertEquals(open.code, 64);
    assertStringIncludes(open.stderr, "others may read the password");
    assert(!open.stderr.includes(secret));
  },
});

/** A process may be gone already. */
function readIfAny(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

Deno.test("options for the server of a URL are refused without one", async () => {
  for (
    const args of [
      ["run", "--cacert", "ca.pem", "x.lock", "--", "true"],
      ["who", "--password-file", "x", "x.lock"],
      ["test", "--cacert", "ca.pem", "x.lock"],
      ["locks", "--cacert", "ca.pem"],
      ["doctor", "--cacert", "ca.pem", "x.lock"],
    ]
  ) {
    const { code, stderr } = await runCli(args, {
      permissions: ["--allow-ffi", "--allow-read"],
    });
    assertEquals(code, 64, args.join(" "));
    assertStringIncludes(stderr, "goes with a URL");
  }
});

runEtcdTest(
  "who names all in the order of the queue, whatever program they are",
  async (server) => {
    const url = server.url("deploy");
    await using held = await acquireClusterLock(url, { message: "release 7" });
    const env = etcdctlEnv([server.endpoint]);
    await using _etcdctl = HelperProcess.spawn(
      "etcdctl",
      ["lock", "deploy"],
      { env },
    );
    await untilQueued(url);
    // As Go's package concurrency does it.
    const lease = (await server.ctl("lease", "grant", "600")).split(" ")[1]!;
    await server.ctl("put", `--lease=${lease}`, `deploy/${lease}`, "");
    const { code, stderr } = await run([
      ...["-v", "-w", "0.3", url, "--", "true"],
    ]);
    assertEquals(code, 75);
    assertStringIncludes(stderr, "place 3 in its queue");
    const who = await runCli(["who", url]);
    assertEquals(who.code, 1);
    const [title, holder, queue, ...waiters] = who.stdout.trim().split("\n");
    assertEquals([title, queue], [`"${url}": held by`, " waited for by"]);
    assertStringIncludes(holder!, `pid ${Deno.pid}`);
    assertStringIncludes(holder!, "release 7, since ");
    assertEquals(waiters.length, 2);
    assertMatch(waiters[0]!, /^ {2}etcdctl, lease [0-9a-f]+$/);
    assertEquals(waiters[1], `  etcdctl, lease ${lease}`);
    assert(held.held);
  },
);
