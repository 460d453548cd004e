/**
 * What this process has been given: its user, the permission to call the C
 * library, and variables.
 *
 * @module
 */

import { decodePath } from "../../proc/path_text.ts";
import { cString } from "../call.ts";
import { libc } from "../libc.ts";

/** Whether the C library may be called without asking anybody. */
export function hasFfi(): boolean {
  return Deno.permissions.querySync({ name: "ffi" }).state === "granted";
}

/** The effective user id of this process. */
export function currentUid(): number {
  return libc.geteuid();
}

/**
 * A variable of the environment, by getenv(3): where `Deno.env` would ask for
 * `--allow-env`, this needs nothing but `--allow-ffi`.
 *
 * @param name Its name.
 * @returns Its value; `undefined` when it is unset or empty.
 */
export function environmentVariable(name: string): string | undefined {
  const pointer = libc.getenv(cString(name));
  if (pointer === null) return undefined;
  const value = Deno.UnsafePointerView.getCString(pointer);
  if (!value.includes("\ufffd")) return value || undefined;
  // A path there need not be UTF-8.
  const view = new Deno.UnsafePointerView(pointer);
  let length = 0;
  while (view.getUint8(length) !== 0) length++;
  return decodePath(new Uint8Array(view.getArrayBuffer(length)));
}
