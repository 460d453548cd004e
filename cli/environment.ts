/**
 * An environment variable that is only a wish: without `--allow-env` for it,
 * it counts as not set, and nobody is asked.
 *
 * @param name Its name.
 * @returns Its value; `undefined` when it is unset, empty or out of reach.
 */
export function readWish(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) || undefined : undefined;
}
