/** What becomes of a file's content when anything goes wrong. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";

import {
  transformBy,
  transformFile,
  type TransformMethod,
} from "../../lib/patterns/transform_file.ts";
import { LockError, SyscallError } from "../../lib/sys/error.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { needsMounts, PrivateMounts } from "../support/private_mounts.ts";
import { cliArgs } from "../support/cli.ts";
import { runProgram } from "../support/run_program.ts";
import { TempDir } from "../support/temp_dir.ts";
import { interceptCalls, smallDisk } from "./support/faults.ts";

const EIO = 5;
const encode = (text: string) => new TextEncoder().encode(text);
const METHODS: readonly TransformMethod[] = ["replace", "in-place"];

/** Names in a directory. */
function names(dir: TempDir): string[] {
  return [...Deno.readDirSync(dir.path)].map(({ name }) => name).sort();
}

/** A file whose content is longer, shorter and as long as before. */
const CHANGES = [
  ["old content", "new content that is longer"],
  ["a long old content", "short"],
  ["old content", "new content"],
  ["", "new"],
  ["old", ""],
  ["same start, old end", "same start, and a new end"],
] as const;

for (const reserve of ["unsupported", "lies"] as const) {
  Deno.test(`transformFile: a disk that is full after any byte costs no byte (fallocate ${reserve})`, async () => {
    using dir = new TempDir();
    const path = dir.join("a");
    for (const [before, after] of CHANGES) {
      // Whatever the copy and what is put back take, and more.
      for (let room = 0; room <= 3 * (before.length + after.length); room++) {
        for (const method of METHODS) {
          Deno.writeTextFileSync(path, before);
          const calls = smallDisk(room, reserve);
          const failed = await transformBy(calls, path, () => encode(after), {
            method,
          }).then(() => undefined, (error) => error);
          const left = names(dir).filter((name) => name !== "a");
          const content = Deno.readTextFileSync(path);
          if (failed === undefined) {
            assertEquals([content, left], [after, []]);
            continue;
          }
          assert(failed instanceof SyscallError, String(failed));
          assertEquals(failed.code, "ENOSPC");
          if (left.length === 0) {
            // Overwriting what is there takes no room on a real disk.
            const lost = failed.message.includes("could not be put back");
            if (!lost) assertEquals(content, before, failed.message);
            assert(!lost || room < before.length, failed.message);
          } else {
            assertEquals(left.length, 1);
            assert(failed.message.includes(left[0]!), failed.message);
            assertEquals(Deno.readTextFileSync(dir.join(left[0]!)), before);
            Deno.removeSync(dir.join(left[0]!));
          }
        }
      }
    }
  });
}

Deno.test("transformFile: each system call fails in turn, and the content is the old, the new, or in a copy that is named", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const descriptors = openDescriptors();
  for (const [before, after] of CHANGES) {
    for (const method of METHODS) {
      // From the Nth call on everything fails, or that call alone.
      for (const lasting of [false, true]) {
        let made = Infinity;
        for (let failing = 1; failing <= made; failing++) {
          Deno.writeTextFileSync(path, before);
          made = 0;
          const calls = interceptCalls((name) => {
            made++;
            const fails = lasting ? made >= failing : made === failing;
            // A directory's disk may fail, but its names are in memory.
            return fails && (!lasting || name !== "unlink") ? -EIO : undefined;
          });
          const failed = await transformBy(calls, path, () => encode(after), {
            method,
          }).then(() => undefined, (error) => error);
          const content = Deno.readTextFileSync(path);
          const what = `${method} ${failing} of ${made}: ${failed?.message}`;
          if (failed === undefined) assertEquals(content, after, what);
          else if (content !== before && content !== after) {
            const copy = names(dir).find((name) => name !== "a");
            assert(copy !== undefined && failed.message.includes(copy), what);
            assertEquals(Deno.readTextFileSync(dir.join(copy)), before);
          }
          for (const name of names(dir)) {
            if (name !== "a") Deno.removeSync(dir.join(name));
          }
        }
      }
    }
  }
  assertEquals(openDescriptors(), descriptors);
});

Deno.test("transformFile: a file that another program renames there in the last moment is not lost", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  for (const renames of [true, false]) {
    Deno.writeTextFileSync(path, "old");
    const calls = interceptCalls((name) => {
      if (name !== "exchange") return undefined;
      if (Deno.readTextFileSync(path) !== "old") return undefined;
      Deno.writeTextFileSync(dir.join("b"), "another program's");
      if (renames) Deno.renameSync(dir.join("b"), path);
      else Deno.renameSync(path, dir.join("b"));
      return undefined;
    });
    const error = await assertRejects(
      () => transformBy(calls, path, () => encode("new")),
      LockError,
    );
    assert(error.message.includes("begin anew"), error.message);
    assertEquals(names(dir), [renames ? "a" : "b"]);
    assertEquals(
      Deno.readTextFileSync(dir.join(renames ? "a" : "b")),
      renames ? "another program's" : "old",
    );
  }
});

Deno.test("transformFile: where names can't be exchanged, rename(2) does", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  Deno.writeTextFileSync(path, "old");
  const EINVAL = 22;
  const calls = interceptCalls((name) =>
    name === "exchange" ? -EINVAL : undefined
  );
  assertEquals(await transformBy(calls, path, () => encode("new")), {
    method: "replace",
  });
  assertEquals([names(dir), Deno.readTextFileSync(path)], [["a"], "new"]);
});

