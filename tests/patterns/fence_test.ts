import { assert, assertEquals, assertRejects } from "@std/assert";
import { LockError, LockTimeoutError } from "../../mod.ts";
import { acquireFenced, StaleFenceError } from "../../lib/patterns/fence.ts";
import { transformFile } from "../../lib/patterns/transform_file.ts";
import { runCli } from "../support/cli.ts";
import { TempDir } from "../support/temp_dir.ts";

const append = (letter: string) => (content: Uint8Array<ArrayBuffer>) =>
  new TextEncoder().encode(new TextDecoder().decode(content) + letter);

Deno.test("a fence rises with every holder and is kept in the lock file", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  for (const expected of [1n, 2n, 3n]) {
    using lock = await acquireFenced(path);
    assertEquals([lock.fence, lock.held], [expected, true]);
    await assertRejects(
      () => acquireFenced(path, { timeoutMs: 0 }),
      LockTimeoutError,
    );
  }
  assertEquals(Deno.readTextFileSync(path), "holdfast fence 1 3\n");
  assertEquals([...Deno.readDirSync(dir.path)].length, 1);
});

Deno.test("a fence is not kept in a file with other content, nor counted from a damaged one", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  for (
    const content of ["data\n", "holdfast fence 1 x\n", "holdfast fence 1 \n"]
  ) {
    Deno.writeTextFileSync(path, content);
    await assertRejects(() => acquireFenced(path), LockError);
    assertEquals(Deno.readTextFileSync(path), content);
  }
});

Deno.test("a file refuses the change of a holder whose fence is lower", async () => {
  using dir = new TempDir();
  const path = dir.join("state");
  Deno.writeTextFileSync(path, "");
  await transformFile(path, append("a"), { fence: 41n });
  await transformFile(path, append("b"), { fence: 43n });
  const error = await assertRejects(
    () => transformFile(path, append("c"), { fence: 42n }),
    StaleFenceError,
    "fence 42 is lower than 43",
  );
  assertEquals([error.fence, error.highest], [42n, 43n]);
  await transformFile(path, append("d"), { fence: 43n });
  assertEquals(Deno.readTextFileSync(path), "abd");
  assertEquals(
    Deno.readTextFileSync(`${path}.fence`),
    "holdfast fence 1 43\n",
  );
});

Deno.test("run --fence gives a number, and transform --fence refuses an old one with 65", async () => {
  using dir = new TempDir();
  const lock = dir.join("a.lock");
  const file = dir.join("state");
  Deno.writeTextFileSync(file, "");
  const fence = async () =>
    (await runCli([
      ...["run", "--fence", lock, "--", "sh", "-c", "echo $HOLDFAST_FENCE"],
    ])).stdout.trim();
  const [old, young] = [await fence(), await fence()];
  assertEquals([old, young], ["1", "2"]);
  const change = (number: string) =>
    runCli(["transform", "--fence", number, file, "--", "sh", "-c", "echo x"]);
  assertEquals((await change(young)).code, 0);
  const { code, stderr } = await change(old);
  assertEquals(code, 65);
  assert(stderr.includes("fence 1 is lower than 2"), stderr);
  assertEquals((await change("-1")).code, 64);
});

Deno.test("run --fence goes with link locks, which have one, and with no other kind or share", async () => {
  using dir = new TempDir();
  const lock = dir.join("a");
  const run = (...args: string[]) =>
    runCli([
      "run",
      "--fence",
      ...args,
      lock,
      "--",
      "sh",
      "-c",
      "echo $HOLDFAST_FENCE",
    ]);
  const link = await run("--kind", "link");
  assertEquals([link.code, link.stdout], [0, "1\n"]);
  assertEquals((await run("--kind", "ofd")).code, 64);
  assertEquals((await run("--shared")).code, 64);
});

Deno.test("gc leaves a lock file that keeps a fence", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  (await acquireFenced(path)).release();
  const { code, stdout } = await runCli(["gc", "--json", dir.path]);
  assertEquals(code, 0, stdout);
  assertEquals(Deno.readTextFileSync(path), "holdfast fence 1 1\n");
});
