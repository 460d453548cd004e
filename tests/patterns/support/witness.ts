/** Thrown when two processes are inside at once. */
export class Violation extends Error {}

/**
 * Says that this process is inside, where nobody else may be: a file that it
 * creates and removes again. One left by a process that was killed doesn't
 * count; what counts is that a living process is inside too.
 */
export function enter(path: string): Disposable {
  let seen: string | undefined;
  for (let tries = 0; tries < 200; tries++) {
    try {
      Deno.writeTextFileSync(path, String(Deno.pid), { createNew: true });
      if (seen !== undefined && !hasEnded(seen)) {
        throw new Violation(`${seen} was inside ${path} too, and has left`);
      }
      return { [Symbol.dispose]: () => Deno.removeSync(path) };
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    let other: string;
    try {
      other = Deno.readTextFileSync(path);
    } catch {
      throw new Violation(`somebody has just left ${path}`);
    }
    if (other === "" || hasEnded(other)) {
      Deno.removeSync(path);
      seen = undefined;
    } else {
      seen = other;
      // The kernel drops the locks of a killed process before its entry.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
  throw new Violation(`${Deno.readTextFileSync(path)} is inside ${path} too`);
}

function hasEnded(pid: string): boolean {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    return true;
  }
}
