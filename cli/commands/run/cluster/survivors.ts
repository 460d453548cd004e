import { ProcessFamily } from "../../../../lib/sys/process/family.ts";

/** So often those who are to end are looked at. */
const LOOK_MS = 50;

/**
 * What a command that has lost its lock has started: it is to end with the
 * command, and before anybody else has the lock.
 */
export class Survivors {
  readonly #family: ProcessFamily;
  readonly #killAt: number;

  /**
   * Asks all but the command to end, which has been asked already.
   *
   * @param pid The command.
   * @param variables `NAME=value`, which together only this command has.
   * @param graceMs KILL follows so many milliseconds later.
   */
  constructor(pid: number, variables: readonly string[], graceMs: number) {
    this.#family = new ProcessFamily(pid, variables);
    this.#killAt = performance.now() + graceMs;
    this.#family.look();
    this.#family.signal("SIGTERM", { except: pid });
  }

  /** Once the command has ended: waits until they have, and kills them. */
  async end(): Promise<void> {
    using family = this.#family;
    while (family.look() > 0) {
      if (performance.now() >= this.#killAt) family.signal("SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}
