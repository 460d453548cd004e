import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ROOT } from "../../tools/project.ts";
import { needs } from "../support/programs.ts";
import { renderShot, takeShots } from "../../tools/shots.ts";

Deno.test("renderShot: colours, markup, and lines that are too long", () => {
  const svg = renderShot("a & b", `\x1b[31mred\x1b[0m <x>\n${"w".repeat(200)}`);
  assertStringIncludes(svg, "<title>a &amp; b</title>");
  assertStringIncludes(svg, '<tspan class="c31">red</tspan> &lt;x&gt;</text>');
  assertEquals(svg.match(/>w+</g)!.map((text) => text.length - 2), [
    90,
    90,
    20,
  ]);
  assert(!svg.includes("\x1b"));
});

/** What is written in a picture, without what differs from run to run. */
function words(svg: string): string[] {
  return svg.replace(/<style>[\s\S]*?<\/style>/, "").replace(/<[^>]*>/g, "")
    .replace(/\d+(\.\d+)? (ms|µs|s)\b/g, "0 ms").replace(/\d+/g, "0")
    .replace(/user \S+/g, "user u")
    .split("\n").map((line) => line.replace(/ +/g, " ").trim())
    .filter((line) => line !== "");
}

// What the pictures are taken with.
const programs = needs("setsid", "flock");

Deno.test({
  name: "docs/shots: what the tool prints today; else `deno task shots`" +
    programs.suffix,
  ignore: programs.ignore,
}, async () => {
  const shots = await takeShots();
  const kept = [...Deno.readDirSync(`${ROOT}/docs/shots`)];
  assertEquals(
    kept.map(({ name }) => name).sort(),
    [...shots.keys()].sort(),
  );
  for (const [name, svg] of shots) {
    const shown = words(svg);
    if (name === "doctor.svg") {
      // The rest is about this machine's filesystem.
      assert(shown.some((line) => line.startsWith("flock excluded")), svg);
      continue;
    }
    const path = `${ROOT}/docs/shots/${name}`;
    // Which process of a ring is named first depends on their numbers.
    const expected = words(Deno.readTextFileSync(path));
    assertEquals(shown.sort(), expected.sort(), name);
  }
});
