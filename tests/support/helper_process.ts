import { lineSplitter } from "./line_splitter.ts";
import { within } from "./within.ts";

/** How a helper is started. */
export interface HelperOptions {
  env?: Record<string, string>;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** After so many milliseconds a step that has not happened is an error. */
  stepMs?: number;
}

/** A child that says "ready" on stdout once it is where a test wants it. */
export class HelperProcess implements AsyncDisposable {
  readonly pid: number;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #stepMs: number | undefined;
  #status: Promise<Deno.CommandStatus>;

  private constructor(child: Deno.ChildProcess, stepMs?: number) {
    this.#child = child;
    this.#stepMs = stepMs;
    this.pid = child.pid;
    this.#stdin = child.stdin.getWriter();
    this.#lines = child.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(lineSplitter()).getReader();
    this.#status = child.status;
  }

  /** Starts a command and waits for its line "ready". */
  static async start(
    command: string,
    args: string[],
    options: HelperOptions = {},
  ): Promise<HelperProcess> {
    const helper = HelperProcess.spawn(command, args, options);
    const line = await helper.nextLine();
    if (line !== "ready") {
      await helper[Symbol.asyncDispose]();
      throw new Error(`${command} said ${JSON.stringify(line)}, not "ready"`);
    }
    return helper;
  }

  /** Starts a command without waiting for it. */
  static spawn(
    command: string,
    args: string[],
    { stepMs, ...options }: HelperOptions = {},
  ): HelperProcess {
    return new HelperProcess(
      new Deno.Command(command, {
        args,
        ...options,
        stdin: "piped",
        stdout: "piped",
        stderr: "inherit",
      }).spawn(),
      stepMs,
    );
  }

  /** The next line it prints, or `undefined` at the end of its output. */
  async nextLine(): Promise<string | undefined> {
    const line = await this.#within(this.#lines.read(), "its next line");
    return line.value;
  }

  /** Writes a line to its stdin. */
  async writeLine(line: string): Promise<void> {
    await this.#within(
      this.#stdin.write(new TextEncoder().encode(line + "\n")),
      "reading its stdin",
    );
  }

  /** Ends its stdin, which tells it to finish, and waits for it. */
  async finish(): Promise<Deno.CommandStatus> {
    await this.#stdin.close().catch(() => {});
    return await this.status;
  }

  /** Waits for it to end by itself. */
  get status(): Promise<Deno.CommandStatus> {
    return this.#within(this.#status, "its end");
  }

  #within<T>(promise: Promise<T>, what: string): Promise<T> {
    return within(promise, `process ${this.pid}, ${what}`, this.#stepMs);
  }

  /** Sends it a signal. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#stdin.close().catch(() => {});
    await this.status;
    try {
      while (await this.nextLine() !== undefined);
    } finally {
      // Whoever inherited its stdout may never close it.
      await this.#lines.cancel();
    }
  }
}
