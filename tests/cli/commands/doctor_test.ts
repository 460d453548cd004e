import { assert, assertEquals, assertMatch } from "@std/assert";
import { cliArgs, runCli } from "../../support/cli.ts";
import { holdFlock } from "../../support/foreign_flock.ts";
import { needsMounts, PrivateMounts } from "../../support/private_mounts.ts";
import { runScript } from "../../support/run_script.ts";
import { TempDir } from "../../support/temp_dir.ts";

interface DoctorJson {
  schema: number;
  paths: {
    path: string;
    exists: boolean;
    safe: boolean;
    kind: string;
    recommendedKind: string | null;
    command: string | null;
    filesystem: { type: string; exportedBy: string | null };
    trust: Record<
      string,
      Record<string, { trust: string; reason: string } | null>
    >;
    warnings: { code: string; message: string }[];
    holders: { pid: number; type: string }[];
  }[];
}

function parse(text: string): DoctorJson["paths"][number] {
  const report = JSON.parse(text) as DoctorJson;
  assertEquals(report.schema, 1);
  assertEquals(report.paths.length, 1);
  return report.paths[0]!;
}

async function doctor(path: string, ...options: string[]) {
  const { code, stdout, stderr } = await runCli([
    "doctor",
    "--json",
    ...options,
    path,
  ]);
  assertEquals(stderr, "");
  return { code, ...parse(stdout) };
}

function codes(report: { warnings: { code: string }[] }): string[] {
  return report.warnings.map(({ code }) => code);
}

Deno.test("doctor: a private directory on a local disk is safe, and stays as it is", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const report = await doctor(path);
  assertEquals(report.code, 0);
  assertEquals(report.exists, false);
  assertEquals(report.safe, true);
  assertEquals(report.recommendedKind, "flock");
  assertEquals(report.command, `holdfast run ${path} -- COMMAND`);
  assertEquals(codes(report).includes("shared-directory"), false);
  assertEquals([...Deno.readDirSync(dir.path)], []);
});

Deno.test("doctor: shared and open directories are told apart", async () => {
  using dir = new TempDir();
  Deno.chmodSync(dir.path, 0o777);
  assert(codes(await doctor(dir.join("a.lock"))).includes("open-directory"));
  Deno.chmodSync(dir.path, 0o1777);
  assert(codes(await doctor(dir.join("a.lock"))).includes("shared-directory"));
});

Deno.test("doctor: a lock of another kind on the same file is noticed", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using _flock = await holdFlock(path);
  assertEquals(codes(await doctor(path)).includes("mixed-kinds"), false);
  await using _posix = await runScript(
    `posix(open(args[0]), [0, 0]); say("ready"); end();`,
    path,
  );
  const report = await doctor(path);
  assert(codes(report).includes("mixed-kinds"));
  assertEquals(report.holders.map(({ type }) => type).sort(), [
    "FLOCK",
    "POSIX",
  ]);
});

Deno.test("doctor: a lock file removed while held is noticed", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdFlock(path);
  Deno.removeSync(path);
  const { warnings } = await doctor(path);
  const removed = warnings.find(({ code }) => code === "removed-while-held");
  assertMatch(removed?.message ?? "", new RegExp(`pid ${holder.pid} holds`));
});

Deno.test("doctor: a missing directory and a missing operand are errors", async () => {
  const missing = await runCli(["doctor", "/no/such/dir/a.lock"]);
  assertEquals(missing.code, 65);
  assertMatch(missing.stderr, /^holdfast doctor: Cannot examine .* does not/);
  assertEquals(missing.stdout, "");
  assertEquals((await runCli(["doctor"])).code, 64);
  assertEquals((await runCli(["doctor", "-k", "no", "/tmp"])).code, 64);
});

Deno.test("doctor: a name with a slash at its end is that of a directory", async () => {
  using dir = new TempDir();
  Deno.writeTextFileSync(dir.join("file"), "");
  for (const path of [dir.join("file/"), dir.join("new/")]) {
    const { code, stdout, stderr } = await runCli(["doctor", path]);
    assertEquals([code, stdout], [65, ""]);
    assertMatch(stderr, /ends with a slash, and there is no such directory/);
  }
  assertEquals((await doctor(`${dir.path}/`)).safe, true);
});

