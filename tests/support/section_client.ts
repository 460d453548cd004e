/**
 * Takes a lock in an engine again and again until its stdin ends, and writes
 * to a resource that refuses fences lower than one it has seen.
 *
 *     deno run -A section_client.ts URL RESOURCE
 *
 * Each line it prints is a `SectionLine`.
 */
import { acquireClusterLock } from "../../lib/cluster/mod.ts";
import { bootTimeMs } from "../../lib/sys/boot_clock.ts";

/** What a client has done, and when by the clock that all here share. */
export type SectionLine =
  | { at: number; event: "enter" | "lost" | "exit"; fence: string }
  | { at: number; event: "write"; fence: string; accepted: boolean }
  | { at: number; event: "failed"; reason: string };

/** Most sections are short; some last longer than a lease. */
function sectionMs(): number {
  return Math.random() < 0.03 ? Math.random() * 5000 : Math.random() * 4;
}

const encoder = new TextEncoder();

function say(line: Record<string, unknown>): void {
  Deno.stdout.writeSync(
    encoder.encode(JSON.stringify({ at: bootTimeMs(), ...line }) + "\n"),
  );
}

async function write(resource: string, fence: string): Promise<void> {
  const answer = await fetch(resource, { method: "PUT", body: fence });
  await answer.body?.cancel();
  say({ event: "write", fence, accepted: answer.ok });
}

async function section(url: string, resource: string): Promise<void> {
  await using lock = await acquireClusterLock(url, { ttlMs: 3000 });
  const fence = String(lock.fence);
  say({ event: "enter", fence });
  const { lost } = lock;
  lost.addEventListener("abort", () => say({ event: "lost", fence }));
  await write(resource, fence);
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, sectionMs());
    lost.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
  if (lock.held) await write(resource, fence);
  say({ event: "exit", fence });
}

if (import.meta.main) {
  const [url = "", resource = ""] = Deno.args;
  let isOver = false;
  void (async () => {
    for await (const _ of Deno.stdin.readable);
    isOver = true;
  })();
  while (!isOver) {
    try {
      await section(url, resource);
    } catch (error) {
      // Most servers are away.
      say({ event: "failed", reason: String(error) });
    }
  }
  Deno.exit();
}
