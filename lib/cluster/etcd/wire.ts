/**
 * etcd's API as its gateway speaks it: JSON in which bytes are base64, 64-bit
 * numbers are decimal strings, and what is zero or empty is left out.
 *
 * @module
 */

/** What each answer begins with. */
export interface Header {
  /** The store's revision when it was answered. */
  revision?: string;
  cluster_id?: string;
  member_id?: string;
}

/** One key. */
export interface KeyValue {
  key: string;
  value?: string;
  create_revision?: string;
  mod_revision?: string;
  /** The lease it ends with, in decimal. */
  lease?: string;
}

/** A look at one key or several, or their change. */
export type Operation =
  | { request_range: RangeRequest }
  | { request_put: { key: string; value: string; lease: string } }
  | { request_delete_range: { key: string; range_end?: string } };

/** Which keys to look at. */
export interface RangeRequest {
  key: string;
  range_end?: string;
  limit?: string;
  sort_order?: "ASCEND" | "DESCEND";
  sort_target?: "CREATE";
  max_create_revision?: string;
  keys_only?: boolean;
}

/** What a range has found. */
export interface RangeResponse {
  kvs?: KeyValue[];
  count?: string;
}

/** Operations that are done at once, if the comparisons hold. */
export interface TxnRequest {
  compare?: {
    target: "CREATE";
    key: string;
    range_end?: string;
    create_revision: string;
    result: "EQUAL";
  }[];
  success: Operation[];
  failure?: Operation[];
}

/** What they gave. */
export interface TxnResponse {
  header: Header;
  succeeded?: boolean;
  responses?: { response_range?: RangeResponse }[];
}

/** One line of a watch. */
export interface WatchLine {
  result?: {
    header?: Header;
    created?: boolean;
    canceled?: boolean;
    /** A deleted key's `mod_revision` is that of its end. */
    events?: { type?: "DELETE"; kv?: KeyValue }[];
  };
  error?: unknown;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A text in UTF-8 as base64. */
export function toBase64(text: string): string {
  return encoder.encode(text).toBase64();
}

/** The text of base64; what isn't UTF-8 in it becomes U+FFFD. */
export function fromBase64(base64: string | undefined): string {
  return decoder.decode(Uint8Array.fromBase64(base64 ?? ""));
}

/** The keys that begin with a text, as `key` and `range_end` in base64. */
export function prefixRange(prefix: string): {
  key: string;
  range_end: string;
} {
  const bytes = encoder.encode(prefix);
  const end = bytes.findLastIndex((byte) => byte < 0xff);
  if (end < 0) {
    // Key and end of a NUL each: all there are.
    return { key: "AA==", range_end: "AA==" };
  }
  const upTo = bytes.slice(0, end + 1);
  upTo[end]! += 1;
  return { key: bytes.toBase64(), range_end: upTo.toBase64() };
}

/** The ranges in an answer, in the order of their requests. */
export function rangesOf(response: TxnResponse): KeyValue[][] {
  return (response.responses ?? [])
    .filter((each) => each.response_range !== undefined)
    .map((each) => each.response_range?.kvs ?? []);
}

/** The store's revision when something was answered. */
export function revisionOf({ header }: { header?: Header }): bigint {
  return BigInt(header?.revision ?? 0);
}
