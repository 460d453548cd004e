import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { renderReportPage } from "../../../cli/commands/report/html.ts";
import type { LockActivity } from "../../../lib/trace/activity.ts";
import { ReportBuilder } from "../../../lib/trace/report/report.ts";
import { Browser, needsBrowser } from "../../support/browser.ts";
import { TempDir } from "../../support/temp_dir.ts";
import { activity, held } from "../../trace/support/activities.ts";

const { ignore, suffix } = needsBrowser;

const HOSTILE = `</script><img src=x onerror=alert(1)>"'&<!--`;

function render(activities: LockActivity[]): string {
  const builder = new ReportBuilder({ timeline: true });
  activities.forEach((each) => builder.add(each));
  const report = builder.finish();
  return renderReportPage(report, builder.timeline(report), HOSTILE);
}

const holder = (pid: number) => ({
  process: { pid, command: `program ${pid}` },
  heldMs: 1,
});

/** One holds, two wait; another lock has a hostile name; an order clashes. */
const SCENE: LockActivity[] = [
  activity(1000, "acquired", 1, "/lock"),
  activity(1010, "waiting", 2, "/lock", { holders: [holder(1)] }),
  activity(1020, "waiting", 3, "/lock", { holders: [holder(1)] }),
  activity(1060, "gave-up", 3, "/lock", { waitedMs: 40 }),
  activity(1100, "released", 1, "/lock", { heldMs: 100 }),
  activity(1100, "acquired", 2, "/lock", { waitedMs: 90 }),
  activity(1110, "acquired", 2, `/${HOSTILE}`, {
    process: { pid: 2, command: HOSTILE },
    alsoHeld: [held("/lock")],
  }),
  activity(1150, "released", 2, "/lock", { heldMs: 50 }),
  activity(1160, "released", 2, `/${HOSTILE}`, { heldMs: 50 }),
  activity(1200, "acquired", 5, "/lock", { alsoHeld: [held(`/${HOSTILE}`)] }),
  activity(1300, "released", 5, "/lock", { heldMs: 100 }),
];

function openPage(
  dir: TempDir,
  activities: LockActivity[],
  options?: Parameters<typeof Browser.open>[1],
): Promise<Browser> {
  const path = dir.join("page.html");
  Deno.writeTextFileSync(path, render(activities));
  return Browser.open(`file://${path}`, options);
}

const detail = (page: Browser) =>
  page.evaluate<string>('document.getElementById("detail").textContent');

/** Tabs until the timeline has the focus. */
async function reachTimeline(page: Browser): Promise<void> {
  for (let presses = 0; presses < 20; presses++) {
    await page.press("Tab");
    const id = await page.evaluate<string>("document.activeElement.id");
    if (id === "view") return;
  }
  throw new Error("Tab never reaches the timeline");
}

