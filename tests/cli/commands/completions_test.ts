import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { COMMANDS, loadSpecs } from "../../../cli/commands/all.ts";
import { runCli } from "../../support/cli.ts";
import { needs } from "../../support/programs.ts";
import { TempDir } from "../../support/temp_dir.ts";

async function output(
  command: string,
  args: string[],
  options: { cwd?: string; stdin?: string } = {},
): Promise<string> {
  const { cwd, stdin = "" } = options;
  const child = new Deno.Command(command, {
    args,
    ...(cwd === undefined ? {} : { cwd }),
    env: { LC_ALL: "C.UTF-8", TERM: "dumb" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  assert(success, decoder.decode(stderr) + decoder.decode(stdout));
  return decoder.decode(stdout);
}

/** A directory with the script of one shell, and files to complete. */
async function prepare(shell: string): Promise<TempDir> {
  const dir = new TempDir();
  const { code, stdout, stderr } = await runCli(["completions", shell]);
  assertEquals([code, stderr], [0, ""]);
  Deno.writeTextFileSync(dir.join(`script.${shell}`), stdout);
  Deno.writeTextFileSync(dir.join("my job.lock"), "");
  Deno.mkdirSync(dir.join("lockdir"));
  return dir;
}

/** What bash would offer for the last of some words. */
async function bashOffers(dir: TempDir, words: string[]): Promise<string[]> {
  const script = `. ./script.bash
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _holdfast
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const text = await output("bash", [
    "--norc",
    "-c",
    script,
    "bash",
    "holdfast",
    ...words,
  ], { cwd: dir.path });
  return text.split("\n").filter((line) => line !== "").sort();
}

const bash = needs("bash");

Deno.test({
  name: `completions: bash knows commands, options and values${bash.suffix}`,
  ignore: bash.ignore,
  async fn() {
    using dir = await prepare("bash");
    const commands = [...Object.keys(COMMANDS), "help"].sort();
    assertEquals(
      await bashOffers(dir, [""]),
      [...commands, "--help", "--version"].sort(),
    );
    assertEquals(await bashOffers(dir, ["doc"]), ["doctor"]);
    assertEquals(await bashOffers(dir, ["help", "doc"]), ["doctor"]);
    assertEquals(await bashOffers(dir, ["run", "--on-s"]), [
      "--on-supervisor-death",
    ]);
    const deaths = ["keep", "kill"];
    const option = "--on-supervisor-death";
    assertEquals(await bashOffers(dir, ["run", option, ""]), deaths);
    // As bash splits --on-supervisor-death=k
    assertEquals(await bashOffers(dir, ["run", option, "=", "k"]), deaths);
    assertEquals(await bashOffers(dir, ["run", option, "="]), deaths);
    assertEquals(await bashOffers(dir, ["completions", ""]), [
      "bash",
      "fish",
      "zsh",
    ]);
    const actions = ["break", "show", "sweep"];
    assertEquals(await bashOffers(dir, ["link", ""]), actions);
    assertEquals(await bashOffers(dir, ["link", "show", "s"]), []);
    assertEquals(await bashOffers(dir, ["run", "--timeout", ""]), []);
    assertEquals(await bashOffers(dir, ["no-such-command", ""]), []);
  },
});

Deno.test({
  name: `completions: bash knows where another command begins${bash.suffix}`,
  ignore: bash.ignore,
  async fn() {
    using dir = await prepare("bash");
    const isCommand = async (...words: string[]) =>
      (await bashOffers(dir, words)).includes("printf");
    assert(await isCommand("run", "a.lock", "--", "print"));
    assert(await isCommand("run", "-w", "5s", "a.lock", "--", "print"));
    assert(await isCommand("run", "--shell", "print"));
    assert(!await isCommand("run", "print"));
    assert(!await isCommand("run", "a.lock", "print"));
    assert(!await isCommand("who", "--", "print"));
    assert(await isCommand("flock", "a.lock", "print"));
    assert(await isCommand("flock", "-w", "5", "a.lock", "print"));
    assert(!await isCommand("flock", "-w", "5", "print"));
    assert(!await isCommand("flock", "a.lock", "sleep", "print"));
  },
});

Deno.test({
  name: `completions: bash knows every option of every command${bash.suffix}`,
  ignore: bash.ignore,
  async fn() {
    using dir = await prepare("bash");
    for (const spec of await loadSpecs()) {
      const offered = await bashOffers(dir, [spec.name, "--"]);
      for (const { long, aliases = [], hidden } of spec.options) {
        for (const name of [long, ...aliases]) {
          assertEquals(offered.includes(`--${name}`), !hidden, name);
        }
      }
    }
  },
});

const terminal = needs("bash", "script");

Deno.test({
  name: `completions: a lock file completes as a path, with a real Tab in ` +
    `bash${terminal.suffix}`,
  ignore: terminal.ignore,
  async fn() {
    using dir = await prepare("bash");
    const text = await output(
      "script",
      ["-qec", "bash --norc --noprofile -i", "/dev/null"],
      {
        cwd: dir.path,
        stdin: [
          'holdfast() { printf "<%s>" "$@"; echo; }',
          ". ./script.bash",
          "holdfast run my\t -- echo",
          "holdfast run --cwd lock\t",
          "exit",
          "",
        ].join("\n"),
      },
    );
    assertStringIncludes(text, "<run><my job.lock><--><echo>");
    assertStringIncludes(text, "<run><--cwd><lockdir/>");
  },
});

const zsh = needs("zsh");

Deno.test({
  name: `completions: zsh takes the script and completes by it${zsh.suffix}`,
  ignore: zsh.ignore,
  async fn() {
    using dir = await prepare("zsh");
    Deno.renameSync(dir.join("script.zsh"), dir.join("_holdfast"));
    await output("zsh", ["-n", dir.join("_holdfast")]);
    // A zsh in a terminal of zsh's own making is sent the keys.
    const script = `zmodload zsh/zpty
      zpty z zsh -f -i
      zpty -w z 'PS1= PROMPT_EOL_MARK=; stty -echo; fpath=($PWD $fpath)'
      zpty -w z 'autoload -U compinit; compinit -u -D; unsetopt zle_bracketed_paste'
      zpty -w z 'holdfast() { printf "<%s>" "$@"; print " end" }; print rea""dy'
      zpty -r z line '*ready*'
      zpty -w -n z $'holdfast run --on-super\\tki\\tmy\\t-- ech\\t x\\n'
      zpty -r z line '*> end*'
      print -r -- $line
      zpty -w -n z $'holdfast doct\\t--prob\\tlockd\\t\\n'
      zpty -r z line '*> end*'
      print -r -- $line
      zpty -w -n z $'holdfast link swe\\tmy\\t\\n'
      zpty -r z line '*> end*'
      print -r -- $line
      zpty -d z`;
    const text = await output("zsh", ["-f", "-c", script], { cwd: dir.path });
    assertStringIncludes(
      text,
      "<run><--on-supervisor-death=kill><my job.lock><--><echo><x>",
    );
    assertStringIncludes(text, "<doctor><--probe><lockdir>");
    assertStringIncludes(text, "<link><sweep><my job.lock>");
  },
});

const fish = needs("fish");

Deno.test({
  name: `completions: fish completes by the script${fish.suffix}`,
  ignore: fish.ignore,
  async fn() {
    using dir = await prepare("fish");
    const lines = [
      "holdfast doct",
      "holdfast run --on-supervisor-death ",
      "holdfast run --on-supervisor-d",
      "holdfast who my",
      "holdfast run -s my",
      "holdfast run a.lock -- prin",
      "holdfast completions ",
      "holdfast help doc",
      "holdfast link s",
      "holdfast link show ",
    ];
    const script = [
      "source script.fish",
      ...lines.flatMap((line) => [
        `complete -C "${line}" | string split -f1 \\t`,
        "echo ----",
      ]),
    ].join("\n");
    const text = await output("fish", ["-N", "-c", script], {
      cwd: dir.path,
    });
    const offers = text.split("----\n").map((part) =>
      part.split("\n").filter((line) => line !== "")
    );
    assertEquals(offers.slice(0, 5), [
      ["doctor"],
      ["keep", "kill"],
      ["--on-supervisor-death"],
      ["my job.lock"],
      ["my job.lock"],
    ]);
    assert(offers[5]!.includes("printf"), offers[5]!.join());
    assertEquals(offers.slice(6), [
      ["bash", "fish", "zsh"],
      ["doctor"],
      ["show", "sweep"],
      ["lockdir/", "my job.lock", "script.fish"],
      [],
    ]);
  },
});

Deno.test("completions: a shell that there is no script for", async () => {
  const { code, stdout, stderr } = await runCli(["completions", "zssh"]);
  assertEquals([code, stdout], [64, ""]);
  assertStringIncludes(stderr, "no completions for shell 'zssh'");
  assertStringIncludes(stderr, "bash, zsh, fish");
  assertEquals((await runCli(["completions"])).code, 64);
  assertEquals((await runCli(["completions", "bash", "zsh"])).code, 64);
});