Deno.test("doctor: no kind of lock is safe in /proc and in /sys", async () => {
  for (
    const path of [
      "/proc/locks",
      "/proc/self/status",
      "/proc/no-such.lock",
      "/sys/kernel/uevent_seqnum",
      "/sys/kernel/no-such.lock",
    ]
  ) {
    const report = await doctor(path);
    assertEquals([path, report.code, report.safe], [path, 1, false]);
    assertEquals([report.recommendedKind, report.command], [null, null]);
    const entries = Object.values(report.trust)
      .map(({ host }) => host?.trust);
    assertEquals(new Set(entries), new Set(["no"]), path);
  }
});

Deno.test("doctor: control characters of a path stay off the terminal", async () => {
  using dir = new TempDir();
  const { code, stdout } = await runCli(["doctor", dir.join("\x1b[31m")]);
  assertEquals(code, 0);
  assertEquals(stdout.includes("\x1b"), false);
  assert(stdout.includes("\\x1b[31m"));
});

Deno.test("doctor --probe: two processes try every kind against every other", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const { code, stdout, stderr } = await runCli([
    "doctor",
    "--json",
    "--probe",
    path,
  ]);
  assertEquals([code, stderr], [0, ""]);
  const { probe } = JSON.parse(stdout).paths[0] as {
    probe: Record<string, Record<string, { excluded: boolean }>>;
  };
  // flock and fcntl don't see each other on a local filesystem; POSIX and OFD
  // locks do.
  const excluded = Object.entries(probe).map(([held, row]) =>
    `${held}: ${
      Object.keys(row).filter((tried) => row[tried]!.excluded).join(" ")
    }`
  );
  assertEquals(excluded, [
    "flock: flock",
    "posix: posix ofd",
    "ofd: posix ofd",
    "link: link",
  ]);
  assertEquals([...Deno.readDirSync(dir.path)], []);
  const text = (await runCli(["doctor", "--probe", path])).stdout;
  assertMatch(text, /ofd +got it +excluded +excluded +got it/);
});

interface MountCase {
  name: string;
  setup: string;
  path: string;
  kind?: string;
  code: number;
  fsType: string;
  recommended: string | null;
  warnings?: string[];
  says?: RegExp;
}

const EXPORTED = "mkdir -p m etc/exports.d; mount --bind etc /etc; " +
  'echo "$PWD/m *(rw)" > /etc/exports.d/x.exports';

