/** The rules of the house: who may import whom, and who may do what. */
import { walkSync } from "@std/fs/walk";
import { basename } from "@std/path/basename";
import { fromFileUrl } from "@std/path/from-file-url";
import { join } from "@std/path/join";
import { relative } from "@std/path/relative";
import { assertEquals } from "@std/assert";
import { type Import, importsOf, stripTexts } from "./support/module_graph.ts";

const ROOT_URL = new URL("../", import.meta.url);
const ROOT = fromFileUrl(ROOT_URL);
const CONFIG = join(ROOT, "deno.json");

/** From the lowest up: each may import itself and those before it. */
const LAYERS = [
  "lib/proc/",
  "lib/sys/",
  "lib/lock/",
  "lib/inspect/",
  "lib/fs/",
  "lib/wait/",
  "lib/cluster/",
  "lib/acquire/",
  "lib/patterns/",
  "lib/trace/",
  "cli/",
];

/** How C functions are called: for all others lib/sys has typed functions. */
const C_CALLS = ["lib/sys/libc.ts", "lib/sys/call.ts"];

/** Where each command of fcntl(2) has its function. */
const FCNTL = ["lib/sys/lock/record_lock.ts", "lib/sys/process/descriptors.ts"];

const MAX_LINES = 400;
const MAX_FILES = 20;

type Sources = Record<string, string>;

function readSources(): Sources {
  const sources: Sources = {};
  for (const room of ["lib", "cli"]) {
    for (const { path } of walkSync(join(ROOT, room), { exts: ["ts"] })) {
      sources[relative(ROOT, path)] = Deno.readTextFileSync(path);
    }
  }
  sources["mod.ts"] = Deno.readTextFileSync(join(ROOT, "mod.ts"));
  return sources;
}

function layerOf(path: string): number {
  return LAYERS.findIndex((layer) => path.startsWith(layer));
}

/** Every breach of the rules, as a sentence. */
function findBreaches(sources: Sources): string[] {
  const breaches: string[] = [];
  const imports: Import[] = [];
  for (const [path, source] of Object.entries(sources)) {
    imports.push(...importsOf(path, source));
    breaches.push(...fileBreaches(path, source));
  }
  breaches.push(...sizeBreaches(sources));
  for (const { from, to } of imports) {
    if (from === "mod.ts" || !(to in sources)) continue;
    if (layerOf(to) > layerOf(from) || to === "mod.ts") {
      breaches.push(`${from} imports ${to}, which is above it`);
    }
    if (C_CALLS.includes(to) && !from.startsWith("lib/sys/")) {
      breaches.push(`${from} imports ${to}: only lib/sys makes C calls`);
    }
  }
  for (
    const ring of findRings(imports.filter((i) => !i.typeOnly && !i.dynamic))
  ) {
    breaches.push(`import ring: ${ring.join(" → ")}`);
  }
  return breaches;
}

function fileBreaches(path: string, source: string): string[] {
  const code = stripTexts(source);
  const breaches: string[] = [];
  const forbid = (pattern: RegExp, what: string) => {
    if (pattern.test(code)) breaches.push(`${path} ${what}`);
  };
  if (!/^[a-z0-9_]+\.ts$/.test(basename(path))) {
    breaches.push(`${path} is not in snake_case`);
  }
  if (path === "mod.ts") {
    const rest = code.replace(/export (type )?(\{[^}]*\}|\*) from "";/g, "");
    if (rest.trim() !== "") breaches.push("mod.ts does more than re-export");
  }
  if (path.startsWith("lib/proc/")) {
    forbid(/\bDeno\b/, "uses Deno");
    for (const { to } of importsOf(path, source)) {
      if (!to.startsWith("lib/proc/")) breaches.push(`${path} imports ${to}`);
    }
  }
  if (path !== "lib/sys/libc.ts") forbid(/\bdlopen\b/, "opens a library");
  if (!FCNTL.includes(path)) forbid(/\blibc\.fcntl/, "calls fcntl");
  if (!path.startsWith("cli/")) {
    forbid(/\bconsole\b/, "writes to the console");
    forbid(/\bDeno\.args\b/, "reads Deno.args");
    forbid(/\bDeno\.exit\b/, "exits");
  }
  return breaches;
}

/** A file or folder that has outgrown what one can take in has two subjects. */
function sizeBreaches(sources: Sources): string[] {
  const breaches: string[] = [];
  const files = new Map<string, number>();
  for (const [path, source] of Object.entries(sources)) {
    const lines = source.split("\n").length - 1;
    if (lines > MAX_LINES) breaches.push(`${path} has ${lines} lines`);
    const folder = path.replace(/[^/]*$/, "");
    files.set(folder, (files.get(folder) ?? 0) + 1);
  }
  for (const [folder, count] of files) {
    if (count > MAX_FILES) breaches.push(`${folder} has ${count} files`);
  }
  return breaches;
}

/** One ring a starting point from which one can be reached. */
function findRings(imports: readonly Import[]): string[][] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of imports) {
    targets.set(from, [...targets.get(from) ?? [], to]);
  }
  const rings: string[][] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: string[]) => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      rings.push([...trail.slice(at), path]);
      return;
    }
    if (done.has(path)) return;
    for (const target of targets.get(path) ?? []) {
      visit(target, [...trail, path]);
    }
    done.add(path);
  };
  for (const path of targets.keys()) visit(path, []);
  return rings;
}

