/**
 * Reads an environment variable that nothing depends on: without
 * `--allow-env` for it, it counts as not set, and the user isn't asked.
 *
 * @param name Its name.
 * @returns Its value; `undefined` when it is unset, empty or out of reach.
 */
export function readEnv(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) || undefined : undefined;
}
