/** What a process leaves behind when it ends, and what it may do with what. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { readLinkLockOwner, tryLinkLock } from "../../../lib/lock/link/mod.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { hasMachineId } from "../../support/host_facts.ts";
import { TempDir } from "../../support/temp_dir.ts";

const MODULE = new URL("../../../lib/acquire/link_lock.ts", import.meta.url)
  .href;
const CONFIG = fromFileUrl(new URL("../../../deno.json", import.meta.url));

function denoArgs(dir: TempDir, script: string, grants: string[]): string[] {
  const file = dir.join("script.ts");
  Deno.writeTextFileSync(
    file,
    `import * as link from ${JSON.stringify(MODULE)};\n${script}`,
  );
  return ["run", "-q", "--no-check", "--no-prompt", "--config", CONFIG]
    .concat(grants, file, dir.join("a"));
}

const HOLD = `
const lock = link.tryLinkLock(Deno.args[0], { releaseOnExit: true })!;
setInterval(() => {}, 1000);
console.log("ready");
for await (const _ of Deno.stdin.readable);
Deno.exit(3);
`;

const SIGNALS = [
  "SIGTERM",
  "SIGINT",
  "SIGHUP",
  "SIGQUIT",
  "SIGALRM",
  "SIGUSR1",
  "SIGUSR2",
  "SIGXCPU",
  "SIGPWR",
  "SIGKILL",
] as const;

for (const signal of SIGNALS) {
  Deno.test(`releaseOnExit and ${signal}`, async () => {
    using dir = new TempDir();
    await using holder = await HelperProcess.start(
      Deno.execPath(),
      denoArgs(dir, HOLD, [
        "--allow-read",
        "--allow-write",
        "--allow-ffi",
      ]),
    );
    assertEquals(readLinkLockOwner(dir.join("a"))?.pid, holder.pid);
    holder.kill(signal);
    const status = await holder.status;
    // The process dies of the signal itself, for its parent to see.
    assertEquals(status.signal, signal);
    assertEquals(
      readLinkLockOwner(dir.join("a")) === undefined,
      signal !== "SIGKILL",
    );
  });
}

Deno.test("releaseOnExit and Deno.exit", async () => {
  using dir = new TempDir();
  await using holder = await HelperProcess.start(
    Deno.execPath(),
    denoArgs(dir, HOLD, ["--allow-read", "--allow-write", "--allow-ffi"]),
  );
  assertEquals((await holder.finish()).code, 3);
  assertEquals(readLinkLockOwner(dir.join("a")), undefined);
});

async function run(dir: TempDir, script: string, grants: string[]) {
  const output = await new Deno.Command(Deno.execPath(), {
    args: denoArgs(dir, script, grants),
  }).output();
  return {
    code: output.code,
    stdout: new TextDecoder().decode(output.stdout).trim(),
    stderr: new TextDecoder().decode(output.stderr),
  };
}

const DYING: Readonly<Record<string, string>> = {
  "an uncaught error": `throw new Error("the end");`,
  "an unhandled rejection": `
    Promise.reject(new Error("the end"));
    setInterval(() => {}, 1000);
  `,
  "a rejection that the module awaits": `
    await Promise.reject(new Error("the end"));
  `,
  "a throw in a timer": `
    setTimeout(() => { throw new Error("the end"); });
    setInterval(() => {}, 1000);
  `,
  "a throw in a listener of another event": `
    addEventListener("x", () => { throw new Error("the end"); });
    dispatchEvent(new Event("x"));
    setInterval(() => {}, 1000);
  `,
};

for (const [how, script] of Object.entries(DYING)) {
  Deno.test(`releaseOnExit and ${how}`, async () => {
    using dir = new TempDir();
    const { code, stderr } = await run(
      dir,
      "const lock = link.tryLinkLock(Deno.args[0], { releaseOnExit: true })!;\n" +
        script,
      ["--allow-read", "--allow-write", "--allow-ffi"],
    );
    assertEquals(code, 1);
    assertMatch(stderr, /Uncaught .*the end/);
    assertEquals(readLinkLockOwner(dir.join("a")), undefined);
  });
}

Deno.test("an error that the program has survived leaves it the lock", async () => {
  using dir = new TempDir();
  const { stdout, stderr } = await run(
    dir,
    `
    addEventListener("error", (event) => event.preventDefault());
    const lock = link.tryLinkLock(Deno.args[0], { releaseOnExit: true })!;
    setTimeout(() => { throw new Error("survived"); });
    setTimeout(() => { lock.check(); console.log(lock.held); lock.release(); }, 1);
    `,
    ["--allow-read", "--allow-write", "--allow-ffi"],
  );
  assertEquals(stdout, "true", stderr);
});

Deno.test("a lock given up for an error that was prevented too late is lost", async () => {
  using dir = new TempDir();
  const { stdout, stderr } = await run(
    dir,
    `
    const lock = link.tryLinkLock(Deno.args[0], { releaseOnExit: true })!;
    addEventListener("error", (event) => event.preventDefault());
    lock.lost.addEventListener("abort", () =>
      console.log(lock.held, lock.lost.reason.name));
    setTimeout(() => { throw new Error("survived"); });
    `,
    ["--allow-read", "--allow-write", "--allow-ffi"],
  );
  assertEquals(stdout, "false LockCompromisedError", stderr);
});

Deno.test("releaseOnExit leaves a signal alone that the program listens to", async () => {
  using dir = new TempDir();
  await using holder = await HelperProcess.start(
    Deno.execPath(),
    denoArgs(
      dir,
      `
      Deno.addSignalListener("SIGUSR1", () => console.log("heard"));
      ${HOLD}`,
      ["--allow-read", "--allow-write", "--allow-ffi"],
    ),
  );
  holder.kill("SIGUSR1");
  assertEquals(await holder.nextLine(), "heard");
  assertEquals(readLinkLockOwner(dir.join("a"))?.pid, holder.pid);
});

const REPORT = `
const lock = link.tryLinkLock(Deno.args[0]);
const owner = link.readLinkLockOwner(Deno.args[0]);
console.log(JSON.stringify([lock?.held ?? false, owner]));
`;

Deno.test("with the directory and --allow-ffi a dead owner is replaced", async () => {
  using dir = new TempDir();
  const grants = [
    `--allow-read=${dir.path}`,
    `--allow-write=${dir.path}`,
    "--allow-ffi",
  ];
  for (let i = 0; i < 2; i++) {
    const { code, stdout, stderr } = await run(dir, REPORT, grants);
    assertEquals(code, 0, stderr);
    const [held, owner] = JSON.parse(stdout);
    assert(held);
    for (const name of ["bootId", "startTicks", "user"]) {
      assert(owner[name] !== null, name);
    }
    assertEquals(owner.machineId !== null, hasMachineId);
  }
});

Deno.test("without --allow-ffi locks are taken and never broken", async () => {
  using dir = new TempDir();
  const grants = [`--allow-read=${dir.path}`, `--allow-write=${dir.path}`];
  const first = await run(dir, REPORT, [
    ...grants,
    "--allow-sys=hostname,uid",
  ]);
  assertEquals(first.code, 0, first.stderr);
  const [held, owner] = JSON.parse(first.stdout);
  assert(held);
  assertEquals(owner.hostname, Deno.hostname());
  assertEquals([owner.bootId, owner.startTicks], [null, null]);
  const second = await run(dir, REPORT, grants);
  assertEquals(second.code, 0, second.stderr);
  assertEquals(JSON.parse(second.stdout)[0], false);
  // Nor by one who could look, since the record says too little.
  const third = await run(dir, REPORT, [...grants, "--allow-ffi"]);
  assertEquals(JSON.parse(third.stdout)[0], false);
});

Deno.test("without --allow-write nothing is taken", async () => {
  using dir = new TempDir();
  const { code, stderr } = await run(dir, REPORT, [`--allow-read=${dir.path}`]);
  assertEquals(code, 1);
  assertMatch(stderr, /NotCapable/);
});

Deno.test("without --allow-ffi a held lock is waited for", async () => {
  using dir = new TempDir();
  const grants = [`--allow-read=${dir.path}`, `--allow-write=${dir.path}`];
  const held = tryLinkLock(dir.join("a"))!;
  await using waiter = HelperProcess.spawn(
    Deno.execPath(),
    denoArgs(
      dir,
      `
      const timeout = await link.acquireLinkLock(Deno.args[0], { timeoutMs: 20 })
        .catch((error) => error.name);
      console.log(timeout);
      using lock = await link.acquireLinkLock(Deno.args[0], {
        onWait: () => console.log("waiting"),
        leaseMs: 60_000,
      });
      console.log(lock.held);
      `,
      grants,
    ),
  );
  assertEquals(await waiter.nextLine(), "LinkLockTimeoutError");
  assertEquals(await waiter.nextLine(), "waiting");
  held.release();
  assertEquals(await waiter.nextLine(), "true");
});

Deno.test("without --allow-ffi a relative lock is that of its directory", async () => {
  using dir = new TempDir();
  const { code, stdout, stderr } = await run(
    dir,
    `
    Deno.chdir(Deno.args[0] + "/..");
    using lock = link.tryLinkLock("rel")!;
    Deno.chdir("/");
    lock.check();
    console.log(lock.path, lock.held);
    `,
    [`--allow-read=${dir.path},/`, `--allow-write=${dir.path}`],
  );
  assertEquals([code, stdout], [0, "rel true"], stderr);
  assertEquals(readLinkLockOwner(dir.join("rel")), undefined);
});
