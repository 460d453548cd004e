/**
 * Who holds a lock, on real filesystems and through odd descriptors: `who`,
 * `locks` and the library name exactly the true holders. Everything is mounted
 * in a private mount namespace.
 */
import { assertEquals } from "@std/assert";
import { cliArgs } from "../support/cli.ts";
import type { HelperProcess } from "../support/helper_process.ts";
import {
  needsMounts,
  needsRootOfMounts,
  PrivateMounts,
} from "../support/private_mounts.ts";
import { TempDir } from "../support/temp_dir.ts";

/** Becomes a shell that holds a flock on $1. */
const FLOCK = `exec flock -F "$1" sh -c 'echo ready; read -r _'`;

interface Case {
  name: string;
  /** Mounts what is needed, in an empty directory. */
  setup?: string;
  /** The path the holder locks, below the directory unless absolute. */
  lock?: string;
  /** The path `who` is asked about, if it is another name of the file. */
  ask?: string;
  /** `false`: the path leads nowhere, or to another file. */
  askFindsHolder?: boolean;
  /**
   * The script of the holder, a shell's. It says "ready"; the holder is its
   * own process, or those in its next line, "pids N…".
   */
  holder?: string;
  tellsPids?: boolean;
  /** The path that `locks` tells, and what it says of it. */
  locksPath?: (directory: string) => string;
  pathStatus?: string;
  /** Whether the path is one of another mount namespace. */
  isElsewhere?: boolean;
  /** Programs the case needs. */
  needs?: string[];
}

