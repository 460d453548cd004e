import { assertEquals } from "@std/assert";
import { findLeaseMs } from "../../lib/proc/mountstats.ts";

/** A mount of NFS as Linux 6.1 tells of it, cut short. */
function nfsMount(mountPoint: string, lease: string): string {
  return `device 10.0.1.1:/x mounted on ${mountPoint} with fstype nfs4 statvers=1.1
\topts:\trw,vers=4.2,rsize=262144,hard,proto=tcp,timeo=600,local_lock=none
\tage:\t3
\tcaps:\tcaps=0xffbffff,wtmult=512,dtsize=262144,bsize=0,namlen=255
\tnfsv4:\tbm0=0xfdffafff,bm1=0xf9be3e,bm2=0x68800,acl=0x3,sessions,pnfs=not configured,${lease}lease_expired=0
\tsec:\tflavor=1,pseudoflavor=1
\tevents:\t0 0 0 0 0
`;
}

const LOCAL = "device /dev/vda mounted on / with fstype ext4\n" +
  "no device mounted on /proc with fstype proc\n";

Deno.test("a lease is found by its mount point", () => {
  const text = LOCAL + nfsMount("/mnt/a", "lease_time=90,") +
    nfsMount("/mnt/b", "lease_time=10,") + LOCAL;
  assertEquals(findLeaseMs(text, "/mnt/a"), 90_000);
  assertEquals(findLeaseMs(text, "/mnt/b"), 10_000);
  assertEquals(findLeaseMs(text, "/mnt"), undefined);
  assertEquals(findLeaseMs(text, "/"), undefined);
});

Deno.test("of two mounts on one mount point the last one counts", () => {
  const text = nfsMount("/mnt/a", "lease_time=90,") +
    nfsMount("/mnt/a", "lease_time=45,");
  assertEquals(findLeaseMs(text, "/mnt/a"), 45_000);
});

Deno.test("a mount point with blanks is escaped, and told from a longer one", () => {
  const text = nfsMount("/mnt/my\\040disk", "lease_time=30,");
  assertEquals(findLeaseMs(text, "/mnt/my disk"), 30_000);
  assertEquals(findLeaseMs(text, "/mnt/my"), undefined);
});

Deno.test("before Linux 5.0, and without NFSv4, there is no word of a lease", () => {
  assertEquals(findLeaseMs(nfsMount("/mnt/a", ""), "/mnt/a"), undefined);
  assertEquals(findLeaseMs(LOCAL, "/"), undefined);
  assertEquals(findLeaseMs("", "/"), undefined);
});

Deno.test("a lease of nonsense is none", () => {
  for (const lease of ["lease_time=,", "lease_time=x,", "lease_time=-9,"]) {
    assertEquals(findLeaseMs(nfsMount("/mnt/a", lease), "/mnt/a"), undefined);
  }
});
