/**
 * DISK: when all workers of the soak are gone, removes what those that were
 * killed have left, by what holdfast has for it, and prints the files that are
 * still there and not wanted.
 */
import { walkSync } from "@std/fs/walk";
import { appendToFile } from "../../lib/patterns/append.ts";
import { evict, getOrBuild } from "../../lib/patterns/cache.ts";
import { collectLockFiles } from "../../lib/patterns/gc.ts";
import { transformFile } from "../../lib/patterns/transform_file.ts";
import { sweepLinkLock } from "../../lib/lock/link/mod.ts";
import { acquireLinkLock } from "../../lib/acquire/link_lock.ts";
import { CACHE_KEYS } from "./soak_files.ts";

const [disk] = Deno.args as [string];

const filesBelow = (directory: string) =>
  [...walkSync(directory, { includeDirs: false })].map(({ path }) => path);

/** What is new is left alone: somebody may be about to lock or to finish it. */
function ageFiles(): void {
  const daysAgo = new Date(Date.now() - 48 * 3600 * 1000);
  for (const path of filesBelow(disk)) Deno.utimeSync(path, daysAgo, daysAgo);
}

// The stale lock of a process that was killed is broken by the next taker.
(await acquireLinkLock(`${disk}/link`, { timeoutMs: 60_000 })).release();
ageFiles();
const swept = sweepLinkLock(`${disk}/link`).filter(({ removed }) => removed);
await transformFile(`${disk}/transformed`, (content) => content);
await appendToFile(`${disk}/appended`, "");
// What a killed builder has left goes with the next build of its key.
for (let key = 0; key < CACHE_KEYS; key++) {
  const options = { directory: `${disk}/cache` };
  const entry = await getOrBuild(`key${key}`, (path) => {
    Deno.writeTextFileSync(path, "");
  }, options);
  entry.release();
  await evict(`key${key}`, options);
}
ageFiles();
const collected = collectLockFiles(disk, { recursive: true })
  .filter(({ outcome }) => outcome === "removed");
const left = filesBelow(disk).map((path) => path.slice(disk.length + 1));
console.log(JSON.stringify({
  swept: swept.length,
  collected: collected.length,
  left: left.sort(),
}));