const CASES: Case[] = [
  {
    name: "ext4",
    setup:
      "truncate -s 16M img; mkfs.ext4 -q img; mkdir m; mount -o loop img m",
    lock: "m/a.lock",
    needs: ["mkfs.ext4"],
  },
  {
    name: "xfs",
    setup:
      "truncate -s 320M img; mkfs.xfs -q img; mkdir m; mount -o loop img m",
    lock: "m/a.lock",
    needs: ["mkfs.xfs"],
  },
  {
    name: "btrfs",
    setup: "truncate -s 128M img; mkfs.btrfs -q img; mkdir m; " +
      "mount -o loop img m",
    lock: "m/a.lock",
    needs: ["mkfs.btrfs"],
  },
  {
    name: "a btrfs subvolume, mounted by itself",
    setup: "truncate -s 128M img; mkfs.btrfs -q img; mkdir m s; " +
      "mount -o loop img m; btrfs -q subvolume create m/sub; : > m/sub/a.lock; " +
      "mount -o subvol=sub $(findmnt -n -o SOURCE m) s",
    lock: "m/sub/a.lock",
    ask: "s/a.lock",
    needs: ["mkfs.btrfs"],
  },
  {
    name: "a btrfs snapshot",
    setup: "truncate -s 128M img; mkfs.btrfs -q img; mkdir m; " +
      "mount -o loop img m; btrfs -q subvolume create m/sub; : > m/sub/a.lock; " +
      "btrfs -q subvolume snapshot m/sub m/snap",
    lock: "m/snap/a.lock",
    needs: ["mkfs.btrfs"],
  },
  {
    name: "an overlay on one filesystem",
    setup: "mkdir l u w m; : > l/a.lock; " +
      "mount -t overlay -o lowerdir=l,upperdir=u,workdir=w o m",
    lock: "m/new.lock",
  },
  ...["xino=off", "xino=auto"].flatMap((xino) => [
    {
      name: `a mixed overlay (${xino}), a file of the lower layer`,
      setup: mixedOverlay(xino),
      lock: "m/a.lock",
    },
    {
      name: `a mixed overlay (${xino}), a file copied up`,
      setup: `${mixedOverlay(xino)}; echo x >> m/a.lock`,
      lock: "m/a.lock",
    },
    {
      name: `a mixed overlay (${xino}), a new file`,
      setup: mixedOverlay(xino),
      lock: "m/new.lock",
    },
  ]),
  {
    name: "tmpfs",
    setup: "mkdir m; mount -t tmpfs t m",
    lock: "m/a.lock",
  },
  { name: "/dev/shm", lock: `/dev/shm/holdfast-test-${crypto.randomUUID()}` },
  {
    name: "a bind mount of a file, asked by its other name",
    setup: ": > a.lock; : > b.lock; mount --bind a.lock b.lock",
    lock: "a.lock",
    ask: "b.lock",
  },
  {
    name: "a bind mount of a directory, asked by its other name",
    setup: "mkdir a b; mount --bind a b",
    lock: "a/x.lock",
    ask: "b/x.lock",
  },
  {
    name: "two mounts stacked on one mount point",
    setup: "mkdir m; mount -t tmpfs one m; mount -t tmpfs two m",
    lock: "m/a.lock",
  },
  ...[["space", "a b"], ["newline", "a\nb"], ["backslash", "a\\b"]].map((
    [what, point],
  ) => ({
    name: `a mount point with a ${what}`,
    setup: `mkdir '${point}'; mount -t tmpfs t '${point}'`,
    lock: `${point}/x.lock`,
  })),
  {
    name: "FUSE",
    setup: "mkdir s m; bindfs s m",
    lock: "m/a.lock",
    needs: ["bindfs"],
  },
  {
    name: "a mount that was unmounted lazily",
    setup: "mkdir m; mount -t tmpfs t m",
    lock: "m/a.lock",
    holder: `exec flock -F "$1" sh -c 'umount -l m; echo ready; read -r _'`,
    askFindsHolder: false,
    locksPath: () => "/a.lock",
    pathStatus: "unreachable",
  },
  {
    name: "a file deleted while held",
    holder: `exec flock -F "$1" sh -c 'rm "$1"; echo ready; read -r _' - "$1"`,
    askFindsHolder: false,
    pathStatus: "deleted",
  },
  {
    name: "a file replaced while held",
    holder: `exec flock -F "$1" sh -c ` +
      `': > "$1.new"; mv "$1.new" "$1"; echo ready; read -r _' - "$1"`,
    askFindsHolder: false,
    pathStatus: "deleted",
  },
  {
    name: 'a file really named "… (deleted)"',
    lock: "a.lock (deleted)",
  },
  {
    name: "a memfd",
    holder: `exec python3 -c '
import fcntl, os, sys
fd = os.memfd_create("mine")
fcntl.flock(fd, fcntl.LOCK_EX)
print("ready", flush=True)
sys.stdin.read()'`,
    askFindsHolder: false,
    locksPath: () => "/memfd:mine",
    pathStatus: "deleted",
    needs: ["python3"],
  },
  {
    name: "another mount namespace",
    isElsewhere: true,
    lock: "m/a.lock",
    setup: "mkdir m",
    holder: `exec unshare -m sh -c 'mount -t tmpfs t m; ` +
      `exec flock -F "$1" sh -c "echo ready; read -r _"' - "$1"`,
    askFindsHolder: false,
    pathStatus: "other-namespace",
  },
  {
    name: "another mount namespace, on a directory that both have",
    isElsewhere: true,
    holder: `exec unshare -m flock -F "$1" sh -c 'echo ready; read -r _'`,
  },
  {
    name: "a chroot",
    needs: ["chroot"],
    setup: "mkdir r; mount --rbind / r",
    lock: "a.lock",
    locksPath: (directory) => `${directory}/r${directory}/a.lock`,
    holder: `exec chroot "$PWD/r" flock -F "$1" sh -c 'echo ready; read -r _'`,
  },
  {
    name: "another pid namespace",
    // The inner shell can't tell its outer pid; the outer one can.
    holder: `exec 8<&0; unshare -p -f flock -F "$1" ` +
      `sh -c 'echo ready; read -r _' <&8 & ` +
      `until child=$(cat /proc/$!/task/$!/children) && child=\${child% } && ` +
      `grep -q '^lock:' /proc/"$child"/fdinfo/*; do :; done 2>/dev/null; ` +
      `echo "pids $child"; wait`,
    tellsPids: true,
  },
  {
    name: "a descriptor inherited by a child whose parent is gone",
    holder: `exec 8<&0 9>"$1"; flock 9; ` +
      `(sh -c 'echo ready; echo "pids $$"; read -r _' <&8 &); ` +
      `exec 9>&-; read -r _`,
    tellsPids: true,
  },
  {
    name: "a descriptor passed over a socket",
    holder: `exec python3 -c '
import fcntl, os, socket, sys
ours, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    ours.close()
    _, fds, _, _ = socket.recv_fds(theirs, 1, 1)
    theirs.send(b"x")
    theirs.recv(1)
    os._exit(0)
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(fd, fcntl.LOCK_EX)
socket.send_fds(ours, [b"x"], [fd])
os.close(fd)
ours.recv(1)
print("ready", flush=True)
print("pids", child, flush=True)
sys.stdin.readline()
ours.close()
os.wait()' "$1"`,
    tellsPids: true,
    needs: ["python3"],
  },
];

