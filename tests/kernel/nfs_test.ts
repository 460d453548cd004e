/** What is said about NFS, on a real server and two real clients. */

import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { needs } from "../support/programs.ts";

const KERNEL = Deno.env.get("HOLDFAST_VM_KERNEL") ?? "";
const programs = needs("qemu-system-x86_64", "busybox", "exportfs");
const suffix = KERNEL === ""
  ? " (skipped: HOLDFAST_VM_KERNEL names no unpacked linux-image package)"
  : programs.suffix;

/** What each case of nfs_guest.sh has printed, and its exit code. */
async function runGuest(): Promise<Map<string, [string, number]>> {
  const path = (name: string) =>
    fromFileUrl(new URL(`./${name}`, import.meta.url));
  const { stdout } = await new Deno.Command("bash", {
    args: [path("nfs_vm.sh"), KERNEL, path("nfs_guest.sh")],
    stderr: "inherit",
  }).output();
  const text = new TextDecoder().decode(stdout).replaceAll("\r", "");
  const [, said = ""] = text.split("@@@");
  const cases = new Map<string, [string, number]>();
  let lines: string[] = [];
  for (const line of said.split("\n")) {
    const [, name, code] = /^CASE (\S+) (\d+)$/.exec(line) ?? [];
    if (name === undefined) {
      lines.push(line);
    } else {
      cases.set(name, [lines.join("\n"), Number(code)]);
      lines = [];
    }
  }
  return cases;
}

Deno.test({
  name: `NFS 4.2: one server, two clients${suffix}`,
  ignore: suffix !== "",
  async fn(t) {
    const cases = await runGuest();
    const expected: [name: string, code: number, output: RegExp][] = [
      [
        "refused",
        69,
        /Cannot rely on flock for "\/mnt\/a\/lock": it is on nfs/,
      ],
      ["both", 69, /the two are the same lock/],
      ["doctor", 1, /not safe for flock, use link[^]*flock: NO, the client's/],
      ["doctor-server", 1, /flock: NO, this host exports the path/],
      ["free", 0, /free \(no holders recorded\)/],
      ["flock-other-client", 75, /held by somebody else/],
      ["ofd-other-client", 75, /held by somebody else/],
      // What the doctor warns of: the server's own flock excludes no client.
      ["flock-server", 0, /^\s*$/],
      ["ofd-server", 75, /cmd=\[(nfsd|lockd)\]/],
      ["who-client", 1, /FLOCK WRITE/],
      ["who-other-client", 1, /a process that can't be seen from here/],
      ["who-server", 1, /POSIX WRITE/],
      ["test-other-client", 1, /only its server knows the locks of other/],
      ["timed", 0, /LockTimeoutError true/],
      [
        "gc-other-client",
        0,
        /b\/free.lock": removed\n"\/mnt\/b\/held.lock": kept, somebody/,
      ],
      [
        "gc-client",
        0,
        /a\/free.lock": removed\n"\/mnt\/a\/held.lock": kept, somebody/,
      ],
      ["gc-server", 0, /held.lock": removed/],
      ["link", 75, /held by pid \d+/],
      ["link-count", 0, /^\s*20$/],
    ];
    for (const [name, code, output] of expected) {
      await t.step(name, () => {
        const [said, exitCode] = cases.get(name) ?? ["nothing", -1];
        assertMatch(said, output);
        assertEquals(exitCode, code, said);
      });
    }
  },
});
