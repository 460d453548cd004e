import { copySync } from "@std/fs/copy";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { VERSION } from "../../cli/version.ts";
import { bundle } from "../../tools/bundle.ts";
import { CLI_PERMISSIONS } from "../../tools/cli_permissions.ts";
import { compileArgs, TARGETS } from "../../tools/compile.ts";
import { ROOT } from "../../tools/project.ts";
import { type ProgramResult, runProgram } from "../support/run_program.ts";
import { TempDir } from "../support/temp_dir.ts";

/** Runs a program where there is no configuration of ours, nor a package. */
function run(
  command: string,
  args: string[],
  dir: TempDir,
  env: Record<string, string> = {},
): Promise<ProgramResult> {
  return runProgram(command, args, {
    cwd: dir.path,
    env: {
      NO_COLOR: "1",
      NPM_CONFIG_REGISTRY: "http://127.0.0.1:9/",
      HOLDFAST_DENO: Deno.execPath(),
      ...env,
    },
  });
}

/** What must work wherever and however the tool is installed. */
async function assertWorks(command: string, dir: TempDir): Promise<void> {
  assertEquals(await run(command, ["--version"], dir), {
    code: 0,
    stdout: `holdfast ${VERSION}\n`,
    stderr: "",
  });
  const lock = dir.join("a.lock");
  for (const option of ["--exec", "--on-supervisor-death=kill", "--report"]) {
    const args = ["run", option, lock, "--", "sh", "-c", "echo in; exit 3"];
    const { code, stdout } = await run(command, args, dir);
    assertEquals([code, stdout], [3, "in\n"], option);
  }
  // Packages are in it, and need no registry.
  const { code, stderr } = await run(command, ["wo"], dir);
  assertEquals(code, 64);
  assertStringIncludes(stderr, "did you mean 'who'?");
  // So is the client library of PostgreSQL, and the parts of node: it uses.
  const locks = await run(
    command,
    ["locks", "postgres://a@127.0.0.1:1/b"],
    dir,
  );
  assertEquals(locks.code, 69, locks.stderr);
  assertStringIncludes(locks.stderr, "nothing listens at 127.0.0.1:1");
  // Deno's own API, that each permission but FFI is for.
  const page = dir.join("page.html");
  const html = await run(command, ["locks", "--html", page], dir);
  assertEquals(html.code, 0, html.stderr);
  assertStringIncludes(Deno.readTextFileSync(page), "<html");
}

Deno.test("bundle: one file that works by itself, under any name", async () => {
  using dir = new TempDir();
  await bundle(dir.join("holdfast.js"));
  await assertWorks(dir.join("holdfast.js"), dir);
  Deno.renameSync(dir.join("holdfast.js"), dir.join("hf"));
  await assertWorks(dir.join("hf"), dir);
});

