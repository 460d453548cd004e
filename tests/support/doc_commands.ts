import { fromFileUrl } from "@std/path/from-file-url";

const NEW_SESSION = fromFileUrl(new URL("./new_session.ts", import.meta.url));

/** A piece of shell in a page of documentation. */
export interface DocStep {
  /** The line it begins at. */
  line: number;
  /**
   * `setup` is in a comment, which readers don't see; `run` must succeed;
   * `show` must print what stands below it.
   */
  kind: "setup" | "run" | "show";
  /** The shell text. */
  command: string;
  /** What it prints, stdout and stderr together. */
  output: string;
}

/** The steps of a page, and what is neither run nor says why not. */
export interface DocPage {
  steps: DocStep[];
  /** The lines at which blocks begin that no test runs, without a reason. */
  unexplained: number[];
}

/**
 * Finds the shell in a page: `sh` blocks, `console` blocks with a `$ ` before
 * each command, `crontab` blocks, and comments `<!-- setup: … -->`. A block is
 * passed over right after a comment `<!-- not run: … -->` that says why. `ts`
 * blocks are run by `deno task doc`, but for those marked `ignore`.
 */
export function readDocPage(markdown: string): DocPage {
  const steps: DocStep[] = [];
  const unexplained: number[] = [];
  const pattern =
    /^<!-- (setup|not run):\s*([\s\S]*?)\s*-->$|^```([^\n]*)\n([\s\S]*?)^```$/gm;
  let skip = false;
  for (const match of markdown.matchAll(pattern)) {
    const [, comment, text, language, body] = match;
    const line = markdown.slice(0, match.index).split("\n").length;
    if (comment === "not run") {
      skip = true;
      continue;
    }
    if (comment === "setup") {
      steps.push({ line, kind: "setup", command: text!, output: "" });
      continue;
    }
    if (skip) skip = false;
    else if (language === "sh") {
      steps.push({ line, kind: "run", command: body!, output: "" });
    } else if (language === "crontab") {
      steps.push({ line, kind: "run", command: jobs(body!), output: "" });
    } else if (language === "console") {
      steps.push(...shownSteps(body!, line));
    } else if (language !== "ts") unexplained.push(line);
  }
  return { steps, unexplained };
}

/** The commands of a crontab; see crontab(5). */
function jobs(crontab: string): string {
  return crontab.replace(/^(?:\S+\s+){5}/gm, "");
}

function shownSteps(body: string, line: number): DocStep[] {
  return body.split(/^\$ /m).slice(1).map((part) => {
    const lines = part.trimEnd().split("\n");
    // As in a shell, a backslash continues the command.
    let length = 1;
    while (lines[length - 1]!.endsWith("\\")) length++;
    return {
      line,
      kind: "show",
      command: lines.slice(0, length).join("\n"),
      output: lines.slice(length).join("\n"),
    };
  });
}

/** What a step did. */
export interface StepResult {
  step: DocStep;
  code: number;
  output: string;
}

/**
 * Runs the steps of a page one after another, in a directory; what a setup
 * leaves running is ended after the last one.
 *
 * @param path What PATH is to be.
 */
export async function runSteps(
  steps: readonly DocStep[],
  directory: string,
  path: string,
): Promise<StepResult[]> {
  const script = steps.map(({ kind, command }, index) => {
    const name = `${directory}/.step-${index}`;
    Deno.writeTextFileSync(name, command);
    // In this shell, so that jobs and variables stay for the next step.
    return kind === "setup"
      ? `. ${name}`
      : `bash ${
        kind === "run" ? "-eu" : "-u"
      } ${name} >${name}.out 2>&1 </dev/null; echo $? >${name}.code`;
  }).join("\n");
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-check",
      "--allow-ffi",
      NEW_SESSION,
      "bash",
      "-c",
      `${script}\n:`,
    ],
    cwd: directory,
    env: { PATH: path, NO_COLOR: "1", CDPATH: "" },
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  await child.status;
  try {
    // It became the shell: its process group has its pid.
    Deno.kill(-child.pid, "SIGKILL");
  } catch {
    // Nothing of it is left.
  }
  const read = (name: string) => {
    try {
      return Deno.readTextFileSync(`${directory}/${name}`);
    } catch {
      return "";
    }
  };
  return steps.map((step, index) => ({
    step,
    code: step.kind === "setup" ? 0 : Number(read(`.step-${index}.code`) || -1),
    output: read(`.step-${index}.out`),
  }));
}
