/**
 * The other process of every pair: takes the locks it is told to, a JSON line
 * for a line.
 *
 * @module
 */

import { type LockAnswer, Locks, type Order } from "./locks.ts";
import { lines } from "./lines.ts";

const locks = new Locks();

function say(answer: LockAnswer | "ready"): void {
  Deno.stdout.writeSync(
    new TextEncoder().encode(`${JSON.stringify(answer)}\n`),
  );
}

say("ready");
for await (const line of lines(Deno.stdin.readable)) {
  say(locks.obey(JSON.parse(line) as Order));
}
