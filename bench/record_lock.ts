/**
 * What it costs to lock and unlock a range of bytes: holdfast beside a C
 * program, in turns within one run.
 *
 * ```sh
 * deno run -A bench/record_lock.ts [--json]
 * ```
 *
 * Needs a C compiler (`cc`).
 *
 * @module
 */

import {
  fOfdSetlk,
  fSetlk,
  type RecordLockRequest,
} from "../lib/lock/record_lock.ts";
import { LockableFile } from "../lib/lock/range_locks.ts";

const PAIRS = 200_000;
const ROUNDS = 9;

/** Locks and unlocks ten bytes so often, and prints nanoseconds a pair. */
const C_PROGRAM = `
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
int main(int argc, char **argv) {
  int fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  int command = strcmp(argv[2], "ofd") ? F_SETLK : F_OFD_SETLK;
  long pairs = atol(argv[3]);
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  for (long i = 0; i < pairs; i++) {
    struct flock lock = { .l_type = F_WRLCK, .l_start = 100, .l_len = 10 };
    if (fcntl(fd, command, &lock) < 0) return 1;
    lock.l_type = F_UNLCK;
    if (fcntl(fd, command, &lock) < 0) return 1;
  }
  clock_gettime(CLOCK_MONOTONIC, &b);
  printf("%f", ((b.tv_sec - a.tv_sec) * 1e9 + b.tv_nsec - a.tv_nsec) / pairs);
  return 0;
}
`;

/** Nanoseconds a pair by holdfast. */
function measureHoldfast(
  fd: number,
  set: typeof fOfdSetlk,
): number {
  const range = { startByte: 100n, lengthBytes: 10n };
  const lock: RecordLockRequest = { type: "write", ...range };
  const unlock: RecordLockRequest = { type: "unlock", ...range };
  const start = performance.now();
  for (let i = 0; i < PAIRS; i++) {
    if (!set(fd, lock)) throw new Error("the bench's file is locked");
    set(fd, unlock);
  }
  return (performance.now() - start) * 1e6 / PAIRS;
}

function measureC(program: string, path: string, kind: string): number {
  const output = new Deno.Command(program, {
    args: [path, kind, String(PAIRS)],
  }).outputSync();
  if (!output.success) throw new Error("the C program failed");
  return Number(new TextDecoder().decode(output.stdout));
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

/** Runs the bench and prints a table, or JSON. */
function main(): void {
  const directory = Deno.makeTempDirSync({ prefix: "holdfast-bench-" });
  try {
    const source = `${directory}/pairs.c`;
    const program = `${directory}/pairs`;
    Deno.writeTextFileSync(source, C_PROGRAM);
    const built = new Deno.Command("cc", {
      args: ["-O2", "-o", program, source],
    }).outputSync();
    if (!built.success) throw new Error("cc can't build the C program");
    using file = new LockableFile(`${directory}/file`);
    const results = [];
    for (
      const [kind, set] of [["ofd", fOfdSetlk], ["posix", fSetlk]] as const
    ) {
      // Compiles the hot path first.
      measureHoldfast(file.fd, set);
      const c: number[] = [];
      const holdfast: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        c.push(measureC(program, file.path, kind));
        holdfast.push(measureHoldfast(file.fd, set));
      }
      const [cNs, holdfastNs] = [median(c), median(holdfast)];
      results.push({ kind, cNs, holdfastNs, ratio: holdfastNs / cNs });
    }
    if (Deno.args.includes("--json")) {
      console.log(JSON.stringify({ schema: 1, pairs: PAIRS, results }));
      return;
    }
    for (const { kind, cNs, holdfastNs, ratio } of results) {
      console.log(
        `${kind}: lock and unlock ${holdfastNs.toFixed(0)} ns, ` +
          `C ${cNs.toFixed(0)} ns, ${ratio.toFixed(2)} times`,
      );
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

if (import.meta.main) main();
