/** What is said of processes that a command may not look into. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { sayUnreadable } from "../../../cli/ui/gaps.ts";
import { holdFlock } from "../../support/foreign_flock.ts";
import {
  needsOrdinary,
  runCliAsOrdinary,
} from "../../support/ordinary_user.ts";
import { TempDir } from "../../support/temp_dir.ts";

Deno.test("one process that may not be looked into is named", () => {
  assertMatch(sayUnreadable([1]), /^process 1 may not be looked into/);
  assertMatch(
    sayUnreadable([1, 2], "paths may be missing"),
    /^2 processes may not be looked into: paths may be missing/,
  );
});

const { ignore, suffix } = await needsOrdinary();

Deno.test({
  name:
    `processes that may not be looked into are told where that may matter, and never with -q${suffix}`,
  ignore,
  async fn() {
    using dir = new TempDir();
    using home = new TempDir();
    const run = (args: string[]) => runCliAsOrdinary(args, home);
    Deno.chmodSync(dir.path, 0o777);
    const [held, free] = [dir.join("held"), dir.join("free")];
    Deno.writeTextFileSync(free, "");
    await using _holder = await holdFlock(held);
    const { stdout } = await run(["locks", "--json"]);
    // Where all processes are this user's, there is nothing to tell.
    const isTold = JSON.parse(stdout).unreadableProcesses > 0;
    const told = async (...args: string[]) => {
      const { stdout, stderr } = await run(args);
      return {
        out: stdout.includes("may not be looked into"),
        err: stderr.includes("may not be looked into"),
      };
    };
    for (const command of ["who", "test", "locks"]) {
      assertEquals(await told(command, held), { out: false, err: false });
      const quiet = await run([command, "-q", free]);
      assert(!quiet.stdout.includes("looked into"), command);
      assertEquals(quiet.stderr, "");
    }
    assertEquals(await told("who", free), { out: isTold, err: false });
    assertEquals(await told("locks", free), { out: false, err: isTold });
    assertEquals(await told("locks"), { out: false, err: isTold });
    assertEquals((await run(["locks", "-q"])).stderr, "");
  },
});
