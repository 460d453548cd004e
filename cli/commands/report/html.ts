/**
 * A report as one page for a browser: no network, no other file.
 *
 * @module
 */

import { printable } from "../../../lib/proc/printable.ts";
import type { LockInversion } from "../../../lib/trace/report/lock_order.ts";
import type { LockReport } from "../../../lib/trace/report/lock_stats.ts";
import type { TraceReport } from "../../../lib/trace/report/report.ts";
import type { TimelineBar } from "../../../lib/trace/report/timeline.ts";
import { formatDuration } from "../../args/duration.ts";
import {
  embedJson,
  escapeHtml,
  pageStart,
  writePage,
} from "../../ui/markup.ts";
import { PAGE_SCRIPT } from "./page_script.ts";
import { PAGE_STYLE } from "./page_style.ts";
import { fileName, localTime } from "./text.ts";

/** What is drawn. */
export interface PageTimeline {
  /** The bars, by the numbers of their locks. */
  bars: readonly TimelineBar[];
  /** How many were left out. */
  dropped: number;
}

/** Locks that have a lane of their own; the others are in the table. */
const MAX_LANES = 500;
/** Rows of the table. */
const MAX_ROWS = 1000;
/** Locks whose culprits and convoys are listed. */
const MAX_DETAILS = 20;

/** Writes the page to a file, or to stdout for `-`. */
export function writeReportPage(
  file: string,
  report: TraceReport,
  timeline: PageTimeline,
): void {
  writePage(file, (host) => renderReportPage(report, timeline, host));
}

/** The whole page. */
export function renderReportPage(
  report: TraceReport,
  timeline: PageTimeline,
  host: string,
): string {
  const { fromMs = 0, untilMs = 0, locks } = report;
  return `${
    pageStart(`Locks on ${host} in time`, PAGE_STYLE)
  }<header><h1>File locks on ${escapeHtml(host)} in time</h1><p>${
    localTime(fromMs)
  } to ${localTime(untilMs)}, ${formatDuration(untilMs - fromMs)}</p></header>
${renderFigures(report)}
${renderInversions(report.inversions)}
${renderTimeline(timeline)}
${renderTable(locks)}
${renderLists(locks.slice(0, MAX_DETAILS))}
</main>
<script type="application/json" id="data">${
    embedJson(pageData(report, timeline))
  }</script>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`;
}

function renderFigures({ activities, locks, inversions, lost }: TraceReport) {
  const waits = locks.reduce((sum, { waits }) => sum + waits.count, 0);
  const waited = locks.reduce((sum, { waits }) => sum + waits.totalMs, 0);
  const figures: [figure: string | number, name: string, alarm: string][] = [
    [locks.length, "locks", ""],
    [activities, "events", ""],
    [waits, "waits", waits > 0 ? "warn" : ""],
    [formatDuration(waited), "waited", waits > 0 ? "warn" : ""],
    [inversions.length, "clashing orders", inversions.length > 0 ? "bad" : ""],
    [lost, "events lost", lost > 0 ? "bad" : ""],
  ];
  return `<div class="figures">${
    figures.map(([figure, name, alarm]) =>
      `<div class="${alarm}"><b>${figure}</b><span>${name}</span></div>`
    ).join("")
  }</div>`;
}

function renderInversions(inversions: readonly LockInversion[]): string {
  if (inversions.length === 0) return "";
  const rings = inversions.map(({ steps }) =>
    `<ol>${
      steps.map(({ process, held, wanted, atMs }) =>
        `<li><b>pid ${process.pid} ${escapeHtml(process.command)}</b> held ${
          escapeHtml(fileName(held.file))
        } and wanted ${escapeHtml(fileName(wanted.file))} <small>(${
          localTime(atMs)
        })</small></li>`
      ).join("")
    }</ol>`
  );
  return `<section class="deadlock"><h2>Locks taken in clashing orders: a deadlock that has not happened yet</h2>${
    rings.join("")
  }</section>`;
}

function renderTimeline({ dropped }: PageTimeline): string {
  const note = dropped === 0
    ? ""
    : `<p class="note">${dropped} bars, the shortest, are left out.</p>`;
  return `<section id="timeline">
<h2>Who held and who waited</h2>
<div class="tools">
<input id="search" type="search" placeholder="Search locks…" aria-label="Search locks">
<button id="out" type="button" aria-label="Zoom out">−</button>
<button id="in" type="button" aria-label="Zoom in">+</button>
<button id="all" type="button">All</button>
<output id="count"></output>
</div>
<output id="detail" aria-live="polite"></output>
<div id="view" tabindex="0" role="application" aria-label="Timeline" aria-describedby="keys"><canvas id="canvas" aria-hidden="true"></canvas><div id="spacer"></div></div>
${note}
<div class="legend" id="keys">
<span><i style="background:var(--hold)"></i>held</span>
<span><i style="background:var(--hold-shared)"></i>held, shared</span>
<span><i style="background:var(--wait-bar)"></i>waited</span>
<span><i style="background:var(--vain)"></i>waited in vain</span>
<span><kbd>←</kbd> <kbd>→</kbd> bar</span>
<span><kbd>↑</kbd> <kbd>↓</kbd> lock</span>
<span><kbd>b</kbd> who blocked it, or whom it blocked</span>
<span><kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> zoom</span>
<span><kbd>Enter</kbd> zoom to the bar</span>
<span><kbd>a</kbd> <kbd>d</kbd> pan</span>
<span><kbd>Ctrl</kbd>+wheel zoom, drag pan</span>
</div>
<noscript><p class="empty">The timeline needs JavaScript, which is part of this page.</p></noscript>
</section>`;
}

