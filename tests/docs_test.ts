import { ensureDirSync } from "@std/fs/ensure-dir";
import { expandGlobSync } from "@std/fs/expand-glob";
import { assert, assertEquals } from "@std/assert";
import { REPOSITORY, ROOT } from "../tools/project.ts";
import { type DocStep, readDocPage, runSteps } from "./support/doc_commands.ts";
import { needs } from "./support/programs.ts";
import { TempDir } from "./support/temp_dir.ts";

Deno.test("readDocPage: blocks, setups, and what is not run", () => {
  const page = [
    "```sh",
    "a",
    "```",
    "<!-- setup: b",
    "c -->",
    "<!-- not run: takes a week -->",
    "",
    "```sh",
    "never",
    "```",
    "```console",
    "$ d \\",
    "  e",
    "out",
    "",
    "put",
    "$ f",
    "```",
    "```crontab",
    "*/5 1-2 * * *  g -h",
    "```",
    "```ts",
    "no",
    "```",
    "```ts ignore",
    "no",
    "```",
    "<!-- not run: it is a picture -->",
    "```text",
    "no",
    "```",
    "```text",
    "no",
    "```",
  ].join("\n");
  const { steps, unexplained } = readDocPage(page);
  assertEquals(steps, [
    { line: 1, kind: "run", command: "a\n", output: "" },
    { line: 4, kind: "setup", command: "b\nc", output: "" },
    { line: 11, kind: "show", command: "d \\\n  e", output: "out\n\nput" },
    { line: 11, kind: "show", command: "f", output: "" },
    { line: 19, kind: "run", command: "g -h\n", output: "" },
  ]);
  assertEquals(unexplained, [25, 32]);
});

/** Directories of the pages that a test puts into one of its own. */
const PLACES = [
  "/var/lock",
  "/run/lock",
  "/srv",
  "/nfs",
  "/mnt/shared",
  "/usr/local/bin",
];

/** What differs from one machine and run to another. */
function neutral(text: string): string {
  return text
    .replace(/cmd=\S*deno run [^\n]*/g, "cmd=holdfast …")
    .replace(/cmd=\S*holdfast [^\n]*/g, "cmd=holdfast …")
    .replace(/^holdfast locks: .* may not be looked into.*\n?/gm, "")
    .replace(/^ \(.* may not be looked into.*\)\n?/gm, "")
    .replace(/, user \S+$/gm, ", user root")
    .replace(/\d+/g, "0")
    .trimEnd();
}

/** Programs that a page may use, and that a bare machine lacks. */
const FOREIGN = ["flock", "grep", "sed", "awk", "jq", "python3", "pgrep", "ps"];

function programsOf(steps: readonly DocStep[]): string[] {
  return FOREIGN.filter((program) =>
    steps.some(({ command }) =>
      new RegExp(`(?:^|[|;&(]|\\$\\()\\s*${program}\\b`, "m").test(command)
    )
  );
}

const PAGES = ["*.md", "docs/*.md"]
  .flatMap((glob) => [...expandGlobSync(glob, { root: ROOT })])
  .map(({ path }) => path.slice(ROOT.length + 1));

for (const name of PAGES) {
  const page = readDocPage(Deno.readTextFileSync(`${ROOT}/${name}`));
  Deno.test(`${name}: every block is run, or says why not`, () => {
    assertEquals(page.unexplained, []);
  });
  if (page.steps.length === 0) continue;
  const guard = needs(...programsOf(page.steps));
  const title = `${name}: its commands do what it says${guard.suffix}`;
  Deno.test(title, { ignore: guard.ignore }, async () => {
    using dir = new TempDir();
    const localized = (text: string) =>
      PLACES.reduce(
        (text, place) => text.replaceAll(`${place}/`, `${dir.path}${place}/`),
        text,
      );
    for (const place of PLACES) {
      ensureDirSync(dir.join(place));
    }
    Deno.mkdirSync(dir.join("work"));
    Deno.mkdirSync(dir.join("bin"));
    Deno.symlinkSync(`${ROOT}/bin/holdfast`, dir.join("bin/holdfast"));
    Deno.symlinkSync(Deno.execPath(), dir.join("bin/deno"));
    const steps = page.steps.map((step) => ({
      ...step,
      command: localized(step.command),
      output: localized(step.output),
    }));
    const results = await runSteps(
      steps,
      dir.join("work"),
      `${dir.join("bin")}:${Deno.env.get("PATH")}`,
    );
    for (const { step, code, output } of results) {
      const where = `${name}:${step.line}: ${step.command}`;
      if (step.kind === "show") {
        assertEquals(neutral(output), neutral(step.output), where);
      }
      if (step.kind === "run") assert(code === 0, `${where}\n${output}`);
    }
  });
}

Deno.test("docs: every page is in the index, and every link leads somewhere", () => {
  const pages = PAGES.filter((page) => page.startsWith("docs/"));
  for (const page of pages) {
    const text = Deno.readTextFileSync(`${ROOT}/${page}`);
    for (const [, target] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      Deno.statSync(`${ROOT}/docs/${target}`);
    }
    if (page === "docs/README.md") {
      const missing = pages.filter((name) =>
        name !== page && !text.includes(`](${name.slice("docs/".length)})`)
      );
      assertEquals(missing, []);
    }
  }
});

Deno.test("README: links are absolute, and lead to what is there", () => {
  const text = Deno.readTextFileSync(`${ROOT}/README.md`);
  const place = `${REPOSITORY}/blob/main/`;
  const targets = [...text.matchAll(/\]\(([^)]+)\)/g)]
    .map(([, target]) => target!);
  assert(targets.some((target) => target.startsWith(place)));
  for (const target of targets) {
    assert(/^(https:|#)/.test(target), target);
    if (!target.startsWith(place)) continue;
    Deno.statSync(`${ROOT}/${target.slice(place.length).replace(/#.*/, "")}`);
  }
});
