import { assertEquals, assertThrows } from "@std/assert";
import { ProcParseError } from "../../lib/proc/error.ts";
import {
  findMount,
  type MountInfo,
  parseMountinfo,
} from "../../lib/proc/mountinfo.ts";
import { capture, captureBytes, countLines, Random } from "./support.ts";

/** A plain mount, changed as said. */
function mount(changes: Partial<MountInfo> = {}): MountInfo {
  return {
    mountId: 36,
    parentId: 35,
    major: 98,
    minor: 0,
    root: "/",
    mountPoint: "/mnt",
    mountOptions: ["rw", "noatime"],
    optionalFields: [],
    fsType: "ext4",
    source: "/dev/sda1",
    superOptions: ["rw"],
    superOptionsText: "rw",
    ...changes,
  };
}

const HEAD = "36 35 98:0 / /mnt rw,noatime";

const CASES: [name: string, text: string, mounts: MountInfo[]][] = [
  ["empty text", "", []],
  ["blank lines", "\n \r\n\r\r\n\n", []],
  ["no last line end", `${HEAD} - ext4 /dev/sda1 rw`, [mount()]],
  ["CRLF", `${HEAD} - ext4 /dev/sda1 rw\r\n`, [mount()]],
  [
    "optional fields, known and unknown",
    `${HEAD} shared:1 master:2 propagate_from:3 unbindable new - ext4 ` +
    "/dev/sda1 rw\n",
    [mount({
      optionalFields: [
        "shared:1",
        "master:2",
        "propagate_from:3",
        "unbindable",
        "new",
      ],
    })],
  ],
  [
    "octal escapes in every text",
    "36 35 98:0 /a\\040b\\134040 /m\\011\\012\\303\\251 rw,noatime - " +
    "fuse.x\\040y h\\043:/x\\040y rw\n",
    [mount({
      root: "/a b\\040",
      mountPoint: "/m\t\né",
      fsType: "fuse.x y",
      source: "h#:/x y",
    })],
  ],
  [
    "a dash as a name",
    "36 35 98:0 - - rw,noatime - - - rw\n",
    [mount({ root: "-", mountPoint: "-", fsType: "-", source: "-" })],
  ],
  ["an empty source", `${HEAD} - ext4  rw\n`, [mount({ source: "" })]],
  [
    "escaped commas, quoted commas and blanks in options",
    `${HEAD} - ext4 /dev/sda1 rw,upperdir=/a\\054b,` +
    'context="u:r:t:s0:c1,c2",x="open,path=C:\\134;y z\n',
    [mount({
      superOptions: [
        "rw",
        "upperdir=/a,b",
        'context="u:r:t:s0:c1,c2"',
        'x="open',
        "path=C:\\;y z",
      ],
      superOptionsText: "rw,upperdir=/a\\054b," +
        'context="u:r:t:s0:c1,c2",x="open,path=C:\\134;y z',
    })],
  ],
  [
    "roots that are no paths",
    "36 35 98:0 net:[4026531992] /mnt rw,noatime - ext4 /dev/sda1 rw\n" +
    "36 35 98:0 /gone//deleted /mnt rw,noatime - ext4 /dev/sda1 rw\n",
    [mount({ root: "net:[4026531992]" }), mount({ root: "/gone//deleted" })],
  ],
  [
    "replacement characters",
    "36 35 98:0 / /\ufffd rw,noatime - ext4 /dev/sda1 rw\n",
    [mount({ mountPoint: "/\ufffd" })],
  ],
];

for (const [name, text, mounts] of CASES) {
  Deno.test(`parseMountinfo: ${name}`, () => {
    assertEquals(parseMountinfo(text), mounts);
  });
}

const BAD: [line: string, expected: string][] = [
  ["x", "a mount id"],
  ["-1 35 98:0 / /mnt rw - ext4 a rw", "a mount id"],
  ["36", "a parent mount id"],
  ["36 35", "a device major:minor"],
  ["36 35 98 / /mnt rw - ext4 a rw", "a device major:minor"],
  ["36 35 98:0:1 / /mnt rw - ext4 a rw", "a device major:minor"],
  ["36 35 98:99999999999999999999 / /mnt rw - ext4 a rw", "a device"],
  ["36 35 98:0", "a root"],
  ["36 35 98:0  /mnt rw - ext4 a rw", "a root"],
  ["36 35 98:0 /", "a mount point"],
  ["36 35 98:0 / /mnt", "mount options"],
  ["36 35 98:0 / /mnt rw shared:1", "a separator"],
  ["36 35 98:0 / /mnt rw -", "a filesystem type"],
  ["36 35 98:0 / /mnt rw - ext4", "a source and superblock options"],
  ["36 35 98:0 / /mnt rw - ext4 /dev/sda1", "a source and superblock options"],
];

