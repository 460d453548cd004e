/**
 * The record in a link lock: who holds it.
 *
 * @module
 */

import { isUtf8Path } from "../../proc/path_text.ts";
import { printable, quotePath } from "../../proc/printable.ts";
import { LockError } from "../../sys/error.ts";
import {
  judgeLiveness,
  type LivenessVerdict,
  type ProcessIdentity,
} from "../../sys/process/identity.ts";

/** Who holds a link lock. */
export interface LinkLockOwner extends ProcessIdentity {
  /** A random number, 32 hexadecimal digits, new with each taking. */
  token: string;
  /** Grows with each taking of this lock: a fencing counter. */
  fence: number;
  /** When it was taken, by the owner's clock, in milliseconds since 1970. */
  takenAtMs: number;
  /** What the owner had to say. */
  message: string | null;
  /** How long it lasts without a heartbeat, in milliseconds; `null`: for ever. */
  leaseMs: number | null;
}

/** What is at the path of a link lock isn't one. It is left alone. */
export class ForeignLinkLockError extends LockError {
  /** The name of the class. */
  override name = "ForeignLinkLockError";
  /** The path. */
  readonly path: string;
  /** What is wrong with it, a clause. */
  readonly reason: string;

  /** Made when a record is read. */
  constructor(path: string, reason: string) {
    super(
      `Cannot use ${quotePath(path)} as a link lock: ${reason}; ` +
        "it is left alone, choose another path or remove it yourself",
    );
    this.path = path;
    this.reason = reason;
  }
}

/**
 * The runtime's own calls, which work without `--allow-ffi`, would turn a name
 * that isn't UTF-8 into another one.
 *
 * @throws {ForeignLinkLockError} for such a name.
 */
export function checkLinkPath(path: string, given: string): void {
  if (!isUtf8Path(path)) {
    throw new ForeignLinkLockError(given, "its name is not UTF-8");
  }
}

const KIND = "holdfast link lock";
const SCHEMA = 1;

/** No record is longer; what is longer is never read. */
export const MAX_RECORD_BYTES: number = 64 * 1024;
/** The longest message, in UTF-16 units. */
export const MAX_MESSAGE_LENGTH = 4096;

/** The greatest fencing counter: its digits fit 64 bits with a sign. */
export const MAX_FENCE: number = 2 ** 62;

/** The record as it is written: one line of JSON. */
export function formatLinkOwner(owner: LinkLockOwner): string {
  return JSON.stringify({ kind: KIND, schema: SCHEMA, ...owner }) + "\n";
}

/** Whether a text begins as a record does, of whatever schema. */
export function isLinkOwnerText(text: string): boolean {
  return text.startsWith(`{"kind":${JSON.stringify(KIND)}`);
}

/**
 * Reads a record's text.
 *
 * @returns The owner, or what is wrong with the text.
 */
export function parseLinkOwner(text: string): LinkLockOwner | string {
  if (text.trim() === "") return "it is empty";
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "it doesn't contain an owner's record";
  }
  if (typeof value !== "object" || value === null) {
    return "it doesn't contain an owner's record";
  }
  const fields = value as Record<string, unknown>;
  if (fields.kind !== KIND) return "it doesn't contain an owner's record";
  if (fields.schema !== SCHEMA) {
    return `its record has schema ${
      printable(String(fields.schema)).slice(0, 20)
    }, and only ${SCHEMA} is understood`;
  }
  for (const [name, isValid] of Object.entries(FIELDS)) {
    if (!isValid(fields[name])) return `its record has no valid ${name}`;
  }
  const owner: Record<string, unknown> = {};
  for (const name of Object.keys(FIELDS)) owner[name] = fields[name];
  return owner as unknown as LinkLockOwner;
}

const isCount = (value: unknown): boolean =>
  Number.isSafeInteger(value) && (value as number) > 0;
const isFence = (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) > 0 &&
  (value as number) <= MAX_FENCE;
const isText = (value: unknown): boolean =>
  value === null || typeof value === "string";
const isDigits = (value: unknown): boolean =>
  value === null || typeof value === "string" && /^\d+$/.test(value);

const FIELDS: Readonly<
  Record<keyof LinkLockOwner, (value: unknown) => boolean>
> = {
  token: (value) => typeof value === "string" && /^[0-9a-f]{32}$/.test(value),
  fence: isFence,
  hostname: isText,
  machineId: isText,
  bootId: isText,
  pidNamespace: isDigits,
  timeNamespace: isDigits,
  // kill(2) takes an int, and 0 or less mean groups.
  pid: (value) => isCount(value) && (value as number) < 2 ** 31,
  startTicks: isDigits,
  user: isText,
  command: isText,
  // Beyond this there is no Date.
  takenAtMs: (value) => typeof value === "number" && Math.abs(value) <= 8.64e15,
  message: isText,
  leaseMs: (value) => value === null || typeof value === "number" && value > 0,
};

/** The owner on one printable line. */
export function formatLinkOwnerLine(owner: LinkLockOwner): string {
  const { message } = owner;
  return printable(
    `pid ${owner.pid} on ${owner.hostname ?? "an unnamed host"}, ` +
      `user ${owner.user ?? "unknown"}, since ` +
      `${new Date(owner.takenAtMs).toISOString()}: ` +
      `${owner.command ?? "<command unavailable>"}` +
      (message === null ? "" : ` (${message})`),
  );
}

/**
 * Whether the owner of a link lock can still act, as far as that can be told
 * from here: by its process, not by its lease.
 *
 * Permissions: `--allow-ffi`; without it all is `unknown`.
 */
export function judgeLinkOwner(owner: LinkLockOwner): LivenessVerdict {
  return judgeLiveness(owner);
}
