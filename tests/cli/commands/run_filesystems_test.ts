/** Where `run` refuses a flock: by statfs, by mountinfo, by what is served. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { cliArgs } from "../../support/cli.ts";
import { needsMounts, PrivateMounts } from "../../support/private_mounts.ts";
import { TempDir } from "../../support/temp_dir.ts";

interface Case {
  name: string;
  programs: string[];
  /** Mounts what is needed, in an empty directory. */
  setup: string;
  /** The lock file, below the directory. */
  lock: string;
  /** What the refusal says. */
  says: string;
}

const CASES: Case[] = [
  {
    name: "an overlay whose lower layer is FUSE",
    programs: ["bindfs"],
    setup: "mkdir s r u w m; bindfs s r; " +
      'mount -t overlay -o "lowerdir=$PWD/r,upperdir=u,workdir=w" o m',
    lock: "m/a.lock",
    says: "it is on overlay over fuse, where the lock stays on this overlay",
  },
  {
    name: "a directory that Samba serves",
    programs: [],
    setup: "mkdir -p s etc/samba run/samba; : > run/samba/smbd.pid; " +
      'printf "[s]\\npath = %s\\n" "$PWD/s" > etc/samba/smb.conf; ' +
      "mount --bind etc /etc; mount --bind run /run",
    lock: "s/a.lock",
    says: "a client's lock isn't seen by processes of this host",
  },
];

for (const { name, programs, setup, lock, says } of CASES) {
  const guard = needsMounts(...programs);
  Deno.test({
    name: `run refuses ${name}, unless it is told otherwise${guard.suffix}`,
    ignore: guard.ignore,
    async fn() {
      using dir = new TempDir();
      await using mounts = await PrivateMounts.create(dir.path, setup);
      const run = async (...options: string[]) => {
        const path = dir.join(lock);
        const output = await mounts.output(
          Deno.execPath(),
          cliArgs(["run", "-n", ...options, path, "--", "echo", "ran"]),
        );
        const decoder = new TextDecoder();
        return {
          code: output.code,
          stdout: decoder.decode(output.stdout),
          stderr: decoder.decode(output.stderr),
        };
      };
      const refused = await run();
      assertEquals([refused.code, refused.stdout], [69, ""]);
      assertStringIncludes(refused.stderr, says);
      assertEquals(await run("--allow-remote"), {
        code: 0,
        stdout: "ran\n",
        stderr: "",
      });
    },
  });
}
