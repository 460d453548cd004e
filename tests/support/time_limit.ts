/**
 * Read before every test module (`deno test --preload`): no test outlasts its
 * limit, whatever it waits or loops for. Only a native call that never comes
 * back isn't ended so; `.ci/run` has a limit for a whole step.
 *
 * @module
 */

/** Far above what any test needs, on a slow and busy machine too. */
const LIMIT_MS = 300_000;

type Options = Omit<Deno.TestDefinition, "fn" | "name">;
type Body = Deno.TestDefinition["fn"];
/** What `Deno.test` accepts, as its seven signatures come down to. */
type Arguments = (string | Partial<Deno.TestDefinition> | Options | Body)[];

const test = Deno.test;

function limited(...parts: Arguments): void {
  let definition: Partial<Deno.TestDefinition> = {};
  for (const part of parts) {
    if (typeof part === "string") definition.name = part;
    else if (typeof part === "function") {
      definition = { name: part.name, ...definition, fn: part };
    } else definition = { ...definition, ...part };
  }
  test({ timeout: LIMIT_MS, ...definition } as Deno.TestDefinition);
}

Object.assign(Deno, {
  test: Object.assign(limited, test, {
    ignore: (...parts: Arguments) => limited(...parts, { ignore: true }),
    only: (...parts: Arguments) => limited(...parts, { only: true }),
  }),
});