Deno.test("transformFile: renamed, replaced or written to while its new content is made, it is left alone", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const meddlings = [
    () => Deno.renameSync(path, dir.join("b")),
    () => {
      Deno.writeTextFileSync(dir.join("c"), "another program's");
      Deno.renameSync(dir.join("c"), path);
    },
    () => Deno.writeTextFileSync(path, "another program's"),
  ];
  for (const meddle of meddlings) {
    for (const method of METHODS) {
      Deno.writeTextFileSync(path, "old");
      const error = await assertRejects(
        () =>
          transformFile(path, () => {
            meddle();
            return encode("new");
          }, { method }),
        LockError,
      );
      assert(error.message.includes("nothing was changed"), error.message);
      const texts = names(dir).map((name) =>
        Deno.readTextFileSync(dir.join(name))
      );
      assert(!texts.includes("new"), String(texts));
      assertEquals(texts.length, 1);
      for (const name of names(dir)) Deno.removeSync(dir.join(name));
    }
  }
});

const DYING = fromFileUrl(
  new URL("./support/dying_writer.ts", import.meta.url),
);
const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));

for (const method of METHODS) {
  Deno.test(`transformFile: killed between any two calls (${method}), the content is the old or the new, or the next call names the copy`, async () => {
    using dir = new TempDir();
    const path = dir.join("a");
    const [before, after] = ["a long old content", "new"];
    for (const [from, to] of [[before, after], [after, before]] as const) {
      for (let at = 1;; at++) {
        Deno.writeTextFileSync(path, from);
        const { stdout, signal } = await new Deno.Command(Deno.execPath(), {
          args: [
            ...["run", "-A", "--no-check", "-q", "--config", CONFIG, DYING],
            ...[path, method, String(at), to],
          ],
        }).output();
        const content = Deno.readTextFileSync(path);
        if (new TextDecoder().decode(stdout) === "done\n") {
          assert(at > 3);
          break;
        }
        assertEquals(signal, "SIGKILL");
        const next = await transformFile(path, (old) => old)
          .then(() => undefined, (error) => error);
        const copy = names(dir).find((name) => name.includes("holdfast-old"));
        if (next === undefined) {
          assert(content === from || content === to, content);
        } else {
          assert(next instanceof LockError, String(next));
          assert(copy && next.message.includes(copy), next.message);
          assertEquals(Deno.readTextFileSync(dir.join(copy)), from);
        }
        for (const name of names(dir)) {
          if (name !== "a") Deno.removeSync(dir.join(name));
        }
      }
    }
  });
}

for (const method of METHODS) {
  Deno.test(`transform: a limit of file size (ulimit -f) leaves the file whole, and is named (${method})`, async () => {
    using dir = new TempDir();
    const path = dir.join("a");
    Deno.writeTextFileSync(path, "old\n");
    // In blocks of 512 bytes, and large enough for what the runtime writes.
    const blocks = 64 * 1024;
    const { code, stderr } = await runProgram("sh", [
      "-c",
      `ulimit -f ${blocks}; exec "$@"`,
      "sh",
      Deno.execPath(),
      ...cliArgs(["transform", "--method", method, path, "--"]),
      ...["head", "-c", String(512 * blocks + 1), "/dev/zero"],
    ], { env: { DENO_DIR: dir.join("cache") } });
    assertEquals([code, Deno.readTextFileSync(path)], [73, "old\n"]);
    assert(/EFBIG.*see ulimit -f/.test(stderr), stderr);
    assertEquals(names(dir), ["a", "cache"]);
  });
}

const mounts = needsMounts();

/** Disks with a file `a` that says "old", in a few lines of sh(1). */
const FULL_DISKS = {
  "full, with hard links":
    "mount -t tmpfs -o size=64k none disk; printf old >disk/a; " +
    "ln disk/a disk/b; head -c 1000000 /dev/zero >disk/fill || :",
  "without room for another file":
    "mount -t tmpfs -o size=64k,nr_inodes=3 none disk; printf old >disk/a; " +
    "head -c 1000000 /dev/zero >disk/fill || :",
} as const;

for (const [what, script] of Object.entries(FULL_DISKS)) {
  Deno.test({
    name:
      `transformFile: in place on a disk that is really ${what}${mounts.suffix}`,
    ignore: mounts.ignore,
    async fn() {
      using dir = new TempDir();
      await using disk = await PrivateMounts.create(
        dir.path,
        `mkdir disk\n${script} 2>/dev/null`,
      );
      const module = new URL(
        "../../lib/patterns/transform_file.ts",
        import.meta.url,
      ).href;
      Deno.writeTextFileSync(
        dir.join("script.ts"),
        `import { transformFile } from ${JSON.stringify(module)};
        for (const length of [100_000, 3]) {
          const result = await transformFile(
            "disk/a", () => new Uint8Array(length).fill(120),
          ).then(({ method }) => method, (error) => error.code);
          console.log(result, Deno.readTextFileSync("disk/a"),
            [...Deno.readDirSync("disk")].length);
        }`,
      );
      const { stdout, stderr } = await disk.output("sh", [
        "-c",
        'cd "$1" && exec "$2" run -A --no-check -q --config "$3" script.ts',
        "sh",
        dir.path,
        Deno.execPath(),
        CONFIG,
      ]);
      const names = what.includes("hard") ? 3 : 2;
      assertEquals(
        [new TextDecoder().decode(stdout), new TextDecoder().decode(stderr)],
        [`ENOSPC old ${names}\nin-place xxx ${names}\n`, ""],
      );
    },
  });
}