interface Column {
  name: string;
  /** What is shown, and what it sorts by. */
  cell: (lock: LockReport) => readonly [text: string, key?: number];
  style?: string;
}

const time = (ms: number) => [ms === 0 ? "" : formatDuration(ms), ms] as const;
const number = (value: number) =>
  [value === 0 ? "" : String(value), value] as const;

const COLUMNS: readonly Column[] = [
  { name: "Lock", cell: ({ file }) => [fileName(file)], style: "path" },
  { name: "Type", cell: ({ type }) => [type], style: "short" },
  { name: "Taken", cell: ({ taken }) => number(taken) },
  { name: "Refused", cell: ({ refused }) => number(refused) },
  { name: "Gave up", cell: ({ gaveUp }) => number(gaveUp) },
  { name: "Waits", cell: ({ waits }) => number(waits.count) },
  { name: "Waited", cell: ({ waits }) => time(waits.totalMs) },
  { name: "p50", cell: ({ waits }) => time(waits.p50Ms) },
  { name: "p95", cell: ({ waits }) => time(waits.p95Ms) },
  { name: "p99", cell: ({ waits }) => time(waits.p99Ms) },
  { name: "Longest wait", cell: ({ waits }) => time(waits.maxMs) },
  { name: "Held", cell: ({ holds }) => time(holds.totalMs) },
  { name: "Longest hold", cell: ({ holds }) => time(holds.maxMs) },
];

function renderTable(locks: readonly LockReport[]): string {
  const rows = locks.slice(0, MAX_ROWS).map((lock) =>
    `<tr>${
      COLUMNS.map(({ cell, style = "number" }) => {
        const [text, key] = cell(lock);
        const sort = key === undefined ? "" : ` data-key="${key}"`;
        return `<td class="${style}"${sort}>${escapeHtml(text)}</td>`;
      }).join("")
    }</tr>`
  );
  const more = locks.length - rows.length;
  return `<section><h2>Locks</h2>
<div class="scroll"><table id="locks">
<thead><tr>${
    COLUMNS.map(({ name }) =>
      `<th scope="col"><button type="button">${name}</button></th>`
    ).join("")
  }</tr></thead>
<tbody>${rows.join("\n")}</tbody>
</table></div>
${more > 0 ? `<p class="note">${more} more locks are left out.</p>` : ""}
</section>`;
}

function renderLists(locks: readonly LockReport[]): string {
  const blamed = locks.map(({ file, users }) => {
    const items = users.filter(({ blockedMs }) => blockedMs > 0)
      .map(({ command, pid, blockedMs, heldMs, taken }) =>
        `<li><b>${formatDuration(blockedMs)}</b> by ${
          escapeHtml(command)
        } (pid ${pid}), which held it for ${
          formatDuration(heldMs)
        } in ${taken} takings</li>`
      );
    return list(fileName(file), items);
  });
  const convoys = locks.map(({ file, convoys }) =>
    list(
      fileName(file),
      convoys.map(({ startMs, durationMs, turns, mostWaiters, startedBy }) =>
        `<li>${localTime(startMs)}: ${turns} turns in ${
          formatDuration(durationMs)
        }, up to ${mostWaiters} waiting${
          startedBy === undefined
            ? ""
            : `, begun behind pid ${startedBy.pid} ${
              escapeHtml(startedBy.command)
            }`
        }</li>`
      ),
    )
  );
  return section("Who made others wait", blamed) + section("Convoys", convoys);
}

function list(title: string, items: readonly string[]): string {
  if (items.length === 0) return "";
  return `<h3>${escapeHtml(title)}</h3><ul>${items.join("")}</ul>`;
}

function section(title: string, parts: readonly string[]): string {
  const text = parts.join("");
  return text === "" ? "" : `<section><h2>${title}</h2>${text}</section>`;
}

const KINDS = { hold: 0, wait: 1, vain: 2 } as const;

/** The bars as the page's script wants them: six numbers each. */
function pageData(report: TraceReport, { bars }: PageTimeline) {
  const { fromMs = 0, untilMs = 0, locks } = report;
  const processes: [pid: number, command: string][] = [];
  const places = new Map<string, number>();
  const numbers: number[] = [];
  for (const { lane, kind, startMs, endMs, shared, process } of bars) {
    if (lane >= MAX_LANES) continue;
    const { pid, command } = process;
    const key = `${pid} ${command}`;
    let place = places.get(key);
    if (place === undefined) {
      place = processes.length;
      places.set(key, place);
      processes.push([pid, printable(command)]);
    }
    const startUs = Math.max(0, Math.round((startMs - fromMs) * 1000));
    const lengthUs = Math.max(0, Math.round((endMs - startMs) * 1000));
    numbers.push(lane, KINDS[kind], startUs, lengthUs, place, shared ? 1 : 0);
  }
  return {
    fromMs,
    lengthUs: Math.max(1, Math.round((untilMs - fromMs) * 1000)),
    allLanes: locks.length,
    lanes: locks.slice(0, MAX_LANES)
      .map(({ file, type }) => ({ name: fileName(file), type })),
    processes,
    bars: numbers,
  };
}
