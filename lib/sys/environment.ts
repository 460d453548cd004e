import { cString } from "./call.ts";
import { libc } from "./libc.ts";

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
  return Deno.UnsafePointerView.getCString(pointer) || undefined;
}