for (const [line, expected] of BAD) {
  Deno.test(`parseMountinfo refuses ${line}`, () => {
    const good = `${HEAD} - ext4 /dev/sda1 rw\n`;
    const error = assertThrows(
      () => parseMountinfo(good + line),
      ProcParseError,
      expected,
    );
    assertEquals(
      [error.source, error.line, error.text],
      ["/proc/self/mountinfo", 2, line],
    );
    const lines: number[] = [];
    assertEquals(
      parseMountinfo(`${line}\n${good}`, {
        onError: (error) => lines.push(error.line),
      }),
      [mount()],
    );
    assertEquals(lines, [1]);
  });
}

Deno.test("parseMountinfo: captured mounts with hard names", () => {
  const mounts = parseMountinfo(capture("mountinfo_namespace/mountinfo"));
  const tmpfs = {
    parentId: 63,
    major: 0,
    mountOptions: ["rw", "relatime"],
    fsType: "tmpfs",
  };
  assertEquals(mounts.slice(0, 1), [
    mount({
      mountId: 43,
      parentId: 42,
      major: 254,
      mountPoint: "/",
      mountOptions: ["rw", "relatime"],
      source: "/dev/vda",
      superOptions: ["rw", "discard"],
      superOptionsText: "rw,discard",
    }),
  ]);
  const overlay = "rw,lowerdir=/mnt/lower,upperdir=/mnt/up\\134\\054per," +
    "workdir=/mnt/work\\134\\054x,uuid=on";
  assertEquals(
    mounts.slice(mounts.findIndex((mount) => mount.mountId === 64)),
    [
      { mountId: 64, minor: 40, mountPoint: "/mnt/a b", source: "src a b" },
      {
        mountId: 65,
        minor: 41,
        mountPoint: "/mnt/back\\slash",
        source: "src back\\slash",
      },
      {
        mountId: 66,
        minor: 42,
        mountPoint: "/mnt/tab\tx",
        source: "src tab\tx",
      },
      { mountId: 67, minor: 43, mountPoint: "/mnt/nl\nx", source: "src nl\nx" },
      { mountId: 68, minor: 44, mountPoint: "/mnt/é#", source: "src é#" },
      { mountId: 69, minor: 45, mountPoint: "/mnt/stack", source: "one" },
      {
        mountId: 70,
        parentId: 69,
        minor: 46,
        mountPoint: "/mnt/stack",
        source: "two",
      },
      {
        mountId: 73,
        minor: 47,
        mountPoint: "/mnt/merged",
        fsType: "overlay",
        source: "overlay",
        superOptions: [
          "rw",
          "lowerdir=/mnt/lower",
          "upperdir=/mnt/up\\,per",
          "workdir=/mnt/work\\,x",
          "uuid=on",
        ],
        superOptionsText: overlay,
      },
      { mountId: 74, minor: 49, mountPoint: "/mnt/hid/sub", source: "hidden" },
      { mountId: 75, minor: 50, mountPoint: "/mnt/hid", source: "cover" },
      {
        mountId: 76,
        minor: 51,
        mountPoint: "/mnt/up",
        optionalFields: ["unbindable"],
        source: "",
      },
      {
        mountId: 77,
        minor: 40,
        mountPoint: "/mnt/bind",
        optionalFields: ["shared:1"],
        source: "src a b",
      },
    ].map((changes) => mount({ ...tmpfs, ...changes })),
  );
});

const PATHS: [path: string, mountId: number | undefined][] = [
  ["/", 43],
  ["/etc/passwd", 43],
  ["/mntx", 43],
  ["/mnt", 63],
  ["/mnt/", 63],
  ["/mnt/stacking", 63],
  ["/mnt/stack", 70],
  ["/mnt/stack/file", 70],
  ["/mnt/a b/file", 64],
  ["/mnt/nl\nx/y", 67],
  ["/mnt/é#/y", 68],
  // stat(1) said that /mnt/hid/sub is on the mount at /mnt/hid.
  ["/mnt/hid/sub", 75],
  ["/mnt/hid/sub/file", 75],
  ["/dev/shm/x", 60],
  ["/dev/pts/0", 62],
  ["/dev/null", 58],
  ["mnt", undefined],
  ["", undefined],
];