const MOUNTS: MountCase[] = [
  {
    name: "tmpfs is safe and volatile",
    setup: "mkdir m; mount -t tmpfs t m",
    path: "m/a.lock",
    code: 0,
    fsType: "tmpfs",
    recommended: "flock",
    warnings: ["volatile"],
  },
  {
    name: "an overlay is its container's own",
    setup: "mkdir l t m; mount -t tmpfs t t; mkdir t/u t/w; " +
      "mount -t overlay -o lowerdir=l,upperdir=t/u,workdir=t/w o m",
    path: "m/a.lock",
    code: 0,
    fsType: "overlay",
    recommended: "flock",
    warnings: ["overlay"],
  },
  {
    name: "a read-only mount, where no file can be made",
    setup: "mkdir m; mount -t tmpfs -o ro t m",
    path: "m/a.lock",
    code: 1,
    fsType: "tmpfs",
    recommended: null,
    warnings: ["read-only"],
    says: /no: this user can create no file in .*: EROFS/,
  },
  {
    name: "a read-only mount, with a file that can be read",
    setup: "mkdir m; mount -t tmpfs t m; : > m/a.lock; mount -o remount,ro m",
    path: "m/a.lock",
    code: 0,
    fsType: "tmpfs",
    recommended: "flock",
    warnings: ["read-only"],
  },
  {
    name: "an overlay whose lower layer is elsewhere",
    setup: "mkdir s r u w m; bindfs s r; " +
      'mount -t overlay -o "lowerdir=$PWD/r,upperdir=u,workdir=w" o m',
    path: "m/a.lock",
    code: 1,
    fsType: "overlay",
    recommended: null,
    says: /flock, posix, ofd: NO, the locks stay on this overlay, though fuse/,
  },
  {
    name: "a directory that is shared by SMB",
    setup: "mkdir -p s etc/samba; mount -t tmpfs t s; " +
      'printf "[s]\\npath = %s\\n" "$PWD/s" > etc/samba/smb.conf; ' +
      "mount --bind etc /etc",
    path: "s/a.lock",
    code: 1,
    fsType: "tmpfs",
    recommended: "link",
    says:
      /exported by SMB: .*\n[^]*server and its clients:\n.*flock, posix, ofd: NO/,
  },
  {
    name: "FUSE is not safe by itself",
    setup: "mkdir src m; bindfs src m",
    path: "m/a.lock",
    code: 1,
    fsType: "fuse",
    recommended: null,
    says: /not safe for flock/,
  },
  {
    name: "an exported path is not safe for flock",
    setup: EXPORTED,
    path: "m/a.lock",
    code: 1,
    fsType: "ext4",
    recommended: "link",
    says: /a client and a process of this host can both hold it/,
  },
  {
    name: "an exported path is safe for POSIX locks with some clients only",
    setup: EXPORTED,
    path: "m/a.lock",
    kind: "posix",
    code: 1,
    fsType: "ext4",
    recommended: "link",
    says: /posix, ofd: it depends, .* unless the client mounts with nolock/,
  },
  {
    name: "of a path that is exported by NFS and SMB the worse one counts",
    setup: `${EXPORTED}; mkdir etc/samba; ` +
      'printf "[s]\\npath = %s\\n" "$PWD/m" > etc/samba/smb.conf',
    path: "m/a.lock",
    kind: "posix",
    code: 1,
    fsType: "ext4",
    recommended: "link",
    says: /posix, ofd: NO, .* a client's lock isn't seen/,
  },
  {
    name: "a cleaner's rule is found",
    setup: "mkdir -p m etc/tmpfiles.d; mount --bind etc /etc; " +
      'echo "d $PWD/m - - - 10d" > /etc/tmpfiles.d/x.conf',
    path: "m/a.lock",
    code: 0,
    fsType: "ext4",
    recommended: "flock",
    warnings: ["tmp-cleaner"],
  },
];

for (const test of MOUNTS) {
  const guard = needsMounts(
    ...["mkfs.btrfs", "mkfs.xfs", "mkfs.ext4", "bindfs"]
      .filter((program) => test.setup.includes(program)),
  );
  Deno.test({
    name: `doctor: ${test.name}${guard.suffix}`,
    ignore: guard.ignore,
    async fn() {
      using dir = new TempDir();
      await using mounts = await PrivateMounts.create(dir.path, test.setup);
      const options = test.kind === undefined ? [] : ["--kind", test.kind];
      const path = dir.join(test.path);
      const run = async (...more: string[]) => {
        const args = cliArgs(["doctor", ...options, ...more, path]);
        const output = await mounts.output(Deno.execPath(), args);
        return {
          code: output.code,
          stdout: new TextDecoder().decode(output.stdout),
        };
      };
      const { code, stdout } = await run("--json");
      const report = parse(stdout);
      assertEquals(code, test.code);
      assertEquals(report.safe, test.code === 0);
      // The directory of the tests may be on any local filesystem.
      if (test.fsType !== "ext4") {
        assertEquals(report.filesystem.type, test.fsType);
      }
      assertEquals(report.recommendedKind, test.recommended);
      for (const warning of test.warnings ?? []) {
        assert(codes(report).includes(warning), stdout);
      }
      if (test.says !== undefined) assertMatch((await run()).stdout, test.says);
    },
  });
}

Deno.test("doctor says of kinds that a command can't keep that it can't", async () => {
  using directory = new TempDir();
  const path = directory.join("l");
  for (const kind of ["flock", "posix", "ofd", "link"]) {
    const { stdout } = await runCli(["doctor", "--json", "--kind", kind, path]);
    const [report] = JSON.parse(stdout).paths;
    assertEquals(
      codes(report).includes("not-kept"),
      kind === "posix" || kind === "link",
      kind,
    );
  }
});
