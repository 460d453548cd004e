import { environmentVariable, hasFfi } from "../sys/process/environment.ts";

/**
 * A variable of the environment: without `--allow-ffi` and without
 * `--allow-env` for it, it counts as not set, and the user isn't asked.
 *
 * @param name Its name.
 * @returns Its value; `undefined` when it is unset, empty or out of reach.
 */
export function readVariable(name: string): string | undefined {
  if (hasFfi()) return environmentVariable(name);
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) || undefined : undefined;
}
