import { assert } from "@std/assert";
import { readConfig, ROOT, runDeno } from "../tools/project.ts";

const entries = Object.entries(readConfig().exports);

for (const [entry, path] of entries) {
  Deno.test(`entry ${entry}: its documentation has an example and its permissions`, async () => {
    const { nodes } = JSON.parse(await runDeno(["doc", "--json", path]));
    const { module_doc: documentation } = nodes[
      `file://${ROOT}/${path.replace("./", "")}`
    ];
    const text: string = documentation?.doc ?? "";
    const example = /```ts\n([\s\S]*?)```/.exec(text)?.[1] ?? "";
    const specifier = readConfig().name + entry.slice(1);
    assert(example.includes(`from "${specifier}"`), text);
    assert(/permission|--allow-/i.test(text), text);
  });
}
