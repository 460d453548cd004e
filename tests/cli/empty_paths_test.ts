/**
 * An empty path, as from a variable that a script hasn't set, means no file:
 * neither the working directory, nor the root, nor one that isn't there.
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { acquire } from "../../lib/acquire/acquire.ts";
import { acquireAll } from "../../lib/acquire/group.ts";
import { appendToFile } from "../../lib/patterns/append.ts";
import { getOrBuild } from "../../lib/patterns/cache.ts";
import { acquireCpus } from "../../lib/patterns/cpu_reservation.ts";
import { acquireIfDue } from "../../lib/patterns/debounce.ts";
import { acquireFenced } from "../../lib/patterns/fence.ts";
import { collectLockFiles } from "../../lib/patterns/gc.ts";
import { transformFile } from "../../lib/patterns/transform_file.ts";
import { acquireFair } from "../../lib/patterns/turnstile.ts";
import { SyscallError } from "../../lib/sys/error.ts";
import { runCli } from "../support/cli.ts";
import { TempDir } from "../support/temp_dir.ts";

Deno.test("an empty path is refused by every command, and nothing is made", async () => {
  using directory = new TempDir();
  const codes: Record<string, number> = {
    "who _": 64,
    "test _": 64,
    "locks _": 64,
    "doctor _": 64,
    "link show _": 64,
    "slots _": 64,
    "gc _": 64,
    "gc --dry-run . _": 64,
    "run _ -- true": 66,
    "run --fair _ -- true": 66,
    "run --fence _ -- true": 66,
    "run --every 1s _ -- true": 66,
    "run --kind link _ -- true": 64,
    "run --kind both _ -- true": 66,
    "run --slots 1 _ -- true": 64,
    "run --tree _ -- true": 65,
    "flock _ true": 66,
    "transform _ -- true": 66,
    "transform --create --fence 1 _ -- true": 66,
    "append _": 66,
    "cache _ key -- echo": 66,
    "cache --evict _ key": 66,
  };
  const found: Record<string, number> = {};
  for (const line of Object.keys(codes)) {
    const words = line.split(" ").map((word) => word === "_" ? "" : word);
    const { code } = await runCli(words, { cwd: directory.path });
    found[line] = code;
  }
  assertEquals(found, codes);
  assertEquals([...Deno.readDirSync(directory.path)], []);
});

Deno.test("an empty path is refused by the library, and nothing is made", async () => {
  const calls: Record<string, () => Promise<unknown>> = {
    acquire: () => acquire(""),
    acquireAll: () => acquireAll(["", "/tmp/x"]),
    acquireFair: () => acquireFair(""),
    acquireFenced: () => acquireFenced(""),
    acquireIfDue: () => acquireIfDue("", { intervalMs: 1 }),
    appendToFile: () => appendToFile("", "x"),
    transformFile: () => transformFile("", (content) => content),
    getOrBuild: () => getOrBuild("key", () => {}, { directory: "" }),
    acquireCpus: () => acquireCpus({ cpus: 1, directory: "" }),
  };
  for (const [name, call] of Object.entries(calls)) {
    const { code } = await assertRejects(call, SyscallError, "empty", name);
    assertEquals(code, "ENOENT", name);
  }
  assertThrows(() => collectLockFiles(""), SyscallError, "empty");
});