Deno.test("the layers hold", () => {
  assertEquals(findBreaches(readSources()), []);
});

Deno.test("breaches of the layers are found", () => {
  assertEquals(
    findBreaches({
      "mod.ts": 'export { a } from "./lib/proc/a.ts";\nconst x = 1;',
      "lib/proc/a.ts":
        'import type { B } from "../sys/b.ts";\nDeno.readTextFileSync("x");',
      "lib/proc/fine.ts": '// Deno.exit\nconst text = "console.log";',
      "lib/sys/b.ts": 'import { c } from "./c.ts";\nconsole.log(1);',
      "lib/sys/c.ts": 'export * from "./b.ts";\nDeno.dlopen(x, {});',
      "lib/sys/lazy.ts": 'await import("../lock/d.ts"); Deno.exit(1);',
      "lib/sys/call.ts": 'import "./libc.ts";',
      "lib/sys/fcntl.ts": "libc.fcntl_int(fd, 3, 0);",
      "lib/sys/libc.ts": "Deno.dlopen(x, {});",
      "lib/lock/d.ts": "Deno.args[0];",
      "lib/lock/e.ts": 'import type { Libc } from "../sys/libc.ts";',
      "cli/BadName.ts": "console.log(Deno.args);",
      "cli/f.ts": 'import { callLibc } from "../lib/sys/call.ts";',
    }),
    [
      "mod.ts does more than re-export",
      "lib/proc/a.ts uses Deno",
      "lib/proc/a.ts imports lib/sys/b.ts",
      "lib/sys/b.ts writes to the console",
      "lib/sys/c.ts opens a library",
      "lib/sys/lazy.ts exits",
      "lib/sys/fcntl.ts calls fcntl",
      "lib/lock/d.ts reads Deno.args",
      "cli/BadName.ts is not in snake_case",
      "lib/proc/a.ts imports lib/sys/b.ts, which is above it",
      "lib/sys/lazy.ts imports lib/lock/d.ts, which is above it",
      "lib/lock/e.ts imports lib/sys/libc.ts: only lib/sys makes C calls",
      "cli/f.ts imports lib/sys/call.ts: only lib/sys makes C calls",
      "import ring: lib/sys/b.ts → lib/sys/c.ts → lib/sys/b.ts",
    ],
  );
});

Deno.test("files and folders that are too large are found", () => {
  const folder = (files: number) =>
    Object.fromEntries(
      Array.from({ length: files }, (_, i) => [`lib/sys/f${i}.ts`, ""]),
    );
  assertEquals(
    findBreaches({ ...folder(20), "lib/proc/a.ts": "\n".repeat(400) }),
    [],
  );
  assertEquals(
    findBreaches({ ...folder(21), "lib/proc/a.ts": "\n".repeat(401) }),
    ["lib/proc/a.ts has 401 lines", "lib/sys/ has 21 files"],
  );
});

Deno.test("the imports read from the sources are those that Deno sees", async () => {
  const sources = readSources();
  using file = tempScript(
    Object.keys(sources)
      .map((path) => `import ${JSON.stringify(new URL(path, ROOT_URL).href)};`)
      .join("\n"),
  );
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--config", CONFIG, file.path],
    stderr: "inherit",
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    modules: {
      specifier: string;
      dependencies?: Record<"code" | "type", { specifier: string }>[];
    }[];
  };
  const seen = modules.flatMap(({ specifier, dependencies }) =>
    (dependencies ?? []).map(({ code, type }) =>
      [specifier, (code ?? type).specifier].map((url) =>
        url.replace(ROOT_URL.href, "")
      )
    )
  );
  const edges = (pairs: string[][]) =>
    [
      ...new Set(
        pairs.filter((pair) => pair.every((path) => path in sources))
          .map(([from, to]) => `${from} imports ${to}`),
      ),
    ].sort();
  assertEquals(
    edges(
      Object.entries(sources).flatMap(([path, source]) =>
        importsOf(path, source).map(({ from, to }) => [from, to])
      ),
    ),
    edges(seen),
  );
});

Deno.test("importing an entry has no effect: it needs no permission", async () => {
  const { exports } = JSON.parse(
    Deno.readTextFileSync(CONFIG),
  ) as { exports: Record<string, string> };
  const entries = Object.entries(exports)
    .filter(([name]) => name !== "./cli")
    .map(([, file]) => new URL(file, ROOT_URL).href);
  using file = tempScript(
    entries.map((url) => `await import(${JSON.stringify(url)});`).join("\n") +
      "\nconsole.log('imported');",
  );
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--quiet", "--no-check", file.path],
    stderr: "inherit",
  }).output();
  assertEquals([code, new TextDecoder().decode(stdout)], [0, "imported\n"]);
});

function tempScript(text: string): { path: string } & Disposable {
  const path = Deno.makeTempFileSync({ suffix: ".ts" });
  Deno.writeTextFileSync(path, text);
  return { path, [Symbol.dispose]: () => Deno.removeSync(path) };
}
