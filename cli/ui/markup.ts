/**
 * Text in pages for a browser.
 *
 * @module
 */

import { printable } from "../../lib/proc/printable.ts";
import { readTextIfAny } from "../../lib/sys/file.ts";
import { checkUtf8 } from "../args/utf8.ts";
import { writeOut } from "./output.ts";

/**
 * Writes a page to a file, or to stdout for `-`.
 *
 * @param render Makes it, given the name of this host.
 */
export function writePage(
  file: string,
  render: (host: string) => string,
): void {
  const host = readTextIfAny("/proc/sys/kernel/hostname")?.trim() ?? "";
  const page = render(host);
  if (file === "-") return writeOut(page);
  checkUtf8([file], "the file of a page");
  Deno.writeTextFileSync(file, page);
}

/** What a page begins with, up to the text itself. It may load nothing. */
export function pageStart(title: string, style: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text for markup, safe between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  return printable(text).replace(
    /[&<>"']/g,
    (character) => ENTITIES[character]!,
  );
}

/** A value for a page's script, in a form that can't end the element. */
export function embedJson(value: unknown): string {
  return JSON.stringify(value).replace(/</g, "\\u003c")
    .replace(/\u2028/g, "\\u2028").replace(/\u2029/g, "\\u2029");
}
