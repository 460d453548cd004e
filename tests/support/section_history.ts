/** What several clients have done under one lock, and what was wrong with it. */
import type { SectionLine } from "./section_client.ts";

/** One time that a client held the lock, as it believed. */
export interface Section {
  client: number;
  fence: bigint;
  enteredAt: number;
  /** When it had left, or knew that the lock was lost, or was killed. */
  endedAt: number;
  wasLost: boolean;
}

/** A time in which a client was stopped. */
export interface Pause {
  client: number;
  from: number;
  to: number;
}

/** What has been seen. */
export interface Findings {
  sections: number;
  lost: number;
  failed: number;
  /** Two held it at once, and neither had been stopped meanwhile. */
  overlaps: string[];
  /** The same, of clients that had been stopped: their fence must protect. */
  overlapsOfStopped: number;
  /** Fences that were there before, or lower than an earlier one. */
  fenceErrors: string[];
}

/** All that is known of a run. */
export class SectionHistory {
  readonly #sections: Section[] = [];
  readonly #pauses: Pause[] = [];
  readonly #current = new Map<number, Section>();
  #failed = 0;

  /** How many sections have ended. */
  get count(): number {
    return this.#sections.length;
  }

  /** Takes a line of a client. */
  add(client: number, line: SectionLine): void {
    const section = this.#current.get(client);
    switch (line.event) {
      case "enter":
        this.#current.set(client, {
          client,
          fence: BigInt(line.fence),
          enteredAt: line.at,
          endedAt: Infinity,
          wasLost: false,
        });
        break;
      case "lost":
        if (section === undefined) break;
        section.wasLost = true;
        section.endedAt = Math.min(section.endedAt, line.at);
        break;
      case "exit":
        if (section !== undefined) this.#end(section, line.at);
        break;
      case "failed":
        this.#failed++;
        if (section !== undefined) this.#end(section, line.at);
    }
  }

  /** A client was killed, and is dead. */
  killed(client: number, at: number): void {
    const section = this.#current.get(client);
    if (section !== undefined) this.#end(section, at);
  }

  /** A client was stopped for a while. */
  paused(pause: Pause): void {
    this.#pauses.push(pause);
  }

  #end(section: Section, at: number): void {
    section.endedAt = Math.min(section.endedAt, at);
    this.#current.delete(section.client);
    this.#sections.push(section);
  }

  #wasStopped({ client, enteredAt, endedAt }: Section): boolean {
    return this.#pauses.some((pause) =>
      pause.client === client && pause.from <= endedAt && enteredAt <= pause.to
    );
  }

  /** Looks at all of it. */
  check(): Findings {
    const sections = this.#sections.toSorted((a, b) =>
      a.enteredAt - b.enteredAt
    );
    const found: Findings = {
      sections: sections.length,
      lost: sections.filter(({ wasLost }) => wasLost).length,
      failed: this.#failed,
      overlaps: [],
      overlapsOfStopped: 0,
      fenceErrors: [],
    };
    const fences = new Set<bigint>();
    let before: Section | undefined;
    for (const [index, section] of sections.entries()) {
      const { fence } = section;
      if (fences.has(fence)) found.fenceErrors.push(`${fence} twice`);
      fences.add(fence);
      const stopped = this.#wasStopped(section);
      if (!stopped && before !== undefined && fence <= before.fence) {
        found.fenceErrors.push(`${fence} after ${before.fence}`);
      }
      if (!stopped) before = section;
      for (const other of sections.slice(index + 1)) {
        if (other.enteredAt >= section.endedAt) break;
        if (stopped || this.#wasStopped(other)) found.overlapsOfStopped++;
        else {
          found.overlaps.push(
            `fences ${fence} and ${other.fence}: ` +
              `${(section.endedAt - other.enteredAt).toFixed(1)} ms`,
          );
        }
      }
    }
    return found;
  }
}
