/**
 * One page to explore the locks in a browser: no network, no other file.
 *
 * @module
 */

import type { Deadlock } from "../../../../lib/inspect/deadlock.ts";
import type { LockTable } from "../../../../lib/inspect/lock_table.ts";
import {
  type WaitGraph,
  waitGraph,
} from "../../../../lib/inspect/wait_graph.ts";
import { printable } from "../../../../lib/proc/printable.ts";
import { formatDuration } from "../../../args/duration.ts";
import {
  embedJson,
  escapeHtml,
  pageStart,
  writePage,
} from "../../../ui/markup.ts";
import { truncate } from "../../../ui/terminal.ts";
import { describePath } from "../column.ts";
import {
  layOut,
  NODE_HEIGHT,
  NODE_WIDTH,
  type PlacedEdge,
} from "./graph_layout.ts";
import { PAGE_SCRIPT } from "./script.ts";
import { PAGE_STYLE } from "./style.ts";
import { isWaiting, type Row, toRows } from "../row.ts";
import { describeEdge, describeNode } from "../wait_text.ts";

/** Writes the page to a file, or to stdout for `-`. */
export function writeLocksPage(
  file: string,
  table: LockTable,
  deadlocks: readonly Deadlock[],
): void {
  writePage(file, (host) => renderPage(table, deadlocks, host));
}

/** More boxes than this can't be taken in; the table has them all. */
const MAX_DRAWN = 200;

/** The whole page. */
export function renderPage(
  table: LockTable,
  deadlocks: readonly Deadlock[],
  host: string,
): string {
  const graph = waitGraph(table);
  const readAt = new Date(table.readAtMs).toISOString().replace("T", " ")
    .replace(/\.\d+Z$/, " UTC");
  return `${
    pageStart(`Locks on ${host}`, PAGE_STYLE)
  }<header><h1>File locks on ${
    escapeHtml(host)
  }</h1><p>as of ${readAt}</p></header>
${renderFigures(table, deadlocks)}
${deadlocks.map(renderDeadlock).join("")}
${renderGraph(graph, deadlocks)}
${TABLE}
</main>
<script type="application/json" id="data">${embedded(table, deadlocks)}</script>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`;
}

const COLUMN_NAMES = [
  "State",
  "File",
  "Type",
  "Mode",
  "Bytes",
  "Process",
  "Waits for / held by",
  "Process age",
  "Device:inode",
];

const TABLE = `<section>
<h2>All locks</h2>
<div class="tools">
<input id="search" type="search" placeholder="Search path, process, user, pid…" aria-label="Search">
<select id="state" aria-label="State"><option value="">any state</option><option>held</option><option>waiting</option><option>deadlocked</option></select>
<select id="type" aria-label="Type"><option value="">any type</option></select>
<output id="count"></output>
</div>
<div class="scroll"><table>
<thead><tr>${
  COLUMN_NAMES.map((name) =>
    `<th scope="col"><button type="button">${name}</button></th>`
  ).join("")
}</tr></thead>
<tbody></tbody>
</table></div>
<p class="empty" id="empty" hidden>No lock matches.</p>
<noscript><p class="empty">The table needs JavaScript, which is part of this page.</p></noscript>
</section>`;

function renderFigures(
  table: LockTable,
  deadlocks: readonly Deadlock[],
): string {
  const figures: [count: number, name: string, alarm: string][] = [
    [table.locks.length, "locks held", ""],
    [table.waiters.length, "waiting", "warn"],
    [deadlocks.length, "deadlocks", "bad"],
    [new Set(table.locks.map(({ file }) => file)).size, "files", ""],
    [table.unreadablePids.length, "processes not readable", "warn"],
  ];
  return `<div class="figures">${
    figures.map(([count, name, alarm]) =>
      `<div class="${count > 0 ? alarm : ""}"><b>${count}</b>` +
      `<span>${name}</span></div>`
    ).join("")
  }</div>`;
}

function renderDeadlock({ certain, ring, files }: Deadlock): string {
  const steps = ring.map((edge) =>
    `<li><b>${escapeHtml(describeNode(edge.from))}</b> waits for ` +
    `${escapeHtml(describeEdge(edge))}, ` +
    `${edge.reason === "lock" ? "held by" : "namely"} ` +
    `<b>${escapeHtml(describeNode(edge.to))}</b><br><small>${
      escapeHtml(edge.from.process?.command ?? "")
    }</small></li>`
  );
  const names = files.map((file) =>
    describePath(file) ?? `inode ${file.inode}`
  );
  return `<section class="deadlock">
<h2>${certain ? "Deadlock" : "Possible deadlock"}: ${ring.length} in a ring</h2>
<ol>${steps.join("")}</ol>
<p>Files: ${
    escapeHtml(names.join(", "))
  }. To resolve it, end one of the processes.</p>
</section>`;
}

