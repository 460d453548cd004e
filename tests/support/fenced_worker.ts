/**
 * A process that takes a lock again and again until its stdin ends, and writes
 * under it to a table that refuses a lower fence. Each line is a JSON
 * {@linkcode WorkerEvent}.
 *
 * ```sh
 * fenced_worker.ts URL TTL_MS
 * ```
 */
import { ClusterUnreachableError } from "../../lib/cluster/errors.ts";
import { openEngine } from "../../lib/cluster/postgres/mod.ts";
import { PostgresSession } from "../../lib/cluster/postgres/session.ts";
import { readSettings } from "../../lib/cluster/postgres/settings.ts";
import { parseClusterUrl } from "../../lib/cluster/url.ts";
import { HelperProcess } from "./helper_process.ts";

/** What such a process tells of itself. */
export interface WorkerEvent {
  /** It holds the lock; has let it go or lost it; has written; was refused. */
  readonly what: "held" | "released" | "lost" | "wrote" | "refused";
  /** The fence of its lock. */
  readonly fence: string;
  /** When, by the clock of the host. */
  readonly at: number;
}

/** The table that is written to, and all that it has accepted. */
export const FENCED_TABLE = [
  "create table resource (fence int8 not null)",
  "insert into resource values (0)",
  "create table accepted (id bigserial, fence int8)",
  "grant all on resource, accepted, accepted_id_seq to app",
];

/** Starts such a process. */
export function spawnFencedWorker(url: string, ttlMs: number): HelperProcess {
  return HelperProcess.spawn(Deno.execPath(), [
    "run",
    "--no-check",
    "--quiet",
    "-A",
    import.meta.url,
    url,
    `${ttlMs}`,
  ]);
}

const SECTION_MS = 60;
const WRITES = 3;

if (import.meta.main) await work();

async function work(): Promise<void> {
  const url = parseClusterUrl(Deno.args[0]!);
  const ttlMs = Number(Deno.args[1]);
  await using engine = openEngine(url);
  const stop = new AbortController();
  const stopping = Deno.stdin.read(new Uint8Array(1)).then(() => stop.abort());
  const tell = (what: WorkerEvent["what"], fence: bigint) => {
    const event: WorkerEvent = { what, fence: `${fence}`, at: Date.now() };
    Deno.stdout.writeSync(
      new TextEncoder().encode(`${JSON.stringify(event)}\n`),
    );
  };
  const write = fencedWriter(Deno.args[0]!);
  while (!stop.signal.aborted) {
    try {
      const lock = await engine.acquire(url.name, {
        ttlMs,
        signal: stop.signal,
      });
      const { fence, lost } = lock!;
      lost.addEventListener("abort", () => tell("lost", fence));
      tell("held", fence);
      for (let i = 0; i < WRITES && !lost.aborted; i++) {
        await pause(SECTION_MS / WRITES);
        const isAccepted = await write(fence);
        if (isAccepted !== undefined) {
          tell(isAccepted ? "wrote" : "refused", fence);
        }
      }
      if (!lost.aborted) tell("released", fence);
      await lock!.release();
      // What comes too late comes once more for sure.
      if (lost.aborted && await write(fence) === false) tell("refused", fence);
    } catch (error) {
      if (stop.signal.aborted) break;
      if (!(error instanceof ClusterUnreachableError)) throw error;
      await pause(SECTION_MS);
    }
  }
  await write.close();
  await stopping;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Writes if the fence isn't lower; `undefined` when the server is away. */
function fencedWriter(url: string) {
  const settings = readSettings(parseClusterUrl(url), {});
  let session: PostgresSession | undefined;
  const write = async (fence: bigint): Promise<boolean | undefined> => {
    try {
      if (session === undefined || session.ended.aborted) {
        session = await PostgresSession.open(settings, { label: "writer" });
      }
      const rows = await session.query(
        `with written as (update public.resource set fence = ${fence}
          where fence <= ${fence} returning fence)
        insert into public.accepted (fence)
          select fence from written returning id`,
        1000,
      );
      return rows.length === 1;
    } catch {
      return undefined;
    }
  };
  return Object.assign(write, { close: () => session?.close() });
}
