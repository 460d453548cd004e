/** Link locks between users: what one may not touch the other leaves alone. */
import { assertEquals, assertMatch } from "@std/assert";
import { formatLinkOwner } from "../../../lib/lock/link/owner.ts";
import { newOwner } from "../../../lib/lock/link/protocol.ts";
import { cliArgs } from "../../support/cli.ts";
import { asNobody, needsNobody } from "../../support/nobody.ts";
import { TempDir } from "../../support/temp_dir.ts";

const nobody = needsNobody();

for (
  const [name, mode, fileMode, says] of [
    [
      "may not be read",
      0o777,
      0o600,
      /it may not be read by this user; it is left alone/,
    ],
    [
      "is another's in a sticky directory",
      0o1777,
      0o644,
      /Cannot remove link lock .*not permitted/,
    ],
  ] as const
) {
  Deno.test({
    name: `a stale link lock that ${name}${nobody.suffix}`,
    ignore: nobody.ignore,
    fn() {
      using dir = new TempDir();
      Deno.chmodSync(dir.path, mode);
      const path = dir.join("a");
      const ended = new Deno.Command("sh", { args: ["-c", "echo $$"] })
        .outputSync();
      const text = formatLinkOwner({
        ...newOwner({ fence: 1, message: null, leaseMs: null }),
        pid: Number(new TextDecoder().decode(ended.stdout)),
      });
      Deno.writeTextFileSync(path, text, { mode: fileMode });
      for (
        const args of [
          ["link", "break", path],
          ["run", "-k", "link", path, "--", "true"],
        ]
      ) {
        const { success, stderr } = asNobody(
          dir,
          Deno.execPath(),
          cliArgs(args),
        );
        assertEquals(success, false);
        assertMatch(new TextDecoder().decode(stderr), says);
        assertEquals(Deno.readTextFileSync(path), text);
      }
      assertEquals(
        [...Deno.readDirSync(dir.path)].map(({ name }) => name)
          .filter((name) => name.startsWith(".a")),
        [],
      );
    },
  });
}

Deno.test({
  name:
    `a link lock is released under a umask that takes all rights${nobody.suffix}`,
  ignore: nobody.ignore,
  fn() {
    using dir = new TempDir();
    Deno.chmodSync(dir.path, 0o777);
    const path = dir.join("a");
    for (const lease of [[], ["--lease", "1m"]]) {
      const words = ["run", "-k", "link", ...lease, path, "--", "true"];
      const { code, stderr } = asNobody(dir, "sh", [
        "-c",
        'umask 777; exec "$@"',
        "sh",
        Deno.execPath(),
        ...cliArgs(words),
      ]);
      assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
      assertEquals(
        [...Deno.readDirSync(dir.path)].some(({ name }) => name === "a"),
        false,
      );
    }
  },
});
