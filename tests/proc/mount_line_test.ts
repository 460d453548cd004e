import { assertEquals } from "@std/assert";
import { findMountSource, overlayLayers } from "../../lib/proc/mount_line.ts";
import { parseMountinfo } from "../../lib/proc/mountinfo.ts";

const CAPTURED = new URL(
  "../testdata/proc/mountinfo_namespace/mountinfo",
  import.meta.url,
);

Deno.test("findMountSource: of each line what parseMountinfo says of it", () => {
  const text = Deno.readTextFileSync(CAPTURED) +
    "900 1 0:9 /a\\040-\\040b /m\\040- rw,x shared:1 - 9p share rw,trans=virtio\n";
  for (const mount of parseMountinfo(text)) {
    assertEquals(findMountSource(text, mount.mountId), {
      fsType: mount.fsType,
      superOptions: mount.superOptions.join(","),
    });
  }
  assertEquals(findMountSource(text, 12345), undefined);
  assertEquals(findMountSource("", 1), undefined);
  assertEquals(findMountSource("7 torn", 7), undefined);
});

Deno.test("overlayLayers: every directory, with what is escaped", () => {
  assertEquals(
    overlayLayers(
      "rw,lowerdir=/l1:/l\\:2::/data,upperdir=/u\\,1,workdir=/w,xino=off",
    ),
    ["/l1", "/l:2", "/data", "/u,1"],
  );
  assertEquals(overlayLayers("rw,lowerdir+=/a b,datadir+=/d"), [
    "/a b",
    "/d",
  ]);
  assertEquals(overlayLayers("rw"), []);
});