function renderGraph(
  graph: WaitGraph,
  deadlocks: readonly Deadlock[],
): string {
  if (graph.edges.length === 0) return "";
  if (graph.nodes.length > MAX_DRAWN) {
    return `<section><h2>Who waits for whom</h2><p class="empty">${graph.nodes.length} processes are too many to draw; see the table.</p></section>`;
  }
  const stuck = new Set(
    deadlocks.flatMap(({ edges }) =>
      edges.map(({ from, to }) => `${from.name} ${to.name}`)
    ),
  );
  const stuckNodes = new Set(
    deadlocks.flatMap(({ processes }) => processes.map(({ name }) => name)),
  );
  const { width, height, nodes, edges } = layOut(graph);
  const boxes = nodes.map(({ node, x, y }) =>
    `<g class="${stuckNodes.has(node.name) ? "dead" : ""}">` +
    `<title>${escapeHtml(node.process?.command ?? node.name)}</title>` +
    `<rect class="box" x="${x}" y="${y}" width="${NODE_WIDTH}" height="${NODE_HEIGHT}" rx="9"/>` +
    `<text x="${x + 12}" y="${y + 21}" font-weight="600">${
      escapeHtml(truncate(describeNode(node), 27))
    }</text>` +
    `<text class="small" x="${x + 12}" y="${y + 38}">${
      escapeHtml(truncate(node.process?.command ?? "", 31))
    }</text></g>`
  );
  const lines = edges.map((placed) => renderEdge(placed, stuck));
  return `<section>
<h2>Who waits for whom</h2>
<div class="graph"><svg role="img" aria-label="Wait graph" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<defs>${marker("arrow", "")}${marker("arrow-dead", "dead")}</defs>
${lines.map(({ line }) => line).join("\n")}
${boxes.join("\n")}
${lines.map(({ label }) => label).join("\n")}
</svg></div>
</section>`;
}

function marker(id: string, style: string): string {
  return `<marker id="${id}" class="${style}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L10 5L0 10z"/></marker>`;
}

function renderEdge(
  { edges, path, labelX, labelY }: PlacedEdge,
  stuck: ReadonlySet<string>,
): { line: string; label: string } {
  const [first] = edges;
  const { from, to, reason, waiter } = first!;
  const dead = stuck.has(`${from.name} ${to.name}`) ? "dead" : "";
  const name = reason === "child"
    ? "child"
    : fileName(describePath(waiter.file) ?? `inode ${waiter.file.inode}`);
  const more = edges.length > 1 ? ` +${edges.length - 1}` : "";
  const title = edges.map(describeEdge).join("\n");
  return {
    line: `<path class="edge ${dead} ${
      reason === "child" ? "child" : ""
    }" d="${path}" marker-end="url(#arrow${dead && "-dead"})"/>`,
    label: `<text class="label ${dead}" x="${labelX}" y="${labelY}"><title>${
      escapeHtml(title)
    }</title>${escapeHtml(truncate(name, 24) + more)}</text>`,
  };
}

function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1) || path;
}

/** The rows for the page's script. */
function embedded(table: LockTable, deadlocks: readonly Deadlock[]): string {
  const deadlocked = new Set(
    deadlocks.flatMap(({ edges }) => edges.map(({ waiter }) => waiter)),
  );
  const rows = toRows(table, deadlocked).map((row) =>
    cells(row, table.readAtMs)
  );
  const types = [...new Set(rows.map(([, , type]) => type))].sort();
  return embedJson({ types, rows });
}

function cells(row: Row, nowMs: number): string[] {
  const { entry, process, holders, blockers, deadlocked } = row;
  const { file, type, mode, startByte, endByte } = entry;
  const waiting = isWaiting(row);
  const others = waiting
    ? blockers.flatMap(({ holders }) => holders)
    : holders.filter((holder) => holder.process !== process);
  const names = others.map(({ process }) =>
    process === undefined ? "unknown" : `${process.pid} ${process.name ?? ""}`
  );
  const user = process?.user === undefined ? "" : ` (${process.user})`;
  return [
    waiting ? deadlocked ? "deadlocked" : "waiting" : "held",
    describePath(file) ?? "",
    type,
    mode,
    startByte === 0n && endByte === undefined
      ? "all"
      : `${startByte}–${endByte ?? "EOF"}`,
    process === undefined
      ? "unknown"
      : `${process.pid} ${process.command}${user}`,
    [...new Set(names)].join(", "),
    process?.startTimeMs === undefined
      ? ""
      : formatDuration(Math.max(0, nowMs - process.startTimeMs)),
    file.major === undefined ? "" : `${file.major}:${file.minor}:${file.inode}`,
  ].map(printable);
}
