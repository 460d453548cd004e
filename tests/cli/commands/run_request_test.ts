import { assertEquals, assertObjectMatch, assertRejects } from "@std/assert";
import { parseOptions, UsageError } from "../../../cli/args/parse.ts";
import { readRequest } from "../../../cli/commands/run/read_request.ts";
import type { RunRequest } from "../../../cli/commands/run/request.ts";
import { RUN_SPEC } from "../../../cli/commands/run/spec.ts";

function read(words: string): Promise<RunRequest> {
  return readRequest(
    parseOptions(RUN_SPEC, [...words.split(" "), "--", "cmd"]),
  );
}

const FILES = { type: "files", kind: "flock", range: undefined };
const RANGE = { startByte: 5n, lengthBytes: 10n };

for (
  const [words, expected] of [
    ["a b", { target: { ...FILES, paths: ["a", "b"] }, cpus: undefined }],
    ["-s a", { mode: "shared", timeoutMs: Infinity, conflictExitCode: 75 }],
    ["-s -x a", { mode: "exclusive" }],
    ["-n a", { timeoutMs: 0, verbosity: "normal" }],
    ["-w 1m30s -E 3 -q a", {
      timeoutMs: 90_000,
      conflictExitCode: 3,
      verbosity: "quiet",
    }],
    ["--singleton a", {
      timeoutMs: 0,
      conflictExitCode: 0,
      verbosity: "quiet",
    }],
    ["--max-load 1.5,5m a", { maxLoad: { maxLoad: 1.5, minutes: 5 } }],
    ["-k ofd --range 5:10 a", {
      target: { type: "files", kind: "ofd", range: RANGE, paths: ["a"] },
    }],
    ["-k link --lease 2s --message hi a", {
      target: { type: "link", path: "a", leaseMs: 2000, message: "hi" },
    }],
    ["--fair -s a", { target: { type: "fair", path: "a" }, mode: "shared" }],
    ["--every 10m a", {
      target: { type: "interval", path: "a", intervalMs: 600_000 },
    }],
    ["--slots 4 --want 2 jobs", {
      target: { type: "slots", name: "jobs", slots: 4, want: 2 },
    }],
    ["--cpus 2 --same-llc", {
      target: { type: "nothing" },
      cpus: {
        cpus: 2,
        domains: undefined,
        sameDomain: true,
        performance: false,
      },
    }],
    ["--cpu-list 0-2,4 a", {
      target: { ...FILES, paths: ["a"] },
      cpus: { cpus: [0, 1, 2, 4] },
    }],
    ["--env A=1 --env B=2 --cwd / --kill-after 5s a", {
      command: {
        argv: ["cmd"],
        variables: [["A", "1"], ["B", "2"]],
        directory: "/",
        exec: false,
        onDeath: undefined,
        killAfterMs: 5000,
      },
    }],
    ["--exec a", { command: { exec: true } }],
  ] as const
) {
  Deno.test(`run ${words}: read as typed values`, async () => {
    assertObjectMatch(await read(words), expected);
  });
}

Deno.test("run -c: the shell runs the text, what follows -- are its arguments", async () => {
  const { command } = await readRequest(
    parseOptions(RUN_SPEC, ["-c", "echo $1", "a", "--", "x"]),
  );
  const shell = "/bin/sh";
  assertEquals(command.argv, [shell, "-c", "echo $1", shell, "x"]);
});

for (
  const words of [
    "--slots x jobs",
    "--slots 2 a b",
    "--fair --every 1m a",
    "--fair --cpus 2",
    "--range 0:1 a",
    "-k link a b",
    "-k link -s a",
    "-k posix --exec a",
    "--cpus 1 --llcs 1",
    "--env =1 a",
    "-n -E 256 a",
    "--want 2 a",
  ]
) {
  Deno.test(`run ${words}: refused before anything is locked`, async () => {
    await assertRejects(() => read(words), UsageError);
  });
}
