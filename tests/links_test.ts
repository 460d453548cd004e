/** The stand-ins for jsr:@std/* keep what their declarations promise. */
import { assert, assertEquals } from "@std/assert";

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
  const matches = declarations.matchAll(/^export (?:function|class) (\w+)/gm);
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
      const declarations = Deno.readTextFileSync(
        new URL(`${folder}/${file.replace(/\.ts$/, ".d.ts")}`, ROOT),
      );
      const values = declaredValues(declarations);
      assert(values.length > 0);
      const module = await import(specifier) as Record<string, unknown>;
      assertEquals(values.filter((name) => !(name in module)), []);
    });
  }
}
