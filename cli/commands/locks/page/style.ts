/** The page's style sheet: light and dark as the reader's system is. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --ink: #1b1f24; --soft: #5c6670;
  --line: #dfe3e8; --accent: #0b62c4; --hover: #f0f4fa;
  --held: #1a7f37; --held-bg: #e3f5e8; --wait: #8a5a00; --wait-bg: #fdf1d8;
  --dead: #b3201b; --dead-bg: #fde8e7; --box: #f9fafb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e1116; --card: #161b22; --ink: #e6eaef; --soft: #95a0ad;
    --line: #2b323b; --accent: #6cb0ff; --hover: #1c2430;
    --held: #5fd17f; --held-bg: #12301c; --wait: #f0b849; --wait-bg: #35280c;
    --dead: #ff8f88; --dead-bg: #3d1716; --box: #1b212a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 14px/1.45 system-ui, "DejaVu Sans", sans-serif;
}
main { max-width: 1500px; margin: 0 auto; padding: 24px 24px 60px; }
header h1 { margin: 0; font-size: 22px; letter-spacing: -.01em; }
header p { margin: 2px 0 18px; color: var(--soft); }
.figures { display: flex; flex-wrap: wrap; gap: 10px; margin: 0 0 18px; }
.figures div {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 9px 16px; min-width: 104px;
}
.figures b { display: block; font-size: 20px; font-variant-numeric: tabular-nums; }
.figures span { color: var(--soft); font-size: 12px; }
.figures .bad b { color: var(--dead); }
.figures .warn b { color: var(--wait); }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  margin: 0 0 18px; overflow: hidden;
}
section > h2 {
  margin: 0; padding: 13px 18px; font-size: 15px;
  border-bottom: 1px solid var(--line);
}
.deadlock { border-color: var(--dead); }
.deadlock > h2 { background: var(--dead-bg); color: var(--dead); border: 0; }
.deadlock ol, .deadlock p { margin: 12px 18px; }
.deadlock ol { padding-left: 22px; }
.graph { overflow: auto; padding: 6px; }
svg { display: block; font: 12px system-ui, "DejaVu Sans", sans-serif; }
svg .box { fill: var(--box); stroke: var(--line); stroke-width: 1.2; }
svg .dead .box { stroke: var(--dead); stroke-width: 1.8; fill: var(--dead-bg); }
svg text { fill: var(--ink); }
svg .small { fill: var(--soft); font-size: 11px; }
svg .edge { fill: none; stroke: var(--soft); stroke-width: 1.5; }
svg .edge.child { stroke-dasharray: 5 4; }
svg .edge.dead { stroke: var(--dead); stroke-width: 2.2; }
svg .label { text-anchor: middle; font-size: 11px; fill: var(--soft);
  paint-order: stroke; stroke: var(--card); stroke-width: 5px; }
svg .label.dead { fill: var(--dead); }
svg marker path { fill: var(--soft); }
svg marker.dead path { fill: var(--dead); }
.tools { display: flex; flex-wrap: wrap; gap: 10px; align-items: center;
  padding: 12px 18px; border-bottom: 1px solid var(--line); }
.tools input, .tools select {
  font: inherit; color: inherit; background: var(--page);
  border: 1px solid var(--line); border-radius: 8px; padding: 7px 11px;
}
.tools input { flex: 1 1 260px; }
.tools input:focus-visible, .tools select:focus-visible,
th button:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.tools output { color: var(--soft); font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
th button { all: unset; cursor: pointer; padding: 9px 12px; color: var(--soft);
  font-size: 12px; font-weight: 600; }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
td { padding: 7px 12px; border-top: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
tbody tr:first-child td { border-top: 0; }
tbody tr:hover { background: var(--hover); }
td.path { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 12.5px;
  min-width: 220px; }
td.who { min-width: 190px; }
td.short { white-space: nowrap; }
.state { display: inline-block; border-radius: 20px; padding: 1px 10px;
  font-size: 12px; font-weight: 600; }
.state.held { color: var(--held); background: var(--held-bg); }
.state.waiting { color: var(--wait); background: var(--wait-bg); }
.state.deadlocked { color: var(--dead); background: var(--dead-bg); }
.empty { padding: 22px 18px; color: var(--soft); margin: 0; }
`;
