/** What a process leaves behind when it ends, and what it may do with what. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { readLinkLockOwner } from "../../../lib/lock/link/link_lock.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { TempDir } from "../../support/temp_dir.ts";

const MODULE = new URL("../../../lib/acquire/link.ts", import.meta.url)
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

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"] as const) {
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
    for (const name of ["machineId", "bootId", "startTicks", "user"]) {
      assert(owner[name] !== null, name);
    }
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
