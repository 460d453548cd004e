/** Builders that are told to end, or go on when their caller is dead. */

import { assert, assertEquals } from "@std/assert";
import { cliArgs, runCli } from "../../support/cli.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { TempDir } from "../../support/temp_dir.ts";

/** Starts a build whose script says "ready" on stderr. */
function startBuild(
  dir: TempDir,
  script: string,
  ...options: string[]
): Promise<HelperProcess> {
  return HelperProcess.start("sh", [
    "-c",
    'exec "$@" 2>&1',
    "sh",
    Deno.execPath(),
    ...cliArgs([
      "cache",
      ...options,
      dir.join("cache"),
      "key",
      ...["--", "sh", "-c", script, "sh", dir.path],
    ]),
  ]);
}

/**
 * Writes to a FIFO, and keeps it open: a reader that has gone, or has yet to
 * come, doesn't hold the test up.
 */
function fill(path: string, text: string): Deno.FsFile {
  const fifo = Deno.openSync(path, { read: true, write: true });
  fifo.writeSync(new TextEncoder().encode(text));
  return fifo;
}

function names(path: string): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).sort();
}

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const) {
  Deno.test(`cache: ${signal} goes to the builder, and the lock stays until it has ended`, async () => {
    using dir = new TempDir();
    await using build = await startBuild(
      dir,
      `trap 'echo asked >&2; read -r line <"$1/fifo"; exit 3' ` +
        `${signal.slice(3)}; mkfifo "$1/fifo"; ` +
        "echo half; echo ready >&2; while :; do sleep 0.01; done",
    );
    build.kill(signal);
    assertEquals(await build.nextLine(), "asked");
    const other = await runCli(
      ["cache", "-n", dir.join("cache"), "key", "--", "echo", "other"],
    );
    assertEquals([other.code, other.stdout], [75, ""]);
    using _fifo = fill(dir.join("fifo"), "\n");
    assertEquals((await build.status).code, 3);
    assertEquals(names(dir.join("cache")), [".building", ".locks"]);
    assertEquals(names(dir.join("cache/.building")), []);
  });
}

Deno.test("cache: a builder that a signal ends leaves no entry, and the exit code of a shell", async () => {
  using dir = new TempDir();
  await using build = await startBuild(
    dir,
    "echo half; echo ready >&2; exec sleep 1000",
  );
  build.kill("SIGTERM");
  assertEquals((await build.status).code, 128 + 15);
  assertEquals(names(dir.join("cache/.building")), []);
});

Deno.test("cache: a builder that outlives a killed holdfast keeps the lock, and spoils no later entry", async () => {
  using dir = new TempDir();
  await using build = await startBuild(
    dir,
    `mkfifo "$1/fifo"; exec >"$HOLDFAST_OUTPUT"; echo old; echo ready >&2
     read -r line <"$1/fifo"; echo "$line"; echo "$line" >"$HOLDFAST_OUTPUT"`,
    "--path",
  );
  build.kill("SIGKILL");
  await build.status;
  const get = (...options: string[]) =>
    runCli(
      ["cache", ...options, dir.join("cache"), "key", "--", "echo", "new"],
    );
  assertEquals((await get("-n")).code, 75);
  const next = get();
  using _fifo = fill(dir.join("fifo"), "old again\n");
  assertEquals(await next, { code: 0, stdout: "new\n", stderr: "" });
  assertEquals(Deno.readTextFileSync(dir.join("cache/key")), "new\n");
  assertEquals(names(dir.join("cache/.building")), []);
});

Deno.test("cache: one build goes on in its own place while another one's is published", async () => {
  using dir = new TempDir();
  await using build = await startBuild(
    dir,
    `mkfifo "$1/fifo"; exec >"$HOLDFAST_OUTPUT"; echo ready >&2
     read -r line <"$1/fifo"; echo "$line"`,
    "--path",
  );
  // Whoever removes the lock file makes room for a second builder.
  Deno.removeSync(dir.join("cache/.locks/key.lock"));
  const [place] = names(dir.join("cache/.building"));
  const { getOrBuild } = await import("../../../lib/patterns/cache.ts");
  let second = "";
  using _entry = await getOrBuild("key", (path) => {
    second = path;
    Deno.writeTextFileSync(path, "second\n");
  }, { directory: dir.join("cache") });
  assert(!second.endsWith(place!), second);
  assertEquals(Deno.readTextFileSync(dir.join("cache/key")), "second\n");
  build.kill("SIGKILL");
  using _fifo = fill(dir.join("fifo"), "first\n");
  await build.status;
  assertEquals(Deno.readTextFileSync(dir.join("cache/key")), "second\n");
});

Deno.test("transform: TERM that comes once the command has ended doesn't cut the writing short", async () => {
  const module = new URL(
    "../../../cli/commands/transform/pipe_command.ts",
    import.meta.url,
  ).href;
  const run = async (holdSignals: boolean) => {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `import { pipeCommand } from ${JSON.stringify(module)};
        await pipeCommand(["true"], { holdSignals: ${holdSignals} });
        Deno.kill(Deno.pid, "SIGTERM");
        await new Promise((resolve) => setTimeout(resolve, 10));
        console.log("written");`,
      ],
    }).output();
    return new TextDecoder().decode(stdout);
  };
  assertEquals([await run(true), await run(false)], ["written\n", ""]);
});

Deno.test("transform: TERM goes to the command, and the file stays as it was", async () => {
  using dir = new TempDir();
  Deno.writeTextFileSync(dir.join("a"), "old\n");
  await using child = await HelperProcess.start("sh", [
    "-c",
    'exec "$@" 2>&1',
    "sh",
    Deno.execPath(),
    ...cliArgs([
      ...["transform", dir.join("a"), "--", "sh", "-c"],
      "echo half; echo ready >&2; exec sleep 1000",
    ]),
  ]);
  child.kill("SIGTERM");
  assertEquals((await child.status).code, 128 + 15);
  assertEquals(Deno.readTextFileSync(dir.join("a")), "old\n");
  assertEquals(names(dir.path), ["a"]);
});
