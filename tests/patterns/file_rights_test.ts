/** What belongs to a file beside its content stays when that is changed. */

import { assert, assertEquals } from "@std/assert";
import {
  transformFile,
  type TransformMethod,
} from "../../lib/patterns/transform_file.ts";
import { closeFile, O_RDONLY, openFile } from "../../lib/sys/file.ts";
import {
  type Attributes,
  readAttributes,
  setAttribute,
} from "../../lib/sys/storage/attributes.ts";
import {
  giveAway,
  needsOrdinary,
  ORDINARY,
  runCliAsOrdinary,
} from "../support/ordinary_user.ts";
import { needsRoot, unless } from "../support/programs.ts";
import { TempDir } from "../support/temp_dir.ts";

const METHODS: readonly TransformMethod[] = ["replace", "in-place"];
const encode = (text: string) => new TextEncoder().encode(text);
const ordinary = await needsOrdinary();

/** Entries of an access control list: tag, permissions, id. See acl(5). */
type AclEntry = readonly [tag: number, permissions: number, id?: number];
const USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, MASK = 16, OTHER = 32;

/** linux/posix_acl_xattr.h: a version, and entries of 2, 2 and 4 bytes. */
function acl(...entries: AclEntry[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(4 + 8 * entries.length));
  view.setUint32(0, 2, true);
  for (
    const [index, [tag, permissions, id = 0xffffffff]] of entries.entries()
  ) {
    view.setUint16(4 + 8 * index, tag, true);
    view.setUint16(6 + 8 * index, permissions, true);
    view.setUint32(8 + 8 * index, id, true);
  }
  return new Uint8Array(view.buffer);
}

const SHARED_ACL = acl(
  [USER_OBJ, 6],
  [USER, 4, 1234],
  [GROUP_OBJ, 4],
  [MASK, 4],
  [OTHER, 0],
);

function withFile<T>(path: string, use: (fd: number) => T): T {
  const fd = openFile(path, O_RDONLY);
  assert(fd >= 0, `open ${path}: ${fd}`);
  try {
    return use(fd);
  } finally {
    closeFile(fd);
  }
}

function attach(path: string, name: string, value: Uint8Array<ArrayBuffer>) {
  return withFile(path, (fd) => setAttribute(fd, name, value));
}

function attributesOf(path: string): Attributes | number {
  return withFile(path, readAttributes);
}

const attributes = unless((() => {
  using dir = new TempDir();
  return attach(dir.path, "system.posix_acl_default", SHARED_ACL) === 0 &&
      attach(dir.path, "user.test", encode("x")) === 0
    ? undefined
    : "no access control lists or attributes here";
})());

for (const method of METHODS) {
  Deno.test({
    name:
      `transform: set-user-ID and set-group-ID bits survive an ordinary user (${method})${ordinary.suffix}`,
    ignore: ordinary.ignore,
    async fn() {
      using dir = new TempDir();
      giveAway(dir.path);
      const path = dir.join("a");
      Deno.writeTextFileSync(path, "old\n");
      giveAway(path);
      Deno.chmodSync(path, 0o6755);
      const { code, stderr } = await runCliAsOrdinary(
        ["transform", "--method", method, path, "--", "echo", "new"],
      );
      assertEquals([code, stderr], [0, ""]);
      const { mode, uid, gid } = Deno.statSync(path);
      assertEquals([mode! & 0o7777, uid, gid], [
        0o6755,
        ORDINARY.uid,
        ORDINARY.gid,
      ]);
      assertEquals(Deno.readTextFileSync(path), "new\n");
    },
  });

  Deno.test({
    name:
      `transformFile: access control list and extended attributes survive (${method})${attributes.suffix}`,
    ignore: attributes.ignore,
    async fn() {
      using dir = new TempDir();
      const path = dir.join("a");
      Deno.writeTextFileSync(path, "old");
      Deno.chmodSync(path, 0o640);
      attach(path, "system.posix_acl_access", SHARED_ACL);
      attach(path, "user.note", encode("kept"));
      const before = attributesOf(path);
      assertEquals((before as Attributes).size, 2);
      const mode = Deno.statSync(path).mode;
      assertEquals(await transformFile(path, () => encode("new"), { method }), {
        method,
      });
      assertEquals(attributesOf(path), before);
      assertEquals(Deno.statSync(path).mode, mode);
    },
  });

  const root = needsRoot();
  Deno.test({
    name:
      `transformFile: the capabilities of a program survive (${method})${root.suffix}`,
    ignore: root.ignore || attributes.ignore,
    async fn() {
      using dir = new TempDir();
      const path = dir.join("a");
      Deno.writeTextFileSync(path, "old");
      Deno.chmodSync(path, 0o4755);
      // VFS_CAP_REVISION_2 and effective; CAP_NET_RAW permitted.
      const value = new Uint8Array(20);
      new DataView(value.buffer).setUint32(0, 0x02000001, true);
      new DataView(value.buffer).setUint32(4, 1 << 13, true);
      assertEquals(attach(path, "security.capability", value), 0);
      const before = attributesOf(path);
      await transformFile(path, () => encode("new"), { method });
      assertEquals(attributesOf(path), before);
      assertEquals(Deno.statSync(path).mode! & 0o7777, 0o4755);
    },
  });
}

Deno.test({
  name:
    `transformFile: a file takes over no access control list of its directory${attributes.suffix}`,
  ignore: attributes.ignore,
  async fn() {
    using dir = new TempDir();
    const path = dir.join("a");
    Deno.writeTextFileSync(path, "secret");
    Deno.chmodSync(path, 0o640);
    attach(dir.path, "system.posix_acl_default", SHARED_ACL);
    assertEquals(await transformFile(path, () => encode("new secret")), {
      method: "replace",
    });
    assertEquals(attributesOf(path), new Map());
    assertEquals(Deno.statSync(path).mode! & 0o7777, 0o640);
  },
});

const root = needsRoot();
Deno.test({
  name:
    `transform: another's file stays his when an ordinary user changes it${root.suffix}`,
  ignore: root.ignore || ordinary.ignore,
  async fn() {
    using dir = new TempDir();
    Deno.chmodSync(dir.path, 0o777);
    const path = dir.join("a");
    Deno.writeTextFileSync(path, "old\n");
    Deno.chmodSync(path, 0o666);
    const change = (...options: string[]) =>
      runCliAsOrdinary(
        ["transform", ...options, path, "--", "echo", "new"],
      );
    const refused = await change("--method=replace");
    assertEquals(refused.code, 65);
    assert(refused.stderr.includes("its owner can't be kept"), refused.stderr);
    assertEquals((await change()).code, 0);
    const { uid, gid, mode } = Deno.statSync(path);
    assertEquals([uid, gid, mode! & 0o7777], [0, 0, 0o666]);
    assertEquals(Deno.readTextFileSync(path), "new\n");
    assertEquals([...Deno.readDirSync(dir.path)].length, 1);
  },
});
