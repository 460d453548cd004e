/** `run` on a terminal: Ctrl-C, Ctrl-Z, and the line about a wait. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { cliArgs } from "../../support/cli.ts";
import { holdFlock, isFlockFree } from "../../support/foreign_flock.ts";
import { TempDir } from "../../support/temp_dir.ts";
import {
  needsTerminal,
  TerminalJob,
} from "../../support/terminal/terminal_job.ts";

const withTerminal = needsTerminal();

/** Says what it gets, until USR1. */
const CATCHES_INT =
  "trap 'echo got INT' INT; trap 'exit 5' USR1; echo ready; " +
  "while :; do sleep 0.02; done";

function onTerminal(script: string, lock: string): TerminalJob {
  return TerminalJob.start(
    Deno.execPath(),
    cliArgs(["run", lock, "--", "sh", "-c", script], ["--allow-ffi"]),
  );
}

Deno.test({
  name: "run: Ctrl-C arrives once" + withTerminal.suffix,
  ignore: withTerminal.ignore,
  fn: async () => {
    using directory = new TempDir();
    await using job = onTerminal(CATCHES_INT, directory.join("l"));
    assertEquals(await job.next(), "out ready");
    await job.type("\x03");
    assertEquals(await job.next(), "out ^Cgot INT");
    // A second INT from holdfast would arrive before this.
    await job.signal("SIGUSR1");
    assertEquals(await job.next(), "exit 5");
  },
});

Deno.test({
  name:
    "run: INT for it alone is passed on, in the foreground too, and Ctrl-C " +
    "isn't" + withTerminal.suffix,
  ignore: withTerminal.ignore,
  fn: async () => {
    using directory = new TempDir();
    await using job = onTerminal(CATCHES_INT, directory.join("l"));
    assertEquals(await job.next(), "out ready");
    for (let round = 0; round < 3; round++) {
      await job.signal("SIGINT");
      assertEquals(await job.next(), "out got INT");
    }
    // Last: while a typed one is pending for run, the kernel would drop another.
    for (let round = 0; round < 3; round++) {
      await job.type("\x03");
      assertEquals(await job.next(), "out ^Cgot INT");
    }
    await job.signal("SIGUSR1");
    assertEquals(await job.next(), "exit 5");
  },
});

Deno.test({
  name: "run: Ctrl-C that the command dies of" + withTerminal.suffix,
  ignore: withTerminal.ignore,
  fn: async () => {
    using directory = new TempDir();
    const lock = directory.join("l");
    await using job = onTerminal("echo ready; exec sleep 100", lock);
    assertEquals(await job.next(), "out ready");
    await job.type("\x03");
    assertEquals(await job.next(), "out ^C");
    assertEquals(await job.next(), "exit -2", "the shell must see SIGINT");
    assert(isFlockFree(lock));
  },
});

Deno.test({
  name: "run: Ctrl-Z stops both, and fg continues both" + withTerminal.suffix,
  ignore: withTerminal.ignore,
  fn: async () => {
    using directory = new TempDir();
    const lock = directory.join("l");
    await using job = onTerminal("echo ready; read -r x; echo read $x", lock);
    assertEquals(await job.next(), "out ready");
    await job.type("\x1a");
    assertEquals(await job.next(), "stopped");
    assert(!isFlockFree(lock), "a stopped command holds the lock");
    await job.foreground();
    await job.type("x\n");
    assertEquals(await job.next(), "out ^Zx");
    assertEquals(await job.next(), "out read x");
    assertEquals(await job.next(), "exit 0");
    assert(isFlockFree(lock));
  },
});

Deno.test({
  name: "run: a wait on a terminal shows and clears itself" +
    withTerminal.suffix,
  ignore: withTerminal.ignore,
  fn: async () => {
    using directory = new TempDir();
    const lock = directory.join("l");
    const holder = await holdFlock(lock);
    await using job = onTerminal("echo got it", lock);
    const first = await job.next();
    assertMatch(first!, /^out holdfast: waiting 1\.\d s for "/);
    assertMatch((await job.next())!, /^out {3}pid=\d+ cmd=/);
    await holder.finish();
    let line = await job.next();
    while (!line!.includes("got it")) line = await job.next();
    // deno-lint-ignore no-control-regex
    assertMatch(line!, /\x1b\[\d+A\x1b\[Jgot it$/);
    assertEquals(await job.next(), "exit 0");
    await holder[Symbol.asyncDispose]();
  },
});
