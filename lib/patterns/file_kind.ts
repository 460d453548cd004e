/**
 * The kinds of file that holdfast makes, told apart by name and content.
 *
 * @module
 */

import { isLinkOwnerText } from "../lock/link/owner.ts";
import { DEBOUNCE_KIND, isIntervalOver } from "./debounce.ts";
import { parseState } from "./state_file.ts";
import { QUEUE_KIND } from "./turnstile.ts";

/**
 * What a file is to one who cleans up: `empty`, as lock files are; a `queue`,
 * which is worth nothing when nobody stands in it; `state` that says when
 * something ran last and counts still, or doesn't (`old-state`); a `link-lock`
 * or a private file of one; a `temporary` file that was to take another's name;
 * a `copy` of what a half-written file held before; or `content`, which may be
 * anything.
 */
export type FileKind =
  | "empty"
  | "queue"
  | "state"
  | "old-state"
  | "link-lock"
  | "temporary"
  | "copy"
  | "content";

const LOCK = /\.lock(\.queue)?$/;
const TEMPORARY = /^\.holdfast\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** A record on its way to becoming a link lock, or away from it. */
const LINK_LOCK_PART = /^\..*\.[0-9a-f]{32}\.(new|old|claim-\d+)$/;
const COPY = /^\..*\.holdfast-old\.\d+$/s;
const SLOT = /^(slot\.(0|[1-9]\d{0,3})|queue)$/;

/**
 * Whether a name is one that holdfast gives to files which may be removed when
 * nobody holds them.
 *
 * @param directory The directory's own name: some names mean something only
 * among slots.
 */
export function isCollectable(name: string, directory: string): boolean {
  return LOCK.test(name) || TEMPORARY.test(name) ||
    directory.endsWith(".slots") && SLOT.test(name);
}

/**
 * What kind of file it is.
 *
 * @param head Its first bytes as text.
 * @param nowMs The present time, in milliseconds since 1970.
 */
export function fileKind(name: string, head: string, nowMs: number): FileKind {
  if (LINK_LOCK_PART.test(name) || isLinkOwnerText(head)) return "link-lock";
  if (TEMPORARY.test(name)) return "temporary";
  if (COPY.test(name)) return "copy";
  if (head === "") return "empty";
  const state = parseState(head);
  switch (state?.kind) {
    case undefined:
      return "content";
    case QUEUE_KIND:
      return "queue";
    case DEBOUNCE_KIND:
      return isIntervalOver(state.text, nowMs) ? "old-state" : "state";
    default:
      // Of a later version.
      return "state";
  }
}
