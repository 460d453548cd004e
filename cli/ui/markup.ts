/**
 * Text in pages for a browser.
 *
 * @module
 */

import { printable } from "../../lib/proc/printable.ts";

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
