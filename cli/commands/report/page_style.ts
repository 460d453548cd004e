import { PAGE_STYLE as COMMON_STYLE } from "../locks/page/style.ts";

/** The page's style sheet: that of `locks --html`, and a timeline. */
export const PAGE_STYLE = `${COMMON_STYLE}
:root {
  --hold: #2f9e50; --hold-shared: #7cc492; --vain: #d0342c; --stripe: #f3f5f8;
  --wait-bar: #e0a100;
}
@media (prefers-color-scheme: dark) {
  :root {
    --hold: #3fb763; --hold-shared: #2b7041; --vain: #ff6b63; --stripe: #1a2028;
    --wait-bar: #f0b849;
  }
}
#view { position: relative; overflow-x: hidden; overflow-y: auto; cursor: crosshair;
  touch-action: pan-y; }
#view:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
#canvas { position: sticky; top: 0; display: block; }
.tools button { font: inherit; color: inherit; background: var(--page);
  border: 1px solid var(--line); border-radius: 8px; padding: 7px 13px; cursor: pointer; }
.tools button:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.tools button:hover { background: var(--hover); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; padding: 10px 18px;
  color: var(--soft); font-size: 12.5px; border-top: 1px solid var(--line); }
.legend i { display: inline-block; width: 14px; height: 9px; border-radius: 2px;
  margin-right: 6px; }
kbd { font: 11px ui-monospace, "DejaVu Sans Mono", monospace; background: var(--page);
  border: 1px solid var(--line); border-radius: 4px; padding: 0 4px; }
#detail { display: block; padding: 11px 18px; height: 5.8em; overflow: auto;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
td.number { text-align: right; white-space: nowrap; }
section > ol, section > ul { margin: 12px 18px; padding-left: 22px; }
section li { margin: 3px 0; overflow-wrap: anywhere; }
section h3 { margin: 14px 18px 0; font-size: 13px; font-family: ui-monospace,
  "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.note { padding: 0 18px 12px; margin: 0; color: var(--soft); font-size: 12.5px; }
@media (max-width: 640px) {
  main { padding: 14px 10px 40px; }
  #detail { height: 9.6em; }
  .tools input { flex-basis: 100%; }
  .figures div { flex: 1 1 28%; min-width: 84px; padding: 7px 10px; }
}
`;
