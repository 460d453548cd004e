/**
 * Takes a link lock again and again, and tells at once when it isn't alone.
 * Arguments: lock, directory of the counter, how often.
 */
import { acquireLinkLock } from "../../lib/acquire/link_lock.ts";

const [path, directory, times] = Deno.args as [string, string, string];
const present = `${directory}/present`;
const counter = `${directory}/counter`;
const log = `${directory}/log`;

for (let i = 0; i < Number(times); i++) {
  using lock = await acquireLinkLock(path, { timeoutMs: 60_000 });
  const { token } = lock.owner;
  Deno.writeTextFileSync(present, token);
  const count = Number(readIfAny(counter)) + 1;
  // Time for a second owner to come in.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  const found = Deno.readTextFileSync(present);
  const line = found === token
    ? `${count} ${lock.fence}\n`
    : `DOUBLE ${token} ${found}\n`;
  Deno.writeTextFileSync(log, line, { append: true });
  Deno.writeTextFileSync(`${counter}.${token}`, String(count));
  Deno.renameSync(`${counter}.${token}`, counter);
}

function readIfAny(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "0";
    throw error;
  }
}
