/**
 * What the page of a report does: draws the timeline on a canvas, and lets
 * every bar be reached by mouse and by keyboard. It writes text and never
 * markup, so that no file name can become part of the page.
 */
export const PAGE_SCRIPT = `
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const view = $("view"), canvas = $("canvas"), spacer = $("spacer");
const detail = $("detail"), search = $("search"), count = $("count");
const pen = canvas.getContext("2d");
const HOLD = 0, WAIT = 1, VAIN = 2, FIELDS = 6;
const AXIS = 22, HOLD_HEIGHT = 13, WAIT_HEIGHT = 6, GAP = 9, MAX_ROWS = 8;
const { lanes, processes, bars } = data;
const total = bars.length / FIELDS;
const lane = (i) => bars[i * FIELDS], kind = (i) => bars[i * FIELDS + 1];
const start = (i) => bars[i * FIELDS + 2], length = (i) => bars[i * FIELDS + 3];
const end = (i) => start(i) + length(i);
const who = (i) => bars[i * FIELDS + 4], shared = (i) => bars[i * FIELDS + 5];
const whole = Math.max(1, data.lengthUs);

/* Waits of one lock are put below each other, as many as there is room for. */
const rows = new Uint8Array(total);
for (const each of lanes) Object.assign(each, { bars: [], waitRows: 0, longest: 0 });
{
  const free = lanes.map(() => []);
  for (let i = 0; i < total; i++) {
    const own = lanes[lane(i)], ends = free[lane(i)];
    own.bars.push(i);
    own.longest = Math.max(own.longest, length(i));
    if (kind(i) === HOLD) continue;
    let row = ends.findIndex((until) => until <= start(i));
    if (row < 0) row = Math.min(ends.length, MAX_ROWS - 1);
    ends[row] = Math.max(ends[row] ?? 0, end(i));
    rows[i] = row + 1;
    own.waitRows = Math.max(own.waitRows, row + 1);
  }
}

let shown = [], from = 0, until = whole, selected = -1, hovered = -1;
let width = 0, height = 0, labelWidth = 0, labelHeight = 0, queued = false;
let colors = {};

function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "soft", "line", "card", "hold", "hold-shared", "wait-bar", "vain", "accent", "stripe"]) {
    colors[name] = style.getPropertyValue("--" + name).trim();
  }
}

function layOut() {
  width = view.clientWidth;
  const narrow = width < 640;
  labelWidth = narrow ? 0 : Math.min(320, Math.round(width * 0.28));
  labelHeight = narrow ? 16 : 0;
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  shown = lanes.filter((each) =>
    words.every((word) => (each.name + " " + each.type).toLowerCase().includes(word)));
  let top = AXIS;
  for (const each of shown) {
    each.top = top;
    each.height = labelHeight + HOLD_HEIGHT + each.waitRows * WAIT_HEIGHT + GAP;
    top += each.height;
  }
  const most = Math.max(160, Math.round(innerHeight * 0.55));
  height = Math.min(most, top + 4);
  view.style.height = height + "px";
  spacer.style.height = Math.max(0, top + 4 - height) + "px";
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = width + "px";
  canvas.style.height = height + "px";
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  count.textContent = shown.length === data.allLanes
    ? shown.length + (shown.length === 1 ? " lock" : " locks")
    : shown.length + " of " + data.allLanes + " locks";
  redraw();
}

const xOf = (time) => labelWidth + (time - from) / (until - from) * (width - labelWidth);
const timeOf = (x) => from + (x - labelWidth) / (width - labelWidth) * (until - from);

function boxOf(i) {
  const own = lanes[lane(i)];
  const y = own.top - view.scrollTop + labelHeight;
  return kind(i) === HOLD
    ? { y, h: HOLD_HEIGHT }
    : { y: y + HOLD_HEIGHT + 1 + (rows[i] - 1) * WAIT_HEIGHT, h: WAIT_HEIGHT - 1 };
}

function redraw() {
  if (queued) return;
  queued = true;
  requestAnimationFrame(() => { queued = false; draw(); });
}

/* The first bar of a lane that can reach into the view. */
function firstOf({ bars: own, longest }, time) {
  let low = 0, high = own.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (start(own[middle]) < time - longest) low = middle + 1;
    else high = middle;
  }
  return low;
}

function draw() {
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  pen.textBaseline = "middle";
  const top = view.scrollTop;
  shown.forEach((each, place) => {
    const y = each.top - top;
    if (y > height || y + each.height < AXIS) return;
    if (place % 2) {
      pen.fillStyle = colors.stripe;
      pen.fillRect(0, y - GAP / 2, width, each.height);
    }
    drawBars(each);
    pen.fillStyle = colors.ink;
    const room = labelWidth === 0 ? width - 8 : labelWidth - 14;
    pen.fillText(cut(each.name, room), 6, labelWidth === 0 ? y + 6 : y + HOLD_HEIGHT / 2);
  });
  drawLinks();
  drawAxis();
}

const paints = () => [colors.hold, colors["wait-bar"], colors.vain];

function drawBars(each) {
  const paint = paints();
  const right = new Float64Array((MAX_ROWS + 1) * 3).fill(-1);
  for (let at = firstOf(each, from); at < each.bars.length; at++) {
    const i = each.bars[at];
    if (start(i) > until) break;
    if (end(i) < from) continue;
    const x = Math.max(labelWidth, xOf(start(i)));
    const w = Math.max(1, Math.min(width, xOf(end(i))) - x);
    /* A hundred thousand bars make no more strokes than there are pixels. */
    const slot = rows[i] * 3 + kind(i);
    if (x + w <= right[slot]) continue;
    const left = Math.max(x, right[slot]);
    right[slot] = x + w;
    const { y, h } = boxOf(i);
    pen.fillStyle = kind(i) === HOLD && shared(i) ? colors["hold-shared"] : paint[kind(i)];
    pen.fillRect(left, y, x + w - left, h);
  }
}

/* Who was in the way of a wait; or whom a hold made wait. */
function related(i) {
  const isWait = kind(i) !== HOLD;
  const own = lanes[lane(i)], found = [];
  for (let at = firstOf(own, start(i)); at < own.bars.length && found.length < 200; at++) {
    const other = own.bars[at];
    if (start(other) >= end(i)) break;
    if (end(other) <= start(i) || who(other) === who(i)) continue;
    if ((kind(other) === HOLD) !== isWait || shared(i) && shared(other)) continue;
    found.push(other);
  }
  return found;
}

function drawLinks() {
  const focus = hovered >= 0 ? hovered : selected;
  if (focus < 0 || !shown.includes(lanes[lane(focus)])) return;
  for (const other of related(focus)) outline(other, colors.ink, 1);
  outline(focus, colors.accent, 2);
}

function outline(i, color, line) {
  const { y, h } = boxOf(i);
  const x = Math.max(labelWidth, xOf(start(i)) - 1);
  const w = Math.min(width, xOf(end(i)) + 1) - x;
  if (w < 0) return;
  pen.strokeStyle = color;
  pen.lineWidth = line;
  pen.strokeRect(x, y - 1, Math.max(3, w), h + 2);
}

function drawAxis() {
  pen.fillStyle = colors.card;
  pen.fillRect(0, 0, width, AXIS - 2);
  pen.fillStyle = colors.soft;
  pen.strokeStyle = colors.line;
  pen.lineWidth = 1;
  const wanted = Math.max(2, Math.floor((width - labelWidth) / 110));
  const step = niceStep((until - from) / wanted);
  for (let time = Math.ceil(from / step) * step; time <= until; time += step) {
    const x = Math.round(xOf(time)) + 0.5;
    pen.beginPath();
    pen.moveTo(x, AXIS - 5);
    pen.lineTo(x, height);
    pen.stroke();
    pen.fillText("+" + span(time, step), x + 4, AXIS / 2 - 2);
  }
}

function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least);
}

function cut(text, room) {
  if (pen.measureText(text).width <= room) return text;
  let low = 0, high = text.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (pen.measureText("…" + text.slice(middle)).width <= room) high = middle;
    else low = middle + 1;
  }
  return "…" + text.slice(low);
}

/* Microseconds for people. */
function span(us, step = us / 100) {
  const [unit, name] = us >= 1e6 ? [1e6, " s"] : us >= 1e3 ? [1e3, " ms"] : [1, " µs"];
  const digits = Math.min(6, Math.max(0, Math.ceil(-Math.log10(Math.max(step, 1) / unit))));
  return (us / unit).toFixed(digits) + name;
}

const clock = (us) => new Date(data.fromMs + us / 1000).toISOString().slice(11, 23);

function describe(i) {
  const [pid, command] = processes[who(i)];
  const others = related(i).map((other) => processes[who(other)])
    .map(([pid, command]) => "pid " + pid + " " + command);
  const names = [...new Set(others)];
  const list = names.slice(0, 3).join("; ") + (names.length > 3 ? "; and " + (names.length - 3) + " more" : "");
  const own = lanes[lane(i)];
  const said = ["Held for ", "Waited ", "Waited in vain "][kind(i)] + span(length(i));
  const links = kind(i) === HOLD
    ? names.length ? "Made wait: " + list + "." : "Nobody waited."
    : names.length ? "Behind: " + list + "." : "";
  return said + (shared(i) ? " (shared)" : "") + ", " + own.type + " " + own.name +
    ", by pid " + pid + " " + command + ", from " + clock(start(i)) + " UTC. " + links;
}

function tell() {
  const focus = hovered >= 0 ? hovered : selected;
  detail.textContent = focus >= 0 ? describe(focus)
    : total === 0 ? "Nothing was held or waited for." : "Point at a bar, or move to one with the arrow keys.";
  redraw();
}

function select(i) {
  if (i === undefined || i < 0) return;
  selected = i;
  hovered = -1;
  const own = lanes[lane(i)];
  if (own.top - AXIS < view.scrollTop) view.scrollTop = own.top - AXIS;
  else if (own.top + own.height > view.scrollTop + height) {
    view.scrollTop = own.top + own.height - height;
  }
  const size = until - from;
  if (end(i) < from || start(i) > until) {
    const middle = start(i) + Math.min(length(i), size) / 2;
    move(middle - size / 2, middle + size / 2);
  }
  tell();
}

function move(a, b) {
  const size = Math.min(whole, Math.max(2, b - a));
  from = Math.min(Math.max(0, a), whole - size);
  until = from + size;
  redraw();
}

function zoom(factor, around) {
  const middle = around ?? (selected >= 0 && start(selected) <= until && end(selected) >= from
    ? Math.min(until, Math.max(from, start(selected) + length(selected) / 2))
    : (from + until) / 2);
  move(middle - (middle - from) * factor, middle + (until - middle) * factor);
}

const withBars = () => shown.filter((each) => each.bars.length > 0);

/* The bar of a lane that is nearest in time. */
function nearest(own, time) {
  let best = own.bars[0];
  for (const i of own.bars) {
    if (Math.abs(start(i) - time) < Math.abs(start(best) - time)) best = i;
    if (start(i) > time) break;
  }
  return best;
}

function step(lanesOn, barsOn) {
  const there = withBars();
  if (there.length === 0) return;
  const own = selected >= 0 ? there.indexOf(lanes[lane(selected)]) : -1;
  if (own < 0) return select(nearest(there[0], from));
  if (lanesOn !== 0) {
    const next = there[own + lanesOn];
    if (next) select(nearest(next, start(selected)));
    return;
  }
  const list = there[own].bars;
  select(list[Math.min(list.length - 1, Math.max(0, list.indexOf(selected) + barsOn))]);
}

const KEYS = {
  ArrowLeft: () => step(0, -1), ArrowRight: () => step(0, 1),
  ArrowUp: () => step(-1, 0), ArrowDown: () => step(1, 0),
  PageUp: () => step(0, -100), PageDown: () => step(0, 100),
  Home: () => step(0, -total), End: () => step(0, total),
  "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2),
  "0": () => move(0, whole),
  a: () => move(from - (until - from) / 4, until - (until - from) / 4),
  d: () => move(from + (until - from) / 4, until + (until - from) / 4),
  b: () => selected >= 0 && select(related(selected)[0]),
  Enter: () => selected >= 0 &&
    move(start(selected) - length(selected), end(selected) + length(selected)),
  Escape: () => { selected = -1; tell(); },
};
view.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const action = KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

function barAt(x, y) {
  if (x < labelWidth || y < AXIS) return -1;
  const own = shown.find(({ top, height }) =>
    y + view.scrollTop >= top - GAP / 2 && y + view.scrollTop < top + height - GAP / 2);
  if (!own) return -1;
  let best = -1, far = 6;
  for (let at = firstOf(own, timeOf(x - 6)); at < own.bars.length; at++) {
    const i = own.bars[at];
    if (xOf(start(i)) > x + 6) break;
    const { y: top, h } = boxOf(i);
    const off = Math.max(xOf(start(i)) - x, x - xOf(end(i)), 0) +
      Math.max(top - y, y - top - h, 0);
    if (off <= far) { far = off; best = i; }
  }
  return best;
}

let dragged;
const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
view.addEventListener("pointerdown", (event) => {
  dragged = { x: event.clientX, from, until, moved: false };
});
view.addEventListener("pointermove", (event) => {
  if (dragged && event.buttons) {
    const by = (event.clientX - dragged.x) / (width - labelWidth) * (dragged.until - dragged.from);
    if (Math.abs(event.clientX - dragged.x) > 4) dragged.moved = true;
    if (dragged.moved) return move(dragged.from - by, dragged.until - by);
  }
  const i = barAt(...place(event));
  if (i === hovered) return;
  hovered = i;
  tell();
});
view.addEventListener("pointerup", (event) => {
  if (dragged && !dragged.moved) select(barAt(...place(event)));
  dragged = undefined;
});
view.addEventListener("pointerleave", () => { hovered = -1; tell(); });
view.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.shiftKey) return;
  event.preventDefault();
  zoom((event.deltaY || event.deltaX) > 0 ? 1.25 : 0.8, timeOf(place(event)[0]));
}, { passive: false });
view.addEventListener("scroll", redraw);
$("in").onclick = () => zoom(0.5);
$("out").onclick = () => zoom(2);
$("all").onclick = () => move(0, whole);
search.addEventListener("input", layOut);
addEventListener("resize", layOut);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColors(); redraw(); });
readColors();
layOut();
tell();

for (const head of document.querySelectorAll("#locks th")) {
  head.firstElementChild.onclick = () => {
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = document.querySelector("#locks tbody");
    const order = new Intl.Collator(undefined, { numeric: true });
    const key = (row) => row.cells[head.cellIndex].dataset.key ?? row.cells[head.cellIndex].textContent;
    body.append(...[...body.rows].sort((a, b) => order.compare(key(a), key(b)) * (down ? -1 : 1)));
  };
}
`;