Deno.test("bundle: no part of node: is loaded at every start", async () => {
  using dir = new TempDir();
  await bundle(dir.join("holdfast.js"));
  const code = Deno.readTextFileSync(dir.join("holdfast.js"));
  assertEquals(code.match(/(from|import) ?"[a-z@./][^"]*"/g), null);
});

Deno.test("compile: what would be embedded is the bundle alone", async () => {
  using dir = new TempDir();
  const source = dir.join("holdfast.js");
  await bundle(source);
  const info = await run(Deno.execPath(), [
    "info",
    "--json",
    "--no-config",
    source,
  ], dir);
  const { modules, npmPackages } = JSON.parse(info.stdout);
  // What is written in the bundle itself, or belongs to the runtime, is no file.
  assertEquals(
    modules.map(({ specifier }: { specifier: string }) => specifier)
      .filter((specifier: string) => !/^(?:data|node):/.test(specifier)),
    [`file://${source}`],
  );
  assertEquals(npmPackages, {});
});

Deno.test("compile: with exactly the permissions that are needed", () => {
  for (const target of [...TARGETS, undefined]) {
    const args = compileArgs("in.js", "out", target);
    assertEquals(
      args.filter((arg) => /^-A$|^--allow/.test(arg)),
      CLI_PERMISSIONS,
    );
    assertEquals(args.includes("--target"), target !== undefined);
  }
});

const denort = Deno.env.get("DENORT_BIN");

Deno.test({
  name: "compile: the binary works" +
    (denort ? "" : " (DENORT_BIN does not name a runtime to put into it)"),
  ignore: !denort,
  async fn() {
    using dir = new TempDir();
    const source = dir.join("holdfast.js");
    await bundle(source);
    const binary = dir.join("holdfast");
    const { code, stderr } = await run(
      Deno.execPath(),
      compileArgs(source, binary),
      dir,
    );
    assertEquals(code, 0, stderr);
    Deno.removeSync(source);
    await assertWorks(binary, dir);
  },
});

Deno.test("bin/: run the bundle when there is one, by a symbolic link", async () => {
  using dir = new TempDir();
  copySync(`${ROOT}/bin`, dir.join("bin"));
  Deno.mkdirSync(dir.join("path"));
  for (const name of ["holdfast", "flock"]) {
    Deno.symlinkSync(`../bin/${name}`, dir.join(`path/${name}`));
  }
  await bundle(dir.join("dist/holdfast.js"));
  await assertWorks(dir.join("path/holdfast"), dir);
  const args = [dir.join("b.lock"), "echo", "in"];
  assertEquals(await run(dir.join("path/flock"), args, dir), {
    code: 0,
    stdout: "in\n",
    stderr: "",
  });
});

Deno.test("deno install -g: the bundle becomes a command", async () => {
  using dir = new TempDir();
  await bundle(dir.join("holdfast.js"));
  const { code, stderr } = await run(Deno.execPath(), [
    "install",
    "--global",
    "--quiet",
    "--no-config",
    "--no-prompt",
    "--root",
    dir.join("root"),
    "--name",
    "holdfast",
    ...CLI_PERMISSIONS,
    dir.join("holdfast.js"),
  ], dir);
  assertEquals(code, 0, stderr);
  await assertWorks(dir.join("root/bin/holdfast"), dir);
});

/** What Deno's API asks a permission for, by name. */
const NEEDED: readonly (readonly [RegExp, ...string[]])[] = [
  [/^env$/, "--allow-env"],
  [/^(dlopen|Unsafe\w+)$/, "--allow-ffi"],
  [/^(read|l?stat|realPath|watchFs|cwd|chdir)/, "--allow-read"],
  [/^(open|link|rename|copy|symlink)/, "--allow-read", "--allow-write"],
  [
    /^(write|remove|mkdir|makeTemp|ch(mod|own)|truncate|utime|create)/,
    "--allow-write",
  ],
  [/^(Command|kill)$/, "--allow-run"],
  [/^([ug]id|hostname|loadavg|osRelease|osUptime)$/, "--allow-sys"],
  [/^(connect|connectTls|createHttpClient|resolveDns|listen)$/, "--allow-net"],
];

/** What needs none. */
const FREE = [
  "SeekMode",
  "addSignalListener",
  "args",
  "build",
  "consoleSize",
  "errors",
  "execPath",
  "exit",
  "inspect",
  "permissions",
  "pid",
  "removeSignalListener",
  "stderr",
  "stdin",
  "stdout",
  "unrefTimer",
];

Deno.test("the permissions are those of the API that the tool uses", async () => {
  using dir = new TempDir();
  const file = dir.join("holdfast.js");
  await bundle(file);
  // The bundle has no comments; what else looks like it is a property.
  const code = Deno.readTextFileSync(file);
  const used = new Set<string>();
  for (const [, name] of code.matchAll(/\bDeno\d*\.(\w+)/g)) used.add(name!);
  if (/\bfetch\(/.test(code)) used.add("connect");
  const needed = new Set<string>();
  for (const name of used) {
    if (FREE.includes(name)) continue;
    const [, ...flags] = NEEDED.find(([names]) => names.test(name)) ?? [];
    assert(flags.length > 0, `say which permission Deno.${name} takes`);
    for (const flag of flags) needed.add(flag);
  }
  assertEquals([...needed].sort(), CLI_PERMISSIONS);
  const starter = Deno.readTextFileSync(`${ROOT}/bin/holdfast`);
  assert(starter.includes(` ${CLI_PERMISSIONS.join(" ")} "$@"`), starter);
});

Deno.test("bin/: without Deno they say how to get it", async () => {
  using dir = new TempDir();
  for (const name of ["holdfast", "flock"]) {
    const { code, stdout, stderr } = await run(
      "/bin/sh",
      [`${ROOT}/bin/${name}`],
      dir,
      {
        HOLDFAST_DENO: "",
        PATH: dir.path,
      },
    );
    assertEquals([code, stdout], [127, ""]);
    assertStringIncludes(stderr, `${name}: needs Deno 2.9 or later`);
    assertStringIncludes(stderr, "npm install --global deno");
  }
});
