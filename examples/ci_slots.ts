/**
 * Runs a command when one of N slots of this machine is free, so that a CI host
 * isn't overrun by jobs that each want all of it.
 *
 * ```sh
 * deno run --allow-ffi --allow-run --allow-env ci_slots.ts DIR N COMMAND [ARG…]
 * ```
 *
 * The same from the command line: `holdfast run --slots N DIR -- COMMAND`.
 */
import { acquireSlots } from "@holdfast/holdfast/patterns";

const [directory, count, command, ...args] = Deno.args;
if (directory === undefined || count === undefined || command === undefined) {
  console.error("usage: ci_slots.ts DIR N COMMAND [ARG…]");
  Deno.exit(64);
}

const code = await run(command);
Deno.exit(code);

async function run(command: string): Promise<number> {
  using held = await acquireSlots(`${directory}/`, { slots: Number(count) });
  const child = new Deno.Command(command, {
    args,
    env: { CI_SLOT: String(held.slots[0]) },
  }).spawn();
  return (await child.status).code;
}
