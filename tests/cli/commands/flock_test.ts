import { assertEquals } from "@std/assert";
import { FLOCK_CASES, type FlockCase } from "./flock_cases.ts";
import { TempDir } from "../../support/temp_dir.ts";
import { fromFileUrl } from "@std/path/from-file-url";

const OURS = fromFileUrl(new URL("../../../bin/flock", import.meta.url));

/** The system's flock(1), where it is that of util-linux. */
const THEIRS = await hasUtilLinuxFlock() ? "flock" : undefined;

async function hasUtilLinuxFlock(): Promise<boolean> {
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", "flock --version"],
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout).includes("util-linux");
}

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

async function runCase(
  script: string,
  program: string,
  other: string,
): Promise<Outcome> {
  using directory = new TempDir();
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", script],
    cwd: directory.path,
    env: {
      F: program,
      O: other,
      SHELL: "/bin/sh",
      LC_ALL: "C",
      HOLDFAST_DENO: Deno.execPath(),
    },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: sortLines(decoder.decode(stdout)),
    stderr: decoder.decode(stderr),
  };
}

/**
 * flock(1) writes what it says on a pipe when it ends, after its command. The
 * time it took is another each time.
 */
function sortLines(stdout: string): string {
  return stdout.replace(/took \d\.\d{6} seconds/g, "took N seconds")
    .split("\n").sort().join("\n").replace(/^\n+/, "");
}

function expected({ code = 0, out = "", err = "" }: FlockCase): Outcome {
  return {
    code,
    stdout: sortLines(out),
    stderr: err === "" ? "" : `${err}\n`,
  };
}

/** Runs some jobs four at a time. */
async function inParallel(jobs: (() => Promise<void>)[]): Promise<void> {
  const queue = jobs[Symbol.iterator]();
  const worker = async () => {
    for (const job of queue) await job();
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
}

Deno.test("holdfast flock: every case", async () => {
  const outcomes: Record<string, Outcome> = {};
  await inParallel(FLOCK_CASES.map(({ name, script }) => async () => {
    outcomes[name] = await runCase(script, OURS, THEIRS ?? OURS);
  }));
  assertEquals(
    outcomes,
    Object.fromEntries(FLOCK_CASES.map((each) => [each.name, expected(each)])),
  );
});

Deno.test({
  name: "flock(1) of util-linux: the same cases, but for known differences" +
    (THEIRS ? "" : " (skipped: it isn't installed)"),
  ignore: THEIRS === undefined,
  fn: async () => {
    const cases = FLOCK_CASES.filter(({ differs }) => differs === undefined);
    const outcomes: Record<string, Outcome> = {};
    await inParallel(cases.map(({ name, script }) => async () => {
      outcomes[name] = await runCase(script, THEIRS!, OURS);
    }));
    assertEquals(
      outcomes,
      Object.fromEntries(cases.map((each) => [each.name, expected(each)])),
    );
  },
});

Deno.test("docs/flock.md lists every difference and its reason", async () => {
  const url = new URL("../../../docs/flock.md", import.meta.url);
  const text = await Deno.readTextFile(url);
  const missing = FLOCK_CASES.map(({ differs }) => differs)
    .filter((differs) => differs !== undefined && !text.includes(differs));
  assertEquals(missing, []);
});

Deno.test("there are 80 cases at least, each with its own name", () => {
  const names = new Set(FLOCK_CASES.map(({ name }) => name));
  assertEquals(names.size, FLOCK_CASES.length);
  assertEquals(names.size >= 80, true, `${names.size}`);
});
