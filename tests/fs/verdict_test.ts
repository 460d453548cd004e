import { assertEquals } from "@std/assert";
import { judgeFilesystem, LOCK_KINDS, type TrustTable } from "../../mod.ts";
import { parseMountinfo } from "../../lib/proc/mountinfo.ts";

/**
 * What mountinfo says after its separator, whether the path is exported, and
 * by kind a letter each for host, clients and server: `y`es, `n`o, `?` for
 * depends, `-` for parties that there are not between others that there are.
 */
const CASES: [string, boolean, string][] = [
  ["ext4 /dev/a rw", false, "flock y, posix y, ofd y, link y"],
  ["btrfs /dev/a rw", false, "flock y, posix y, ofd y, link y"],
  ["overlay overlay rw,xino=off", false, "flock y, posix y, ofd y, link y"],
  ["xfs /dev/a rw", true, "flock y-n, posix y-y, ofd y-y, link y-y"],
  [
    "nfs4 srv:/ rw,vers=4.2,hard,local_lock=none",
    false,
    "flock yyn, posix yyy, ofd yyy, link yyy",
  ],
  [
    "nfs4 srv:/ rw,vers=4.2,local_lock=flock",
    false,
    "flock ynn, posix yyy, ofd yyy, link yyy",
  ],
  [
    "nfs srv:/ rw,vers=3,local_lock=posix",
    false,
    "flock y?n, posix ynn, ofd ynn, link yyy",
  ],
  [
    "nfs srv:/ rw,vers=3,nolock,local_lock=all",
    false,
    "flock ynn, posix ynn, ofd ynn, link yyy",
  ],
  [
    "nfs srv:/ rw,vers=3,nolock",
    false,
    "flock ynn, posix ynn, ofd ynn, link yyy",
  ],
  [
    "nfs srv:/ rw,vers=3,local_lock=none",
    false,
    "flock y?n, posix y??, ofd y??, link yyy",
  ],
  [
    "nfs4 srv:/ rw,vers=4.1,soft",
    false,
    "flock y?n, posix y??, ofd y??, link yyy",
  ],
  ["cifs //s/x rw,vers=3.1.1", false, "flock y?, posix y?, ofd y?, link ??"],
  ["cifs //s/x rw,nobrl", false, "flock yn, posix yn, ofd yn, link ??"],
  ["fuse.sshfs h: rw", false, "flock ?n, posix ?n, ofd ?n, link ??"],
  ["fuse.bindfs /x rw", false, "flock ??, posix ??, ofd ??, link ??"],
  ["fuse x rw", false, "flock ??, posix ??, ofd ??, link ??"],
  ["9p share rw,trans=virtio", false, "flock yn, posix yn, ofd yn, link y?"],
  ["virtiofs share rw", false, "flock yn, posix yn, ofd yn, link y?"],
  ["ceph m:/ rw", false, "flock y?, posix y?, ofd y?, link y?"],
  ["lustre m:/ rw,flock", false, "flock yy, posix yy, ofd yy, link yy"],
  ["lustre m:/ rw,localflock", false, "flock yn, posix yn, ofd yn, link yy"],
  ["lustre m:/ rw", false, "flock nn, posix nn, ofd nn, link yy"],
  ["gfs2 /dev/a rw", false, "flock y?, posix y?, ofd y?, link yy"],
  ["gfs2 /dev/a rw,localflocks", false, "flock yn, posix yn, ofd yn, link yy"],
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

for (const [line, exported, expected] of CASES) {
  const name = `judgeFilesystem: ${line}${exported ? ", exported" : ""}`;
  Deno.test(name, () => {
    const [mount] = parseMountinfo(`36 1 0:9 / /m rw - ${line}\n`);
    const table = judgeFilesystem(mount!, exported);
    const summary = LOCK_KINDS.map((kind) => `${kind} ${letters(table[kind])}`);
    assertEquals(summary.join(", "), expected);
  });
}
