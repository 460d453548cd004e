/**
 * Pictures of the tool at work, from what it really prints.
 *
 * ```sh
 * deno task shots    # writes docs/shots/*.svg
 * ```
 *
 * @module
 */

import { ensureDirSync } from "@std/fs/ensure-dir";
import { ROOT } from "./project.ts";

/** One picture: what is typed, after a preparation that isn't shown. */
interface Shot {
  name: string;
  title: string;
  setup: string;
  commands: readonly string[];
}

/** Where the pictures seem to be taken. */
const PLACE = "/srv/site";

const DEPLOYING = `
mkfifo end
printf '#!/bin/sh\\ntouch started\\nread -r _ < end\\n' > deploy.sh
chmod +x deploy.sh
holdfast run --exec deploy.lock -- ./deploy.sh &
until [ -e started ]; do sleep 0.05; done`;

const SHOTS: readonly Shot[] = [
  {
    name: "run",
    title: "A busy lock says who holds it",
    setup: DEPLOYING,
    commands: [
      "holdfast run -n deploy.lock -- ./deploy.sh",
      "echo $?",
      "holdfast run --report other.lock -- echo done",
    ],
  },
  {
    name: "who",
    title: "Who holds it",
    setup: DEPLOYING,
    commands: ["holdfast who deploy.lock", "holdfast locks ."],
  },
  {
    name: "doctor",
    title: "Which locks to trust",
    setup: "\n:",
    commands: ["holdfast doctor --probe ."],
  },
  {
    name: "deadlock",
    title: "A deadlock, explained",
    setup: `
holdfast run --exec a.lock -- sh -c 'touch a; until [ -e b ]; do sleep 0.05; done; exec flock b.lock true' &
holdfast run --exec b.lock -- sh -c 'touch b; until [ -e a ]; do sleep 0.05; done; exec flock a.lock true' &
until holdfast locks --deadlocks . | grep -q ring; do sleep 0.1; done`,
    commands: ["holdfast locks --deadlocks .", "echo $?"],
  },
];

/** Takes one picture's text, with the control sequences of its colours. */
async function record(shot: Shot): Promise<string> {
  const scratch = `${ROOT}/dist`;
  ensureDirSync(scratch);
  const directory = Deno.makeTempDirSync({
    // Not in /tmp, of which doctor has its own to say.
    dir: scratch,
    prefix: "shot-",
  });
  try {
    Deno.mkdirSync(`${directory}/bin`);
    Deno.mkdirSync(`${directory}/site`, { mode: 0o755 });
    Deno.symlinkSync(`${ROOT}/bin/holdfast`, `${directory}/bin/holdfast`);
    Deno.symlinkSync(Deno.execPath(), `${directory}/bin/deno`);
    const steps = shot.commands.map((command) => `
printf '\\033[1m$ %s\\033[0m\\n' ${quoted(command)}
(exit $code); { ${command}
} 2>&1; code=$?`).join("");
    const script = `exec 3>&1 >/dev/null 2>&1 </dev/null${shot.setup}
exec >&3; code=0${steps}`;
    const child = new Deno.Command("setsid", {
      args: ["sh", "-c", script],
      cwd: `${directory}/site`,
      env: {
        PATH: `${directory}/bin:${Deno.env.get("PATH")}`,
        CLICOLOR_FORCE: "1",
        NO_COLOR: "",
        TERM: "xterm",
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const reading = readAll(child.stdout);
    await child.stderr.cancel();
    await child.status;
    try {
      // What the setup has left: setsid has made it a process group.
      Deno.kill(-child.pid, "SIGKILL");
    } catch {
      // Nothing is left.
    }
    return (await reading).replaceAll(`${directory}/site`, PLACE)
      .replace(/^holdfast locks: .* may not be looked into.*\n/gm, "")
      .replace(/^ \(processes that may not be looked into.*\n/gm, "")
      .trimEnd();
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

async function readAll(stream: ReadableStream<Uint8Array>): Promise<string> {
  return await new Response(stream).text();
}

const FONT_SIZE = 14;
const LINE = 20;
/** The width of a character of a monospaced font, of its size. */
const ADVANCE = 0.602;
const PADDING = 16;
const BAR = 32;
const COLUMNS = 90;

const STYLE = `
text { font: ${FONT_SIZE}px ui-monospace, SFMono-Regular, Menlo, Consolas,
  "DejaVu Sans Mono", monospace; white-space: pre; fill: #24292f }
.window { fill: #f6f8fa; stroke: #d0d7de } .bar { fill: #57606a }
.c1 { font-weight: bold } .c2 { opacity: .65 } .c31 { fill: #cf222e }
.c32 { fill: #116329 } .c33 { fill: #7d4e00 } .c36 { fill: #1b7c83 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .window { fill: #0d1117; stroke: #30363d } .bar { fill: #8b949e }
  .c31 { fill: #ff7b72 } .c32 { fill: #3fb950 } .c33 { fill: #d29922 }
  .c36 { fill: #39c5cf }
}`;

/** Draws a terminal's text; light or dark as its reader has it. */
export function renderShot(title: string, text: string): string {
  const lines = text.split("\n").flatMap(foldLine);
  const width = Math.ceil(COLUMNS * FONT_SIZE * ADVANCE) + 2 * PADDING;
  const height = BAR + lines.length * LINE + PADDING;
  const rows = lines.map((line, index) =>
    `<text x="${PADDING}" y="${BAR + (index + 0.7) * LINE}">${
      spans(line)
    }</text>`
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>${escapeXml(title)}</title>
<style>${STYLE}
</style>
<rect class="window" x=".5" y=".5" width="${width - 1}" height="${
    height - 1
  }" rx="8"/>
<text class="bar" x="${width / 2}" y="21" text-anchor="middle">${
    escapeXml(title)
  }</text>
${rows.join("\n")}
</svg>
`;
}

const ESCAPE = "\x1b";
/** SGR, which sets a colour; in brackets so that split() keeps it. */
const CONTROL = new RegExp(`(${ESCAPE}\\[[\\d;]*m)`);

/** Breaks a line where the window ends; colours don't count. */
function foldLine(line: string): string[] {
  const folded: string[] = [];
  let current = "";
  let columns = 0;
  let style = "";
  for (const part of line.split(CONTROL)) {
    if (CONTROL.test(part)) {
      style = part;
      current += part;
      continue;
    }
    for (const character of part) {
      if (columns === COLUMNS) {
        folded.push(current);
        current = style;
        columns = 0;
      }
      current += character;
      columns++;
    }
  }
  return [...folded, current];
}

function spans(line: string): string {
  let result = "";
  let classes = "";
  for (const part of line.split(CONTROL)) {
    if (CONTROL.test(part)) {
      const codes = part.slice(2, -1).split(";");
      classes = codes.filter((code) => code !== "0" && code !== "")
        .map((code) => `c${code}`).join(" ");
    } else if (part !== "") {
      const text = escapeXml(part);
      result += classes === ""
        ? text
        : `<tspan class="${classes}">${text}</tspan>`;
    }
  }
  return result;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Takes all pictures: their file names, and what is in them. */
export async function takeShots(): Promise<Map<string, string>> {
  const shots = new Map<string, string>();
  for (const shot of SHOTS) {
    shots.set(`${shot.name}.svg`, renderShot(shot.title, await record(shot)));
  }
  return shots;
}

if (import.meta.main) {
  ensureDirSync(`${ROOT}/docs/shots`);
  for (const [name, svg] of await takeShots()) {
    Deno.writeTextFileSync(`${ROOT}/docs/shots/${name}`, svg);
    console.log(`docs/shots/${name}`);
  }
}
