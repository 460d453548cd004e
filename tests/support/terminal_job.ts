import { fromFileUrl } from "@std/path/from-file-url";
import { HelperProcess } from "./helper_process.ts";

const DRIVER = fromFileUrl(new URL("./job_control.py", import.meta.url));

/** Whether terminals can be driven here: by Python and setsid(1). */
export const canDriveTerminal: boolean = new Deno.Command("sh", {
  args: ["-c", "command -v python3 && command -v setsid"],
}).outputSync().success;

/** A foreground job on a terminal of its own, as a shell would run it. */
export class TerminalJob implements AsyncDisposable {
  readonly #driver: HelperProcess;

  private constructor(driver: HelperProcess) {
    this.#driver = driver;
  }

  /** Starts it. */
  static start(command: string, args: string[]): TerminalJob {
    return new TerminalJob(
      HelperProcess.spawn("setsid", [
        "-w",
        "python3",
        DRIVER,
        command,
        ...args,
      ]),
    );
  }

  /** Types a text; `\\x03` is Ctrl-C. */
  type(text: string): Promise<void> {
    return this.#driver.writeLine(`type ${text}`);
  }

  /** Signals the job's first process only. */
  signal(name: Deno.Signal): Promise<void> {
    return this.#driver.writeLine(`signal ${name}`);
  }

  /** Continues it in the foreground. */
  foreground(): Promise<void> {
    return this.#driver.writeLine("fg");
  }

  /**
   * What happens next: `out LINE` for a line on its terminal, `stopped`, or
   * `exit CODE`, negative for a signal.
   */
  next(): Promise<string | undefined> {
    return this.#driver.nextLine();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#driver.finish();
    await this.#driver[Symbol.asyncDispose]();
  }
}
