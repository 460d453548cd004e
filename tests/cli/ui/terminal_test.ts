import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { needs } from "../../support/programs.ts";
import { textColumns, truncate } from "../../../cli/ui/terminal.ts";

const TERMINAL = new URL("../../../cli/ui/terminal.ts", import.meta.url).href;
const CONFIG = fromFileUrl(new URL("../../../deno.json", import.meta.url));

// script(1) of bsdutils gives the pseudo-terminal.
const terminal = needs("script", "stty");

/** Runs a program that has all of terminal.ts, its stderr in a pipe. */
async function inPipe(
  code: string,
  env: Record<string, string> = {},
): Promise<{ stdout: string; stderr: string }> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--config", CONFIG, program(code)],
    env,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Runs it on a pseudo-terminal; gives what the terminal received. */
async function onTerminal(
  code: string,
  size: { columns: number; rows: number },
  env: Record<string, string> = {},
): Promise<string> {
  const { stdout } = await new Deno.Command("script", {
    args: [
      "-qec",
      `stty cols ${size.columns} rows ${size.rows} -opost; ` +
      `exec "$DENO" eval --quiet --config "$CONFIG" "$CODE"`,
      "/dev/null",
    ],
    env: {
      NO_COLOR: "",
      CLICOLOR_FORCE: "",
      TERM: "xterm",
      ...env,
      DENO: Deno.execPath(),
      CONFIG,
      CODE: program(code),
    },
    stdin: "null",
  }).output();
  return new TextDecoder().decode(stdout).replace(/^.*?<<|>>.*$/gs, "");
}

function program(code: string): string {
  return `import * as t from ${JSON.stringify(TERMINAL)};
    import { writeError } from ${
    JSON.stringify(new URL("output.ts", TERMINAL).href)
  };
    ${code}`;
}

Deno.test("textColumns and truncate: wide and combining characters", () => {
  const table: [string, number][] = [
    ["", 0],
    ["plain", 5],
    ["日本", 4],
    ["e\u0301", 1],
    ["😀", 2],
    ["한글", 4],
    ["…", 1],
  ];
  assertEquals(table.map(([text]) => [text, textColumns(text)]), table);
  assertEquals(truncate("plain", 5), "plain");
  assertEquals(truncate("plain", 4), "pla…");
  assertEquals(truncate("日本語", 5), "日本…");
  assertEquals(truncate("日本語", 4), "日…");
  assertEquals(truncate("plain", 1), "…");
  assertEquals(truncate("plain", 0), "");
});

Deno.test("StatusLine in a pipe writes one line, once", async () => {
  const { stderr } = await inPipe(`
    const status = new t.StatusLine();
    status.show([]);
    status.show(["held by", "  1 a\\x1b[2J", "  2 b"]);
    status.show(["held by", "  3 c"]);
    status.clear();`);
  assertEquals(stderr, "held by 1 a\\x1b[2J; 2 b\n");
});

Deno.test({
  name: "StatusLine on a terminal replaces its lines and goes away" +
    terminal.suffix,
  ignore: terminal.ignore,
}, async () => {
  const received = await onTerminal(
    `
    const status = new t.StatusLine();
    writeError("<<");
    status.clear();
    status.show(["one", "a line of more than twenty columns"]);
    status.show(["esc \\x1b[2J"]);
    status.show(["1", "2", "3", "4", "5", "6"]);
    status.clear();
    status.clear();
    writeError(">>");`,
    { columns: 20, rows: 6 },
  );
  assertEquals(
    received,
    "one\na line of more tha…\n" +
      "\r\x1b[2A\x1b[Jesc \\x1b[2J\n" +
      "\r\x1b[1A\x1b[J1\n2\n3\n4\n… and 2 more lines\n" +
      "\r\x1b[5A\x1b[J",
  );
});

Deno.test("styles: NO_COLOR, CLICOLOR_FORCE, pipe", async () => {
  const code = `console.log(JSON.stringify(t.styles("stdout").red("x")));`;
  const color = '"\\u001b[31mx\\u001b[0m"\n';
  const table: [Record<string, string>, string][] = [
    [{}, '"x"\n'],
    [{ CLICOLOR_FORCE: "1" }, color],
    [{ CLICOLOR_FORCE: "0" }, '"x"\n'],
    [{ CLICOLOR_FORCE: "1", NO_COLOR: "1" }, '"x"\n'],
  ];
  for (const [env, expected] of table) {
    const { stdout } = await inPipe(code, {
      NO_COLOR: "",
      CLICOLOR_FORCE: "",
      ...env,
    });
    assertEquals(stdout, expected, JSON.stringify(env));
  }
});

Deno.test({
  name: `styles and size on a terminal${terminal.suffix}`,
  ignore: terminal.ignore,
}, async () => {
  const code = `writeError("<<" + t.styles("stderr").bold("x") +
    JSON.stringify(t.terminalSize("stderr")) + ">>");`;
  const size = { columns: 37, rows: 11 };
  const shown = JSON.stringify(size);
  assertEquals(await onTerminal(code, size), `\x1b[1mx\x1b[0m${shown}`);
  for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }, { CLICOLOR: "0" }]) {
    assertEquals(await onTerminal(code, size, env), `x${shown}`);
  }
  assertEquals(
    await onTerminal(code, { columns: 0, rows: 0 }),
    '\x1b[1mx\x1b[0m{"columns":80,"rows":24}',
  );
});
