/** The stand-ins for jsr:@std/* keep what their declarations promise. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";
import { copySync } from "@std/fs/copy";
import { emptyDirSync } from "@std/fs/empty-dir";
import { ensureDirSync } from "@std/fs/ensure-dir";
import { existsSync } from "@std/fs/exists";
import { expandGlobSync } from "@std/fs/expand-glob";
import { walkSync } from "@std/fs/walk";
import { TempDir } from "./support/temp_dir.ts";

const ROOT = new URL("../", import.meta.url);

interface Manifest {
  name: string;
  version: string;
  exports: Record<string, string>;
}

function readJson<T>(path: string): T {
  return JSON.parse(Deno.readTextFileSync(new URL(path, ROOT))) as T;
}

const { imports } = readJson<{ imports: Record<string, string> }>("deno.json");

// The folders, and not the field `links`, which is absent where these tests run
// against the packages from JSR.
const linked = [...Deno.readDirSync(new URL("links/", ROOT))]
  .filter((entry) => entry.isDirectory)
  .map(({ name }) => ({
    folder: `links/${name}`,
    manifest: readJson<Manifest>(`links/${name}/deno.json`),
  }))
  .sort((a, b) => a.folder < b.folder ? -1 : 1);

/** The values (not types) that a module says it exports. */
function declaredValues(declarations: string): string[] {
  const matches = declarations.matchAll(
    /^export (?:function\*?|class) (\w+)/gm,
  );
  return [...new Set([...matches].map(([, name]) => name!))];
}

Deno.test("each import from JSR has a link of the same major version", () => {
  const fromJsr = Object.entries(imports).filter(([, target]) =>
    target.startsWith("jsr:")
  );
  assertEquals(
    fromJsr.map(([name, target]) => [name, target.match(/@\^(\d+)\./)?.[1]]),
    linked.map(({ manifest }) => [
      manifest.name,
      manifest.version.split(".")[0],
    ]),
  );
});

for (const { folder, manifest } of linked) {
  for (const [subpath, file] of Object.entries(manifest.exports)) {
    const specifier = manifest.name + subpath.slice(1);
    Deno.test(`${specifier} exports what it declares`, async () => {
      const source = new URL(`${folder}/${file}`, ROOT);
      const declared = new URL(source.href.replace(/\.ts$/, ".d.ts"));
      const declarations = Deno.readTextFileSync(
        existsSync(declared) ? declared : source,
      );
      const values = declaredValues(declarations);
      assert(values.length > 0);
      const module = await import(specifier) as Record<string, unknown>;
      assertEquals(values.filter((name) => !(name in module)), []);
    });
  }
}

/** A tree of two files, a link and three directories. */
function makeTree(dir: TempDir): string {
  const root = dir.join("tree");
  ensureDirSync(`${root}/a/b`);
  ensureDirSync(`${root}/a/b`);
  Deno.writeTextFileSync(`${root}/a/one.ts`, "1");
  Deno.writeTextFileSync(`${root}/a/b/two.md`, "2");
  Deno.symlinkSync("a/one.ts", `${root}/link.ts`);
  return root;
}

/** The paths below a directory, in order; a directory ends with a slash. */
function listed(
  root: string,
  entries: Iterable<{ path: string; isDirectory: boolean }>,
): string[] {
  return [...entries].map(({ path, isDirectory }) =>
    path.slice(root.length) + (isDirectory ? "/" : "")
  ).sort();
}

Deno.test("@std/fs: walkSync lists the root and all below, and follows no link", () => {
  using dir = new TempDir();
  const root = makeTree(dir);
  const walk = (options?: Parameters<typeof walkSync>[1]) =>
    listed(root, walkSync(root, options));
  assertEquals(walk(), [
    "/",
    "/a/",
    "/a/b/",
    "/a/b/two.md",
    "/a/one.ts",
    "/link.ts",
  ]);
  assertEquals(walk({ includeDirs: false, includeSymlinks: false }), [
    "/a/b/two.md",
    "/a/one.ts",
  ]);
  assertEquals(walk({ exts: ["ts"] }), ["/a/one.ts", "/link.ts"]);
  assertEquals(walk({ maxDepth: 1 }), ["/", "/a/", "/link.ts"]);
  assertEquals(walk({ match: [/\.md$/] }), ["/a/b/two.md"]);
  assertEquals(walk({ skip: [/\/a$/] }), ["/", "/link.ts"]);
});

Deno.test("@std/fs: expandGlobSync gives what matches, by path", () => {
  using dir = new TempDir();
  const root = makeTree(dir);
  const expand = (glob: string, options = {}) =>
    [...expandGlobSync(glob, { root, ...options })].map(({ path }) =>
      path.slice(root.length)
    );
  assertEquals(expand("**/*.ts"), ["/a/one.ts", "/link.ts"]);
  assertEquals(expand("a/*"), ["/a/b", "/a/one.ts"]);
  assertEquals(expand("a/*", { includeDirs: false }), ["/a/one.ts"]);
  assertEquals(expand("a/one.ts"), ["/a/one.ts"]);
  assertEquals(expand("missing/*"), []);
});

Deno.test("@std/fs: copySync copies a tree, and replaces nothing unless told to", () => {
  using dir = new TempDir();
  const root = makeTree(dir);
  const copy = dir.join("copy");
  copySync(root, copy);
  assertEquals(
    listed(copy, walkSync(copy)),
    listed(root, walkSync(root)),
  );
  assertEquals(Deno.readLinkSync(`${copy}/link.ts`), "a/one.ts");
  assertThrows(() => copySync(root, copy), Deno.errors.AlreadyExists);
  Deno.writeTextFileSync(`${root}/a/one.ts`, "changed");
  copySync(`${root}/a`, `${copy}/a`, { overwrite: true });
  assertEquals(Deno.readTextFileSync(`${copy}/a/one.ts`), "changed");
});

Deno.test("@std/fs: emptyDirSync leaves an empty directory, also where there was none", () => {
  using dir = new TempDir();
  const root = makeTree(dir);
  emptyDirSync(root);
  emptyDirSync(dir.join("new"));
  assertEquals(listed(dir.path, walkSync(dir.path)), ["/", "/new/", "/tree/"]);
});

Deno.test("@std/fs: existsSync tells files from directories", () => {
  using dir = new TempDir();
  const root = makeTree(dir);
  const isThere = (path: string) => [
    existsSync(path),
    existsSync(path, { isFile: true }),
    existsSync(path, { isDirectory: true }),
  ];
  assertEquals(isThere(root), [true, false, true]);
  assertEquals(isThere(`${root}/link.ts`), [true, true, false]);
  assertEquals(isThere(`${root}/missing`), [false, false, false]);
});

Deno.test("@std/cli: parseArgs tells switches from operands, and of what it doesn't know", () => {
  const unknown: string[] = [];
  const { quick, json, _ } = parseArgs(["--quick", "x", "10", "--other"], {
    boolean: ["quick", "json"],
    unknown: (word, key) => {
      if (key !== undefined) unknown.push(word);
      return key === undefined;
    },
  });
  assertEquals([quick, json, _, unknown], [true, false, ["x", 10], [
    "--other",
  ]]);
});
