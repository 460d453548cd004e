/**
 * The names of a link lock's files, all in one directory.
 *
 * @module
 */

import { quotePath } from "../../proc/printable.ts";
import { dirname } from "../../sys/path_parts.ts";
import { LockPath, type PathLike, toLockPath, toPath } from "../lock_path.ts";
import { checkLinkPath } from "./owner.ts";

/** The names that belong to one lock, all in its directory. */
export class LinkNames {
  /** The lock as its caller named it, for messages. */
  readonly given: string;
  /** The lock itself, from the root. */
  readonly path: string;
  /** Its directory. */
  readonly directory: string;
  /** What private names start with. */
  readonly prefix: string;

  /**
   * Only computes names.
   *
   * @throws {TypeError} when the path names no file.
   * @throws {ForeignLinkLockError} when its name is not UTF-8.
   */
  constructor(value: PathLike | LockPath) {
    const text = value instanceof LockPath ? value.given : toPath(value);
    if (text === "" || text.endsWith("/")) {
      throw new TypeError(`A link lock must be named: ${quotePath(text)}`);
    }
    const { given, absolute: path } = toLockPath(value);
    checkLinkPath(path, given);
    this.given = given;
    this.path = path;
    this.directory = dirname(path);
    const base = path.slice(path.lastIndexOf("/") + 1);
    // NAME_MAX is 255 bytes, and the rest of a private name takes under 64.
    const bytes = new TextEncoder().encode(base);
    this.prefix = `.${
      bytes.length <= 190
        ? base
        : `${toHex(bytes.subarray(0, 64))}${hash32(bytes)}`
    }.`;
  }

  /** A record on its way to becoming the lock, or a claim. */
  candidate(token: string): string {
    return `${this.directory}/${this.prefix}${token}.new`;
  }

  /** The n-th claim to remove the lock that carries a token. */
  claim(token: string, n: number): string {
    return `${this.directory}/${this.prefix}${token}.claim-${n}`;
  }

  /** A lock that has been taken away from its name. */
  removed(token: string): string {
    return `${this.directory}/${this.prefix}${token}.old`;
  }

  /** The records of the last two takings, which carry the fencing counter. */
  get counters(): readonly [string, string] {
    const base = `${this.directory}/${this.prefix}last`;
    return [base, `${base}2`];
  }
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

/** FNV-1a: tells long names with the same start apart. */
function hash32(bytes: Uint8Array): string {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}

/** A new random token. */
export function newToken(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(16)));
}
