import { assert, assertEquals } from "@std/assert";
import {
  type JudgeContext,
  judgeFilesystem,
  TRUST_KINDS,
  type TrustTable,
} from "../../lib/fs/mod.ts";
import {
  allFilesystems,
  filesystemOfMagic,
  filesystemOfType,
} from "../../lib/fs/filesystem.ts";
import { localLocksOfNfs } from "../../lib/fs/verdict.ts";
import { parseMountinfo } from "../../lib/proc/mountinfo.ts";

/**
 * What mountinfo says after its separator, what else bears on it, and by kind a letter each for host, clients and server: `y`es, `n`o, `?` for
 * depends, `-` for parties that there are not between others that there are.
 */
const CASES: [string, JudgeContext, string][] = [
  ["ext4 /dev/a rw", {}, "flock y, posix y, ofd y, link y"],
  ["btrfs /dev/a rw", {}, "flock y, posix y, ofd y, link y"],
  ["overlay overlay rw,xino=off", {}, "flock y, posix y, ofd y, link y"],
  [
    "xfs /dev/a rw",
    { exportedBy: "nfs" },
    "flock y-n, posix y-?, ofd y-?, link y-y",
  ],
  [
    "xfs /dev/a rw",
    { exportedBy: "smb" },
    "flock y-n, posix y-n, ofd y-n, link y-y",
  ],
  [
    "overlay overlay rw,lowerdir=/l",
    { layers: ["nfs4", "ext4"] },
    "flock yn, posix yn, ofd yn, link yn",
  ],
  ["proc proc rw", {}, "flock n, posix n, ofd n, link n"],
  ["sysfs sysfs rw", {}, "flock n, posix n, ofd n, link n"],
  ["gpfs /dev/g rw", {}, "flock y?, posix y?, ofd y?, link y?"],
  ["beegfs b rw", {}, "flock y?, posix y?, ofd y?, link y?"],
  [
    "nfs4 srv:/ rw,vers=4.2,hard,local_lock=none",
    {},
    "flock y?n, posix y??, ofd y??, link yyy",
  ],
  [
    // The client of NFSv4 ignores it.
    "nfs4 srv:/ rw,vers=4.2,local_lock=flock",
    {},
    "flock y?n, posix y??, ofd y??, link yyy",
  ],
  [
    "nfs srv:/ rw,vers=3,local_lock=posix",
    {},
    "flock y?n, posix ynn, ofd ynn, link yyy",
  ],
  [
    "nfs srv:/ rw,vers=3,nolock,local_lock=all",
    {},
    "flock ynn, posix ynn, ofd ynn, link yyy",
  ],
  [
    "nfs srv:/ rw,vers=3,nolock",
    {},
    "flock ynn, posix ynn, ofd ynn, link yyy",
  ],
  [
    "nfs srv:/ rw,vers=3,local_lock=none",
    {},
    "flock y?n, posix y??, ofd y??, link yyy",
  ],
  [
    "nfs4 srv:/ rw,vers=4.1,soft",
    {},
    "flock y?n, posix y??, ofd y??, link yyy",
  ],
  [
    "cifs //s/x rw,vers=3.1.1",
    {},
    "flock y?n, posix y?n, ofd y?n, link ???",
  ],
  ["cifs //s/x rw,nobrl", {}, "flock ynn, posix ynn, ofd ynn, link ???"],
  ["fuse.sshfs h: rw", {}, "flock ?n, posix ?n, ofd ?n, link ??"],
  ["fuse.bindfs /x rw", {}, "flock ??, posix ??, ofd ??, link ??"],
  ["fuse x rw", {}, "flock ??, posix ??, ofd ??, link ??"],
  ["9p share rw,trans=virtio", {}, "flock y??, posix y??, ofd y??, link yyy"],
  ["virtiofs share rw", {}, "flock y??, posix y??, ofd y??, link yyy"],
  ["ceph m:/ rw", {}, "flock y?, posix y?, ofd y?, link y?"],
  ["lustre m:/ rw,flock", {}, "flock yy, posix yy, ofd yy, link yy"],
  ["lustre m:/ rw,localflock", {}, "flock yn, posix yn, ofd yn, link yy"],
  ["lustre m:/ rw", {}, "flock nn, posix nn, ofd nn, link yy"],
  ["gfs2 /dev/a rw", {}, "flock y?, posix y?, ofd y?, link yy"],
  ["gfs2 /dev/a rw,localflocks", {}, "flock yn, posix yn, ofd yn, link yy"],
];

function letters(entry: TrustTable["flock"]): string {
  return (["host", "clients", "server"] as const)
    .map((party) =>
      ({ yes: "y", no: "n", depends: "?", none: "-" })[
        entry[party]?.trust ?? "none"
      ]
    )
    .join("").replace(/-+$/, "");
}

for (const [line, context, expected] of CASES) {
  const name = `judgeFilesystem: ${line} ${JSON.stringify(context)}`;
  Deno.test(name, () => {
    const [mount] = parseMountinfo(`36 1 0:9 / /m rw - ${line}\n`);
    const table = judgeFilesystem(mount!, context);
    const summary = TRUST_KINDS.map((kind) =>
      `${kind} ${letters(table[kind])}`
    );
    assertEquals(summary.join(", "), expected);
  });
}

Deno.test("one table: what the guard refuses, no kind but a link is said to be safe on", () => {
  for (const { types } of allFilesystems()) {
    for (const fsType of types) {
      const mount = { fsType, mountOptions: [], superOptions: [] };
      const table = judgeFilesystem(mount);
      for (const kind of ["flock", "posix", "ofd"] as const) {
        const entries = Object.values(table[kind]);
        assert(entries.some(({ trust }) => trust !== "yes"), fsType);
        for (const { reason } of entries) assert(reason.length > 10, reason);
      }
    }
  }
});

Deno.test("one table: every number and type of a filesystem lead to its row", () => {
  for (const row of allFilesystems()) {
    for (const magic of row.magic) assertEquals(filesystemOfMagic(magic), row);
    for (const type of row.types) {
      assertEquals(filesystemOfType(type), row);
      assertEquals(filesystemOfType(`${type}.sub`), row);
    }
  }
  for (const type of ["ext4", "tmpfs", "overlay", "btrfs", "nfsd"]) {
    assertEquals(filesystemOfType(type), undefined);
  }
});

Deno.test("which locks an NFS client keeps to its host", () => {
  const localLocks = (fs: string) => {
    const [mount] = parseMountinfo(`36 1 0:9 / /m rw - ${fs}\n`);
    const { flock, record } = localLocksOfNfs(mount!);
    return `${flock ? "flock " : ""}${record ? "record" : ""}`.trim();
  };
  const options = ["nolock", "local_lock=all", "local_lock=flock"];
  options.push("local_lock=posix", "local_lock=none", "hard");
  assertEquals(options.map((option) => localLocks(`nfs s:/ rw,${option}`)), [
    "flock record",
    "flock record",
    "flock",
    "record",
    "",
    "",
  ]);
  // The kernel says both of a mount with nolock; of the two it heeds one.
  assertEquals(localLocks("nfs s:/ rw,nolock,local_lock=none"), "");
  // The client of NFSv4 ignores them, by whichever name it was mounted.
  for (const option of options) {
    assertEquals(localLocks(`nfs4 s:/ rw,${option}`), "");
    assertEquals(localLocks(`nfs s:/ rw,vers=4.2,${option}`), "");
    assertEquals(localLocks(`nfs4 s:/ rw,vers=4.0,${option}`), "");
  }
});
