/**
 * Modules are read by the runtime's helper threads, and a program may keep all
 * of them busy: what a wait needs, and its end, is loaded with the entry.
 */
import { assertEquals } from "@std/assert";
import { readConfig, ROOT } from "../../tools/project.ts";
import { type Import, importsOf } from "../support/module_graph.ts";

/** What is loaded for the URL of a lock alone, and talks to servers then. */
const FOR_URLS = /^lib\/cluster\/|^lib\/acquire\/mixed_group\.ts$/;

const entries = Object.entries(readConfig().exports)
  // The command line is a program of its own, whose threads are idle.
  .filter(([entry]) => entry !== "./cli");

/** All modules that are loaded with one, and what those load later. */
function loadedWith(path: string): { now: Set<string>; later: Import[] } {
  const now = new Set([path]);
  const later: Import[] = [];
  for (const from of now) {
    const source = Deno.readTextFileSync(`${ROOT}/${from}`);
    for (const one of importsOf(from, source)) {
      if (one.dynamic) later.push(one);
      else if (!one.typeOnly && one.to.endsWith(".ts")) now.add(one.to);
    }
  }
  return { now, later };
}

for (const [entry, path] of entries) {
  Deno.test(`entry ${entry}: a wait loads nothing any more`, () => {
    const { now, later } = loadedWith(path.replace("./", ""));
    assertEquals(
      later
        .filter(({ from, to }) => !FOR_URLS.test(from) && !FOR_URLS.test(to))
        .filter(({ to }) => !now.has(to)),
      [],
    );
  });
}
