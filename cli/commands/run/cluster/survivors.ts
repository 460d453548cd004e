import { ProcessFamily } from "../../../../lib/sys/process/family.ts";

/** So often those who are to end are looked at. */
const LOOK_MS = 50;

/**
 * A command that has lost its lock, and what it has started: all are to end
 * before anybody else has the lock.
 */
export class Survivors {
  readonly #family: ProcessFamily;
  readonly #killAt: number;

  /**
   * Asks them to end.
   *
   * @param pid The command.
   * @param mark `NAME=value`, a variable that only this command has.
   * @param graceMs KILL follows so many milliseconds later.
   */
  constructor(pid: number, mark: string, graceMs: number) {
    this.#family = new ProcessFamily(pid, mark);
    this.#killAt = performance.now() + graceMs;
    this.#family.follow();
    this.#family.askToEnd();
  }

  /** Once the command has ended: waits until all have, and kills them. */
  async end(): Promise<void> {
    using family = this.#family;
    while (family.look() > 0) {
      if (performance.now() < this.#killAt) family.askToEnd();
      else family.kill();
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}
