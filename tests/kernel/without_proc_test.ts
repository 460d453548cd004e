/** Where /proc tells little or nothing, a timeout is still a timeout. */
import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { tryFlock } from "../../lib/lock/flock/flock.ts";
import { tryLinkLock } from "../../lib/lock/link/mod.ts";
import { tryRecordLock } from "../../lib/lock/record/record_lock_attempt.ts";
import { cliArgs } from "../support/cli.ts";
import { needsMounts } from "../support/private_mounts.ts";
import { runProgram } from "../support/run_program.ts";
import { TempDir } from "../support/temp_dir.ts";

const SCRIPT = fromFileUrl(new URL("../support/timeouts.ts", import.meta.url));
const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));

const NAMES = [
  "acquire: LockTimeoutError",
  "acquire, now: LockTimeoutError",
  "acquireRecordLock: LockTimeoutError",
  "acquireRecordLock, posix: LockTimeoutError",
  "acquireBothLocks: LockTimeoutError",
  "acquireAll: LockTimeoutError",
  "acquireFair: LockTimeoutError",
  "acquireFair, in the line: LockTimeoutError",
  "upgrade: LockTimeoutError",
  "transformFile: LockTimeoutError",
  "acquireSlots: SlotTimeoutError",
  "acquireCpus: CpuTimeoutError",
  "acquireLinkLock: LinkLockTimeoutError",
];

/** How /proc is to look, and as whom it is looked at. */
const WORLDS: readonly {
  name: string;
  mount: string;
  as?: string[];
}[] = [
  { name: "without /proc", mount: "mount -t tmpfs none /proc" },
  {
    name: "with /proc of hidepid for another user",
    mount: "mount -t proc -o hidepid=2 none /proc",
    as: ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"],
  },
  {
    name: "in a pid namespace with another's /proc",
    mount: ":",
    as: ["unshare", "--pid", "--fork"],
  },
];

const mounts = needsMounts();

Deno.test({
  name: "link show says why nothing is known without /proc" + mounts.suffix,
  ignore: mounts.ignore,
  async fn() {
    using dir = new TempDir();
    using lock = tryLinkLock(dir.join("a"))!;
    const { code, stdout } = await runProgram("unshare", [
      "-m",
      "sh",
      "-euc",
      'mount -t tmpfs none /proc\nexec "$@"',
      "sh",
      Deno.execPath(),
      ...cliArgs(["link", "show", lock.path]),
    ]);
    assertEquals(code, 1);
    assertMatch(
      stdout,
      /may be alive: \/proc, which would tell, isn't mounted here/,
    );
  },
});

for (const { name, mount, as = [] } of WORLDS) {
  const guard = needsMounts(...as.slice(0, 1));
  const run = (dir: TempDir, args: string[]) =>
    runProgram("unshare", [
      "-m",
      "sh",
      "-euc",
      `${mount}\nexec "$@"`,
      "sh",
      ...as,
      Deno.execPath(),
      ...args,
    ], { env: { DENO_DIR: dir.join("deno") } });

  Deno.test({
    name: `every timeout is one ${name}${guard.suffix}`,
    ignore: guard.ignore,
    async fn() {
      using dir = new TempDir();
      Deno.chmodSync(dir.path, 0o777);
      const args = [
        "run",
        "-A",
        "--no-check",
        "-q",
        "--config",
        CONFIG,
        SCRIPT,
      ];
      const { stdout, stderr } = await run(dir, [...args, dir.path]);
      assertEquals(stdout.trimEnd().split("\n"), NAMES, stderr);
    },
  });

  Deno.test({
    name: `run says 75 of a busy lock ${name}${guard.suffix}`,
    ignore: guard.ignore,
    async fn() {
      using dir = new TempDir();
      Deno.chmodSync(dir.path, 0o777);
      using busy = tryFlock(dir.join("a"))!;
      Deno.chmodSync(dir.join("a"), 0o666);
      for (
        const options of [
          ["--nonblock"],
          ["--timeout", "50ms"],
          ["--timeout", "50ms", "--kind", "both"],
          ["--timeout", "50ms", "--fair"],
          ["--timeout", "50ms", dir.join("b")],
        ]
      ) {
        const words = ["run", ...options, busy.path, "--", "true"];
        const { code, stderr } = await run(dir, cliArgs(words));
        assertEquals(code, 75, stderr);
        assertMatch(stderr, /^holdfast run: Cannot lock ".*\/a": .*holders:/s);
      }
    },
  });
}

/** What who and test say of a file, each as exit code and text. */
async function answers(
  run: (args: string[]) => Promise<{ code: number; stdout: string }>,
  path: string,
): Promise<Record<string, [code: number, text: string]>> {
  const said: Record<string, [number, string]> = {};
  for (
    const question of [
      "who",
      "test",
      "test -k both",
      "test -k ofd",
      "test -k posix",
    ]
  ) {
    const { code, stdout } = await run([...question.split(" "), path]);
    said[question] = [code, stdout.replaceAll(path, "PATH")];
  }
  return said;
}

const UNKNOWN = "/proc, which tells of flocks, can't be read here";

Deno.test({
  name: "who and test ask the kernel, and name nobody, without /proc" +
    mounts.suffix,
  ignore: mounts.ignore,
  async fn() {
    using dir = new TempDir();
    const path = dir.join("a");
    const run = (args: string[]) =>
      runProgram("unshare", [
        "-m",
        "sh",
        "-euc",
        'mount -t tmpfs none /proc\nexec "$@"',
        "sh",
        Deno.execPath(),
        ...cliArgs(args),
      ]);
    const absent = await answers(run, path);
    assertEquals(absent.who, [0, '"PATH": free, there is no such file\n']);
    assertEquals(absent.test, [
      0,
      '"PATH": free for an exclusive flock, there is no such file yet\n',
    ]);
    {
      using _lock = tryRecordLock(path, { kind: "ofd" })!;
      const holder = "  a process that can't be seen from here: " +
        "a write lock on bytes 0-EOF\n";
      assertEquals(await answers(run, path), {
        who: [1, `"PATH": held by\n${holder}`],
        test: [
          2,
          '"PATH": can\'t be known from here for an exclusive flock: ' +
          `${UNKNOWN}\n`,
        ],
        "test -k both": [
          1,
          '"PATH": not free for an exclusive flock and OFD lock, held by\n' +
          holder,
        ],
        "test -k ofd": [
          1,
          `"PATH": not free for an exclusive OFD lock, held by\n${holder}`,
        ],
        "test -k posix": [
          1,
          `"PATH": not free for an exclusive POSIX lock, held by\n${holder}`,
        ],
      });
    }
    using _lock = tryFlock(path)!;
    assertEquals(await answers(run, path), {
      who: [2, `"PATH": can't be known from here: ${UNKNOWN}\n`],
      test: [
        2,
        `"PATH": can't be known from here for an exclusive flock: ${UNKNOWN}\n`,
      ],
      "test -k both": [
        2,
        '"PATH": can\'t be known from here for an exclusive flock and OFD ' +
        `lock: ${UNKNOWN}\n`,
      ],
      "test -k ofd": [0, '"PATH": free for an exclusive OFD lock\n'],
      "test -k posix": [0, '"PATH": free for an exclusive POSIX lock\n'],
    });
    const { code, stdout } = await run(["who", "--json", path]);
    const { files: [file] } = JSON.parse(stdout);
    assertEquals([code, file.held, file.unknown, file.needle], [
      2,
      null,
      UNKNOWN,
      null,
    ]);
  },
});
