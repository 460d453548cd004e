import { assert, assertEquals } from "@std/assert";
import { VERSION } from "../../cli/version.ts";
import { buildNpm } from "../../tools/build_npm.ts";
import { needs } from "../support/programs.ts";
import { TempDir } from "../support/temp_dir.ts";

const npm = needs("npm", "node");

async function output(
  command: string,
  args: string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd,
    env,
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test({
  name: `the npm package: packed and installed, its command runs under the ` +
    `Deno that came with it${npm.suffix}`,
  ignore: npm.ignore,
  async fn() {
    using dir = new TempDir();
    await buildNpm(dir.join("package"));
    const packed = JSON.parse(
      await output(
        "npm",
        ["pack", "--json", "--pack-destination", dir.path], //
        dir.join("package"),
      ),
    );
    const [{ filename, files }] = packed;
    assertEquals(
      files.map(({ path }: { path: string }) => path).sort(),
      [
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "holdfast",
        "holdfast.js",
        "package.json",
      ],
    );
    // A registry that has gone silent is asked again soon.
    const install = [
      "install",
      "--silent",
      "--no-audit",
      "--no-fund",
      "--prefer-offline",
      "--fetch-timeout=30000",
    ];
    for (const scripts of ["--ignore-scripts", "--foreground-scripts"]) {
      const prefix = dir.join(scripts.slice(2));
      Deno.mkdirSync(prefix);
      await output("npm", [
        ...install,
        scripts,
        "--prefix",
        prefix,
        dir.join(filename),
      ], dir.path);
      const command = `${prefix}/node_modules/.bin/holdfast`;
      // No other Deno is in reach.
      const env = { PATH: "/usr/sbin:/bin", HOLDFAST_DENO: "" };
      assertEquals(
        await output(command, ["--version"], dir.path, env),
        `holdfast ${VERSION}\n`,
      );
      const args = ["run", dir.join("a.lock"), "--", "readlink", "/proc/self"];
      assert(/^\d+\n$/.test(await output(command, args, dir.path, env)));
      assertEquals(
        await output(
          command,
          [
            "run",
            "--exec",
            dir.join("a.lock"),
            "--",
            "sh",
            "-c",
            "echo $HOLDFAST_LOCK",
          ],
          dir.path,
          env,
        ),
        `${dir.join("a.lock")}\n`,
      );
    }
  },
});
