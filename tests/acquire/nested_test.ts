import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { acquire } from "../../lib/acquire/acquire.ts";
import { LockTimeoutError } from "../../lib/wait/lock_timeout_error.ts";
import { runCli } from "../support/cli.ts";
import { TempDir } from "../support/temp_dir.ts";

const MOD = new URL("../../mod.ts", import.meta.url).href;
const RECORD =
  new URL("../../lib/acquire/record_lock.ts", import.meta.url).href;

Deno.test("acquire below a run that holds the lock rejects at once, unless allowed to wait", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  const script = `
    import { acquire, SelfDeadlockError } from "${MOD}";
    import { acquireRecordLock } from "${RECORD}";
    const [lock] = Deno.args;
    const error = await acquire(lock).catch((error) => error);
    console.log(error instanceof SelfDeadlockError, error.relation);
    console.log(error.holderPid === Deno.ppid, error.path === lock);
    (await acquireRecordLock(lock)).release();
    let waits = 0;
    const signal = AbortSignal.timeout(100);
    const onWait = () => waits++;
    await acquire(lock, { allowNested: true, signal, onWait }).catch(() => {});
    console.log(waits);`;
  const { code, stdout, stderr } = await runCli([
    "run",
    lock,
    "--",
    Deno.execPath(),
    "eval",
    "--quiet",
    script,
    lock,
  ]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout, "true ancestor\ntrue true\n1\n");
});

Deno.test("acquire beside a lock of this very process waits its turn, and a timeout says whose it is", async () => {
  using directory = new TempDir();
  const path = directory.join("l");
  const before = Deno.env.get("HOLDFAST_LOCK");
  Deno.env.set("HOLDFAST_LOCK", path);
  try {
    const first = await acquire(path);
    const error = await assertRejects(
      () => acquire(path, { timeoutMs: 10 }),
      LockTimeoutError,
    );
    assertStringIncludes(error.message, `pid=${Deno.pid} cmd=`);
    assert(error.message.endsWith(" (this process)"), error.message);
    const { promise: waiting, resolve: onWait } = Promise.withResolvers<void>();
    const second = acquire(path, { onWait: () => onWait() });
    await waiting;
    first.release();
    (await second).release();
  } finally {
    if (before === undefined) Deno.env.delete("HOLDFAST_LOCK");
    else Deno.env.set("HOLDFAST_LOCK", before);
  }
});