function mixedOverlay(xino: string): string {
  return "mkdir l t m; : > l/a.lock; mount -t tmpfs t t; mkdir t/u t/w; " +
    `mount -t overlay -o ${xino},lowerdir=l,upperdir=t/u,workdir=t/w o m`;
}

interface WhoReport {
  files: { holders: { pid: number }[] }[];
}

interface LocksReport {
  locks: {
    file: { path: string | null; pathStatus: string };
    holders: { process: { pid: number } | null }[];
  }[];
}

for (const test of CASES) {
  const needsPlace = test.isElsewhere ? needsRootOfMounts : needsMounts;
  const guard = needsPlace("flock", ...(test.needs ?? []));
  Deno.test({
    name: `true holders: ${JSON.stringify(test.name)}${guard.suffix}`,
    ignore: guard.ignore,
    fn: () => checkCase(test),
  });
}

async function checkCase(test: Case): Promise<void> {
  const { lock = "a.lock", ask = lock, askFindsHolder = true } = test;
  using dir = new TempDir();
  const absolute = (path: string) =>
    path.startsWith("/") ? path : dir.join(path);
  const path = absolute(lock);
  await using mounts = await PrivateMounts.create(
    dir.path,
    test.setup ?? ":",
  );
  const script = `cd "$0"; ${test.holder ?? FLOCK}`;
  await using holder = await mounts.start("sh", [
    "-c",
    script,
    dir.path,
    path,
  ]);
  const pids = test.tellsPids ? await readPids(holder) : [holder.pid];
  // Somebody with another lock isn't named.
  await using decoy = await mounts.start("sh", ["-c", FLOCK, "-", dir.path]);

  const inspect = async (...args: string[]) => {
    const output = await mounts.output(Deno.execPath(), cliArgs(args));
    return JSON.parse(new TextDecoder().decode(output.stdout));
  };
  const who = await inspect("who", "--json", absolute(ask)) as WhoReport;
  assertEquals(
    who.files[0]!.holders.map(({ pid }) => pid).sort(),
    askFindsHolder ? pids : [],
  );
  const locks = (await inspect("locks", "--json") as LocksReport).locks;
  const held = locks.filter(({ holders }) =>
    holders.some((holder) => pids.includes(holder.process?.pid ?? -1))
  );
  assertEquals(
    held.map(({ file, holders }) => ({
      path: file.path,
      pathStatus: file.pathStatus,
      pids: holders.map((holder) => holder.process?.pid).sort(),
    })),
    [{
      path: test.locksPath?.(dir.path) ?? path,
      pathStatus: test.pathStatus ?? "here",
      pids,
    }],
  );
  assertEquals(
    locks.filter(({ holders }) =>
      holders.some((holder) => holder.process?.pid === decoy.pid)
    ).map(({ file }) => file.path),
    [dir.path],
  );
  await mounts.output("rm", ["-f", path]);
}

async function readPids(holder: HelperProcess): Promise<number[]> {
  const line = await holder.nextLine();
  return line!.replace(/^pids /, "").split(" ").map(Number).sort();
}