Deno.test("the page of a report: nothing from outside becomes markup", () => {
  const page = render(SCENE);
  assert(!page.includes("<img"), "a name has become an element");
  assertEquals(page.match(/<\/script>/g)?.length, 2);
  assert(!/(?:src|href)="?http/.test(page));
  assertStringIncludes(page, "default-src 'none'");
  assertStringIncludes(page, "Locks taken in clashing orders");
});

Deno.test("the page of a report: times hold nothing but numbers", () => {
  const [, json] = /id="data">(.*)<\/script>/.exec(render(SCENE))!;
  const { bars, lanes, processes } = JSON.parse(json!);
  assertEquals(bars.length % 6, 0);
  assertEquals(bars.slice(0, 6), [0, 0, 0, 100_000, 0, 0]);
  assertEquals(lanes.length, 2);
  assertEquals(processes[0], [1, "program 1"]);
});

Deno.test({
  name: `the timeline is read by keyboard alone${suffix}`,
  ignore,
  async fn() {
    using dir = new TempDir();
    await using page = await openPage(dir, SCENE);
    await reachTimeline(page);
    await page.press("ArrowRight");
    assertStringIncludes(
      await detail(page),
      "Held for 100 ms, FLOCK /lock, by pid 1 program 1",
    );
    assertStringIncludes(await detail(page), "Made wait: pid 2 program 2;");
    await page.press("ArrowRight");
    assertStringIncludes(await detail(page), "Waited 90.0 ms");
    assertStringIncludes(await detail(page), "Behind: pid 1 program 1.");
    await page.press("ArrowRight");
    assertStringIncludes(await detail(page), "Waited in vain 40.0 ms");
    // To who was in the way, and from there to whom it made wait.
    await page.press("b");
    assertStringIncludes(await detail(page), "by pid 1 program 1");
    await page.press("b");
    assertStringIncludes(await detail(page), "by pid 2 program 2");
    await page.press("ArrowDown");
    assertStringIncludes(await detail(page), HOSTILE);
    await page.press("ArrowUp");
    await page.press("End");
    assertStringIncludes(await detail(page), "by pid 5 program 5");
    await page.press("Home");
    assertStringIncludes(await detail(page), "by pid 1 program 1");
    const range = "until - from";
    const whole = await page.evaluate<number>(range);
    await page.press("+", 3);
    assert(Math.abs(await page.evaluate<number>(range) - whole / 8) < 1);
    await page.press("0");
    assertEquals(await page.evaluate(range), whole);
    await page.press("Escape");
    assertStringIncludes(await detail(page), "arrow keys");
    assertEquals(page.complaints, []);
  },
});

Deno.test({
  name: `the table of a report sorts by keyboard${suffix}`,
  ignore,
  async fn() {
    using dir = new TempDir();
    await using page = await openPage(dir, SCENE);
    await page.evaluate(
      'document.querySelectorAll("#locks th button")[0].focus()',
    );
    const first = '[...document.querySelectorAll("#locks tbody tr")]' +
      ".map((row) => row.cells[0].textContent)[0]";
    await page.press("Enter");
    assertEquals(await page.evaluate(first), "/lock");
    await page.press("Enter");
    assertStringIncludes(await page.evaluate(first), "img");
    assertEquals(page.complaints, []);
  },
});

/** A canvas that is drawn on has pixels of the bars' colour. */
const COUNT_BARS = `new Promise((resolve) => requestAnimationFrame(() =>
  requestAnimationFrame(() => {
    const { width, height } = canvas;
    const { data } = pen.getImageData(0, 0, width, height);
    let found = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 1] > data[at] + 40 && data[at + 1] > data[at + 2] + 20) found++;
    }
    resolve(found);
  })))`;

for (const dark of [false, true]) {
  for (const width of [1200, 360]) {
    const look = `${dark ? "dark" : "light"}, ${width} pixels wide`;
    Deno.test({
      name: `a page of 10 events is legible: ${look}${suffix}`,
      ignore,
      async fn() {
        using dir = new TempDir();
        await using page = await openPage(dir, SCENE, { width, dark });
        assert(await page.evaluate<number>(COUNT_BARS) > 500);
        // Nothing sticks out at the side.
        const overhang = "document.documentElement.scrollWidth - innerWidth";
        assert(await page.evaluate<number>(overhang) <= 0);
        const [ink, ground] = await page.evaluate<[string, string]>(
          "[getComputedStyle(document.body).color, " +
            "getComputedStyle(document.body).backgroundColor]",
        );
        const light = (color: string) =>
          color.match(/\d+/g)!.slice(0, 3).map(Number)
            .reduce((sum, part) => sum + part);
        assertEquals(light(ink) > light(ground), dark);
        assertEquals(page.complaints, []);
      },
    });
  }
}

Deno.test({
  name: `a page of 100,000 events can be gone through${suffix}`,
  ignore,
  async fn() {
    using dir = new TempDir();
    const activities: LockActivity[] = [];
    for (let n = 0; n < 50_000; n++) {
      const name = `/locks/${n % 40}`;
      const pid = 100 + n % 64;
      activities.push(activity(1000 + n, "acquired", pid, name));
      activities.push(
        activity(1000 + n + 0.5, "released", pid, name, { heldMs: 0.5 }),
      );
    }
    await using page = await openPage(dir, activities);
    assertEquals(await page.evaluate("total"), 50_000);
    assert(await page.evaluate<number>(COUNT_BARS) > 10_000);
    await reachTimeline(page);
    await page.press("ArrowRight");
    await page.press("End");
    assertStringIncludes(await detail(page), "Held for 500 µs");
    const size = await page.evaluate<number>("until - from");
    await page.press("Enter");
    assert(await page.evaluate<number>("until - from") < size / 1000);
    await page.press("ArrowDown", 39);
    await page.press("ArrowUp");
    assertStringIncludes(await detail(page), "/locks/");
    assertEquals(page.complaints, []);
  },
});
