/**
 * What the page does: shows the rows that match, sorted. It writes text and
 * never markup, so that no file name can become part of the page.
 */
export const PAGE_SCRIPT = `
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const body = document.querySelector("tbody");
const search = document.getElementById("search");
const state = document.getElementById("state");
const type = document.getElementById("type");
const count = document.getElementById("count");
const empty = document.getElementById("empty");
const heads = [...document.querySelectorAll("th")];
const MOST = 500;
const CLASSES = ["short", "path", "short", "short", "short", "who", "who", "short", "short"];
const haystacks = data.rows.map((row) => row.join(" \\u0000").toLowerCase());
let sortBy = -1, down = false;
for (const name of data.types) type.append(new Option(name, name));
function show() {
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let found = data.rows.map((_, index) => index).filter((index) => {
    const row = data.rows[index];
    return words.every((word) => haystacks[index].includes(word)) &&
      (state.value === "" || row[0] === state.value) &&
      (type.value === "" || row[2] === type.value);
  });
  if (sortBy >= 0) {
    const order = new Intl.Collator(undefined, { numeric: true });
    found.sort((a, b) => order.compare(data.rows[a][sortBy], data.rows[b][sortBy]));
    if (down) found.reverse();
  }
  body.replaceChildren(...found.slice(0, MOST).map((index) => {
    const line = document.createElement("tr");
    data.rows[index].forEach((text, column) => {
      const cell = line.insertCell();
      cell.className = CLASSES[column];
      if (column === 0) {
        const badge = document.createElement("span");
        badge.className = "state " + text;
        badge.textContent = text;
        cell.append(badge);
      } else cell.textContent = text;
    });
    return line;
  }));
  const shown = Math.min(found.length, MOST);
  count.textContent = shown < found.length
    ? shown + " of " + found.length + " shown: narrow the search"
    : found.length + " of " + data.rows.length;
  empty.hidden = found.length > 0;
}
heads.forEach((head, column) => head.firstElementChild.onclick = () => {
  down = sortBy === column && !down;
  sortBy = column;
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  show();
});
for (const control of [search, state, type]) control.addEventListener("input", show);
show();
`;
