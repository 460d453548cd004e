/** A tracer is not to starve, and nobody else is to be preferred by it. */
import { assert, assertEquals } from "@std/assert";
import { cliArgs, runCli } from "../support/cli.ts";
import { HelperProcess } from "../support/helper_process.ts";
import { unless } from "../support/programs.ts";
import { needsTracing } from "./support/tracing.ts";

const SCHED_OTHER = 0;
const SCHED_RR = 2;

/** Nice value and scheduling policy of a line of /proc/PID/stat. */
function scheduling(stat: string): { nice: number; policy: number } {
  // See proc_pid_stat(5): the third field follows the name.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { nice: Number(fields[19 - 3]), policy: Number(fields[41 - 3]) };
}

const own = scheduling(Deno.readTextFileSync("/proc/self/stat"));
const isOrdinary = own.nice === 0 && own.policy === SCHED_OTHER;
const { ignore, suffix } = isOrdinary
  ? needsTracing
  : unless("this runs at another priority than others");

async function schedulingOfTracer(...before: string[]) {
  const [command, ...args] = [
    ...before,
    Deno.execPath(),
    ...cliArgs(["trace", "--json"]),
  ];
  await using tracer = HelperProcess.spawn(command!, args);
  // The first line comes once the trace is on.
  assert((await tracer.nextLine())?.includes("trace-started"));
  const tasks = `/proc/${tracer.pid}/task`;
  return [...Deno.readDirSync(tasks)].map(({ name }) =>
    scheduling(Deno.readTextFileSync(`${tasks}/${name}/stat`))
  );
}

Deno.test({
  name: `all threads of a tracer run before others${suffix}`,
  ignore,
  async fn() {
    const threads = await schedulingOfTracer();
    // Some containers have no real time to give.
    for (const { nice, policy } of threads) {
      assert(policy === SCHED_RR || nice === -20, `${policy}, ${nice}`);
    }
    assert(threads.length > 1);
  },
});

Deno.test({
  name: `a tracer that was given a nice value keeps it${suffix}`,
  ignore,
  async fn() {
    const threads = await schedulingOfTracer("nice", "-n", "3");
    for (const thread of threads) {
      assertEquals(thread, { nice: 3, policy: SCHED_OTHER });
    }
  },
});

Deno.test({
  name: `the command of a trace runs as any other${suffix}`,
  ignore,
  async fn() {
    const { stdout } = await runCli([
      "trace",
      "-o",
      "/dev/null",
      "--",
      "cat",
      "/proc/self/stat",
    ]);
    assertEquals(
      scheduling(stdout),
      scheduling(
        Deno.readTextFileSync("/proc/self/stat"),
      ),
    );
  },
});
