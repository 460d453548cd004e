import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  layOut,
  NODE_HEIGHT,
  NODE_WIDTH,
} from "../../../cli/commands/locks/page/graph_layout.ts";
import type { WaitEdge, WaitGraph } from "../../../lib/inspect/mod.ts";
import { runCli } from "../../support/cli.ts";
import { holdFlock } from "../../support/foreign_flock.ts";
import { isInstalled } from "../../support/programs.ts";
import { runScript } from "../../support/run_script.ts";
import { Random } from "../../proc/support.ts";
import { TempDir } from "../../support/temp_dir.ts";
import { until } from "../../support/until.ts";

const HOSTILE = `<img src=x onerror=alert(1)>"'&<!--.lock`;

const chromium = ["chromium", "chromium-browser", "google-chrome"]
  .find(isInstalled);

async function browse(profile: string, ...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(chromium!, {
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      `--user-data-dir=${profile}`,
      "--hide-scrollbars",
      ...args,
    ],
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout);
}

/** A page of a ring of two, and a lock on a file with a hostile name. */
async function makePage(dir: TempDir): Promise<AsyncDisposableStack> {
  await using stack = new AsyncDisposableStack();
  stack.use(await holdFlock(dir.join(HOSTILE)));
  const start = async (own: string, other: string) =>
    stack.use(
      await runScript(
        `const [a, b] = args.slice(0, 2).map(open);
flock(a);
say("ready");
line();
flock(b);`,
        dir.join(own),
        dir.join(other),
        "</script><script>alert(2)</script>",
      ),
    );
  const first = await start("ring-a", "ring-b");
  const second = await start("ring-b", "ring-a");
  await first.writeLine("");
  await second.writeLine("");
  const file = dir.join("page.html");
  // Both have come to wait, and no reading of /proc/locks was torn.
  await until(async () => {
    const { code } = await runCli(["locks", "--html", file, dir.path]);
    assertEquals(code, 0);
    return Deno.readTextFileSync(file).includes('class="edge dead');
  });
  return stack.move();
}

Deno.test("locks --html: one file, nothing fetched, nothing untrusted as markup", async () => {
  using dir = new TempDir();
  await using _processes = await makePage(dir);
  const page = Deno.readTextFileSync(dir.join("page.html"));
  assertStringIncludes(page, "default-src 'none'");
  assertEquals(page.match(/\b(?:src|href)=["']?(?:https?:)?\/\//g), null);
  assertEquals(page.match(/<img/g), null);
  // Its own two elements, and none that a command line brought.
  assertEquals(page.match(/<script/g)?.length, 2);
  assertEquals(page.match(/<\/script/g)?.length, 2);
  assertMatch(page, /<svg[^]*<path class="edge dead/);
});

Deno.test({
  name: "locks --html in a browser, light and dark (skipped without Chromium)",
  ignore: chromium === undefined,
  async fn() {
    using dir = new TempDir();
    await using _processes = await makePage(dir);
    const url = `file://${dir.join("page.html")}`;
    const dom = await browse(dir.join("profile"), "--dump-dom", url);
    const body = dom.slice(dom.indexOf("<tbody>"), dom.indexOf("</tbody>"));
    assertEquals(body.match(/<tr>/g)?.length, 5);
    assertEquals(body.match(/state held/g)?.length, 3);
    assertEquals(body.match(/state deadlocked/g)?.length, 2);
    assertStringIncludes(body, "&lt;img src=x onerror=alert(1)&gt;");
    assertStringIncludes(dom, ">5 of 5</output>");
    assertStringIncludes(dom, "ossible deadlock: 2 in a ring");

    // The search, driven by a script put in after the page's own.
    const page = Deno.readTextFileSync(dir.join("page.html"));
    Deno.writeTextFileSync(
      dir.join("search.html"),
      page.replace(
        "</body>",
        `<script>search.value = "ring-a flock"; search.dispatchEvent(new Event("input"));
document.querySelectorAll("th button")[0].click();</script></body>`,
      ),
    );
    const found = await browse(
      dir.join("profile"),
      "--dump-dom",
      `file://${dir.join("search.html")}`,
    );
    assertStringIncludes(found, ">2 of 5</output>");
    assertMatch(found, /<th[^>]* aria-sort="ascending"/);
    const rows = found.slice(
      found.indexOf("<tbody>"),
      found.indexOf("</tbody>"),
    );
    assert(rows.indexOf("deadlocked") < rows.indexOf("held"));

    const shots: Uint8Array[] = [];
    for (const dark of [false, true]) {
      const file = dir.join(`shot-${dark}.png`);
      await browse(
        dir.join("profile"),
        ...(dark ? ["--blink-settings=preferredColorScheme=0"] : []),
        "--window-size=900,700",
        `--screenshot=${file}`,
        url,
      );
      shots.push(Deno.readFileSync(file));
    }
    assert(shots[0]!.length > 10_000);
    assertNotEquals(shots[0], shots[1]);
  },
});

Deno.test("random graphs are drawn without overlap and inside the picture", () => {
  const random = new Random(8);
  for (let i = 0; i < 300; i++) {
    const nodes = Array.from({ length: 1 + random.int(12) }, (_, n) => ({
      name: `n${n}`,
      process: undefined,
    }));
    const edges = random.list(16, () => ({
      from: random.pick(nodes),
      to: random.pick(nodes),
    } as WaitEdge));
    const graph: WaitGraph = { nodes, edges };
    const layout = layOut(graph);
    assertEquals(
      layout.nodes.map(({ node }) => node.name).sort(),
      nodes.map(({ name }) => name).sort(),
    );
    assertEquals(
      layout.edges.reduce((sum, { edges }) => sum + edges.length, 0),
      edges.length,
    );
    for (const [index, a] of layout.nodes.entries()) {
      assert(a.x >= 0 && a.y >= 0);
      assert(a.x + NODE_WIDTH <= layout.width);
      assert(a.y + NODE_HEIGHT <= layout.height);
      for (const b of layout.nodes.slice(index + 1)) {
        assert(
          Math.abs(a.x - b.x) >= NODE_WIDTH ||
            Math.abs(a.y - b.y) >= NODE_HEIGHT,
        );
      }
    }
  }
});
