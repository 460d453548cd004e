/**
 * What belongs to a file beside its content: owner, mode, extended attributes,
 * of which access control lists and capabilities are some.
 *
 * @module
 */

import { callLibc, cString } from "../call.ts";
import { EOPNOTSUPP } from "../errno.ts";
import { libc } from "../libc.ts";

/** XATTR_SIZE_MAX and XATTR_LIST_MAX of xattr(7). */
const MAX_BYTES = 64 * 1024;

/** Extended attributes by name. See xattr(7). */
export type Attributes = Map<string, Uint8Array<ArrayBuffer>>;

/**
 * Reads the extended attributes that this user can see.
 *
 * @returns The attributes, none where the filesystem has none; or minus the
 * error number when they can't be read.
 */
export function readAttributes(fd: number): Attributes | number {
  const list = new Uint8Array(MAX_BYTES);
  const length = callLibc(() => libc.flistxattr(fd, list, BigInt(MAX_BYTES)));
  const attributes: Attributes = new Map();
  if (length === -EOPNOTSUPP) return attributes;
  if (length < 0) return length;
  const names = new TextDecoder().decode(list.subarray(0, length)).split("\0");
  for (const name of names.slice(0, -1)) {
    const value = readAttribute(fd, name);
    if (typeof value === "number") return value;
    attributes.set(name, value);
  }
  return attributes;
}

/** One extended attribute, or minus the error number. */
export function readAttribute(
  fd: number,
  name: string,
): Uint8Array<ArrayBuffer> | number {
  const value = new Uint8Array(MAX_BYTES);
  const size = callLibc(() =>
    libc.fgetxattr(fd, cString(name), value, BigInt(MAX_BYTES))
  );
  return size < 0 ? size : value.slice(0, size);
}

/** fsetxattr(2); gives 0, or minus the error number. */
export function setAttribute(
  fd: number,
  name: string,
  value: Uint8Array<ArrayBuffer>,
): number {
  return callLibc(() =>
    libc.fsetxattr(fd, cString(name), value, BigInt(value.length), 0)
  );
}

/** fremovexattr(2); gives 0, or minus the error number. */
export function removeAttribute(fd: number, name: string): number {
  return callLibc(() => libc.fremovexattr(fd, cString(name)));
}

/** fchown(2); gives 0, or minus the error number. */
export function setOwner(fd: number, uid: number, gid: number): number {
  return callLibc(() => libc.fchown(fd, uid, gid));
}

/** fchmod(2); gives 0, or minus the error number. */
export function setPermissions(fd: number, permissions: number): number {
  return callLibc(() => libc.fchmod(fd, permissions));
}
