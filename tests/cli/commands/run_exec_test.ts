import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { cliArgs, runCli } from "../../support/cli.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { TempDir } from "../../support/temp_dir.ts";

/**
 * Prints what a shell has inherited. It reads its status itself, since dash
 * blocks all signals while it waits for a child.
 */
const REPORT =
  'print() { while read -r line; do echo "$line"; done <"$1"; }; ' +
  "print /proc/self/status; print /proc/self/limits; nice; env; " +
  'for f in /proc/$$/fd/*; do echo "fd ${f##*/} $(readlink $f)"; done';

/** Lines of /proc/PID/status that differ from process to process. */
const OWN_LINES =
  /^(Pid|PPid|Ngid|Tgid|NSpid|NStgid|Vm|Rss|Huge|State|SigQ|.*ctxt_switches|_=)/;

/** A shell with habits of its own, which starts `"$@"` as its child. */
const SHELL = "umask 027; ulimit -S -n 512; ulimit -S -c 0; trap '' USR1; " +
  'exec 7</etc/passwd; nice -n 3 "$@"; exit $?';

async function report(command: string[]): Promise<string[]> {
  const { stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", SHELL, "sh", ...command],
    stdin: "null",
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  return new TextDecoder().decode(stdout).trimEnd().split("\n")
    .filter((line) => !OWN_LINES.test(line))
    .map((line) =>
      line
        // Each run has pipes of its own.
        .replace(/^(fd \d+ pipe:).*/, "$1")
        // Signals 32 and 33 belong to the threads of glibc, whose
        // posix_spawn(3) ignores them in the child.
        .replace(/^(SigIgn:\t).*([\da-f]{8})$/, (_, name, mask) =>
          `${name}${(parseInt(mask, 16) & 0x7fffffff).toString(16)}`)
    );
}

function runArgs(options: string[]): string[] {
  return [
    Deno.execPath(),
    ...cliArgs(
      ["run", ...options, "--", "sh", "-c", REPORT],
      ["--allow-ffi"],
    ),
  ];
}

Deno.test("run --exec: the command starts as a shell would start it", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  const plain = await report(["sh", "-c", REPORT]);
  assertStringIncludes(plain.join("\n"), "Max open files            512 ");
  const under = await report(runArgs(["--exec", lock]));
  const added = under.filter((line) => line.endsWith(lock));
  assertEquals(added.length, 2, "the lock's descriptor and HOLDFAST_LOCK");
  assertEquals(under.filter((line) => !added.includes(line)), plain);
});

Deno.test("run: a supervised command starts that way too", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  const plain = await report(["sh", "-c", REPORT]);
  const under = await report(runArgs([lock]));
  const added = under.filter((line) => line.endsWith(lock));
  assertEquals(added.length, 2, "the lock's descriptor and HOLDFAST_LOCK");
  assertEquals(under.filter((line) => !added.includes(line)), plain);
});

Deno.test("run --exec: same process id, and the lock outlives Deno", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  await using helper = HelperProcess.spawn(
    Deno.execPath(),
    cliArgs(
      ["run", "--exec", lock, "--", "sh", "-c", "echo $$; read -r _; exit 6"],
      ["--allow-ffi"],
    ),
  );
  assertEquals(await helper.nextLine(), `${helper.pid}`);
  const { code, stderr } = await runCli(["run", "-n", lock, "--", "true"]);
  assertEquals(code, 75);
  assertStringIncludes(stderr, `pid=${helper.pid} cmd=sh -c echo`);
  assertEquals((await helper.finish()).code, 6);
  const free = await runCli(["run", "-n", lock, "--", "true"]);
  assertEquals(free.code, 0);
});

function residentKiB(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)![1]);
}

Deno.test("run --exec: the memory is the command's own", async () => {
  using directory = new TempDir();
  const command = ["sh", "-c", "echo ready; read -r _"];
  await using plain = await HelperProcess.start(command[0]!, command.slice(1));
  await using under = await HelperProcess.start(
    Deno.execPath(),
    cliArgs(["run", "--exec", directory.join("l"), "--", ...command]),
  );
  const [own, inherited] = [plain.pid, under.pid].map(residentKiB);
  assert(inherited! < own! + 512, `${inherited} KiB, alone ${own} KiB`);
  await plain.finish();
  await under.finish();
});

Deno.test("run: arguments reach the command byte by byte", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  const script = 'printf "%s|" "$@" | od -An -c';
  const words = "'' ' ' 'a\nb' '--' '-n' 'ü€😀' $'\\xff\\xfe' '\\\\' '*'";
  for (const options of [[], ["--exec"]]) {
    const { stdout, stderr } = await new Deno.Command("bash", {
      args: [
        "-c",
        `"$@" sh -c '${script}' sh ${words}; ` +
        `sh -c '${script}' sh ${words}`,
        "bash",
        Deno.execPath(),
        ...cliArgs(["run", ...options, lock, "--"]),
      ],
    }).output();
    const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
    assertEquals(lines.length % 2, 0, new TextDecoder().decode(stderr));
    const half = lines.length / 2;
    assertEquals(lines.slice(0, half), lines.slice(half));
  }
});
