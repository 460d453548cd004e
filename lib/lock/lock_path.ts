/**
 * The path of a lock as its caller wrote it, and the one file that it means.
 *
 * @module
 */

import { quotePath } from "../proc/printable.ts";
import { decodePath } from "../proc/path_text.ts";
import { rejectArgument } from "./check.ts";
import { ENOENT } from "../sys/errno.ts";
import { SyscallError } from "../sys/error.ts";
import { absolutePath } from "../sys/path_parts.ts";

/**
 * A relative path means a file of the directory that was current when it was
 * given, wherever this process goes while it waits for the lock or holds it.
 */
export class LockPath {
  /** As the caller wrote it, for messages. */
  readonly given: string;
  /** From the root, for the kernel. */
  readonly absolute: string;

  /** Made by {@linkcode toLockPath}. */
  constructor(given: string, absolute: string) {
    this.given = given;
    this.absolute = absolute;
  }

  /** The file whose name is this one and something more. */
  plus(suffix: string): LockPath {
    return new LockPath(this.given + suffix, this.absolute + suffix);
  }
}

/** What a path may be given as. */
export type PathLike = string | URL;

/** The name of a lock in an engine: see `./cluster`. */
export type LockUrl =
  | `etcd://${string}`
  | `etcds://${string}`
  | `postgres://${string}`
  | `postgresql://${string}`;

/**
 * Whether a text names a lock in an engine rather than a file: a file whose
 * name begins so is reached as `./etcd://…`.
 */
export function isLockUrl(text: unknown): text is LockUrl {
  return typeof text === "string" && !text.startsWith("/") &&
    text.includes("://") && /^(?:etcds?|postgres(?:ql)?):/.test(text);
}

/**
 * Takes a path as a caller gives it.
 *
 * @param value A path, or a `file:` URL.
 * @param name What the argument is called, for the error.
 * @throws {TypeError} when it is neither.
 * @throws {SyscallError} when it is empty: with a name appended to it, it
 * would mean another file.
 */
export function toLockPath(
  value: PathLike | LockPath,
  name = "path",
): LockPath {
  if (value instanceof LockPath) return value;
  const given = toPath(value, name);
  if (given === "") {
    throw new SyscallError(
      name === "directory" ? "use directory" : "open lock file",
      {
        syscall: "open",
        errno: ENOENT,
        path: "",
        advice: "the path is empty",
      },
    );
  }
  return new LockPath(given, absolutePath(given));
}

/**
 * The same for a call that is over before it returns, to which the current
 * directory is as good as any.
 *
 * @throws {TypeError} when it is neither a path nor a `file:` URL.
 */
export function toPath(value: PathLike | LockPath, name = "path"): string {
  if (typeof value === "string") return value;
  if (value instanceof LockPath) return value.absolute;
  if (value instanceof URL) return pathOfUrl(value, name);
  rejectArgument(name, "a string or a URL", value);
}

function pathOfUrl(url: URL, name: string): string {
  if (url.protocol !== "file:" || url.host !== "") {
    throw new TypeError(
      `${name} must be a path or a file: URL of this host, got ` +
        quotePath(`${url.protocol}//${url.host}${url.pathname}`),
    );
  }
  // By bytes: a name may be other than UTF-8.
  const bytes: number[] = [];
  for (let at = 0; at < url.pathname.length; at++) {
    const hex = /^%[0-9a-f]{2}/i.exec(url.pathname.slice(at, at + 3))?.[0];
    bytes.push(
      hex === undefined
        ? url.pathname.charCodeAt(at)
        : parseInt(hex.slice(1), 16),
    );
    if (hex !== undefined) at += 2;
  }
  return decodePath(Uint8Array.from(bytes));
}