for (const [path, mountId] of PATHS) {
  Deno.test(`findMount: ${JSON.stringify(path)}`, () => {
    const mounts = parseMountinfo(capture("mountinfo_namespace/mountinfo"));
    assertEquals(findMount(mounts, path)?.mountId, mountId);
  });
}

Deno.test("findMount: mounts below a covered mount are covered too", () => {
  const mounts = parseMountinfo(
    "1 0 8:1 / / rw - ext4 a rw\n" +
      "2 1 0:2 / /a/b rw - tmpfs b rw\n" +
      "3 2 0:3 / /a/b/c rw - tmpfs c rw\n" +
      "4 1 0:4 / /a rw - tmpfs a rw\n" +
      "5 4 0:5 / /a/b rw - tmpfs new rw\n",
  );
  assertEquals(findMount(mounts, "/a/b/c/d")?.mountId, 5);
  assertEquals(findMount(mounts.slice(0, 4), "/a/b/c/d")?.mountId, 4);
  assertEquals(findMount(mounts.slice(0, 3), "/a/b/c/d")?.mountId, 3);
});

Deno.test("findMount: an outer mount listed first covers no inner one", () => {
  const mounts = parseMountinfo(
    "1 0 8:1 / / rw - ext4 a rw\n" +
      "2 1 0:2 / /a rw - tmpfs a rw\n" +
      "3 1 0:3 / /a/b rw - tmpfs b rw\n",
  );
  assertEquals(findMount(mounts, "/a/b/c")?.mountId, 3);
});

Deno.test("findMount: a list that does not reach the root", () => {
  const mounts = [mount({ mountId: 5, parentId: 5, mountPoint: "/x" })];
  assertEquals(findMount(mounts, "/x/y"), mounts[0]);
  assertEquals(findMount(mounts, "/y"), undefined);
  assertEquals(findMount([], "/y"), undefined);
});

/** Escapes as the kernel does, and some more. */
function escape(text: string, characters = " \t\n\\#"): string {
  return [...text].map((character) =>
    characters.includes(character)
      ? "\\" + character.charCodeAt(0).toString(8).padStart(3, "0")
      : character
  ).join("");
}

function render(mount: MountInfo): string {
  return [
    mount.mountId,
    mount.parentId,
    `${mount.major}:${mount.minor}`,
    escape(mount.root),
    escape(mount.mountPoint),
    mount.mountOptions.join(","),
    ...mount.optionalFields,
    "-",
    escape(mount.fsType),
    escape(mount.source),
    mount.superOptionsText,
  ].join(" ") + "\n";
}

Deno.test("what is rendered from mounts is parsed to the same mounts", () => {
  const random = new Random(5);
  const randomMount = (): MountInfo => {
    const superOptions = [
      "rw",
      ...random.list(3, () => `key=${random.text(8).replaceAll('"', "")}`),
    ];
    return {
      mountId: random.int(2 ** 31),
      parentId: random.int(2 ** 31),
      major: random.int(4096),
      minor: random.int(1 << 20),
      root: `/${random.text(8)}`,
      mountPoint: `/${random.text(8)}`,
      mountOptions: ["rw", ...random.list(3, () => "noatime")],
      optionalFields: random.list(3, () => `shared:${random.int(99)}`),
      fsType: random.pick(["ext4", "fuse.a b", "nfs4"]),
      source: random.text(8),
      superOptions,
      superOptionsText: superOptions.map((option) => escape(option, ", \t\n\\"))
        .join(","),
    };
  };
  for (let i = 0; i < 500; i++) {
    const mounts = random.list(6, randomMount);
    assertEquals(parseMountinfo(mounts.map(render).join("")), mounts);
  }
});

Deno.test("of mutated mounts every line is a mount or an error", () => {
  const random = new Random(6);
  const bytes = captureBytes("mountinfo_namespace/mountinfo");
  let failures = 0;
  for (let i = 0; i < 2000; i++) {
    const text = new TextDecoder().decode(random.mutate(bytes));
    const errors: ProcParseError[] = [];
    const mounts = parseMountinfo(text, { onError: (e) => errors.push(e) });
    assertEquals(mounts.length + errors.length, countLines(text));
    findMount(mounts, "/mnt/hid/sub/file");
    if (errors.length > 0) {
      failures++;
      assertThrows(() => parseMountinfo(text), ProcParseError);
    }
  }
  assertEquals(failures > 200, true);
});
