/**
 * What fcntl(2) says about record locks, independent of any kernel code: a
 * byte at a time, over a small file. Each byte keeps who has it read-locked and
 * who write-locked; splits, merges and conversions follow by themselves.
 */

/** One owner of locks: a process for POSIX, a description for OFD. */
export interface Owner {
  /** How the kernel names it: the pid, or -1. */
  pid: number;
  kind: "POSIX" | "OFDLCK";
}

export type ModelType = "read" | "write" | "unlock";

/** A run of bytes that one owner has locked one way. */
export interface ModelLock {
  owner: Owner;
  type: "read" | "write";
  startByte: number;
  /** Last byte; `undefined` when it reaches beyond the model's file. */
  endByte: number | undefined;
}

/** Bytes 0 to `size - 1`, and one that stands for all that follow. */
export class RecordLockModel {
  readonly #bytes: Map<Owner, "read" | "write">[];

  constructor(size: number) {
    this.#bytes = Array.from({ length: size + 1 }, () => new Map());
  }

  #cells(start: number, end: number | undefined) {
    return this.#bytes.slice(start, (end ?? this.#bytes.length - 1) + 1);
  }

  /** Whether it was granted. */
  set(
    owner: Owner,
    type: ModelType,
    start: number,
    end: number | undefined,
  ): boolean {
    const cells = this.#cells(start, end);
    if (type !== "unlock" && cells.some((cell) => blocked(cell, owner, type))) {
      return false;
    }
    for (const cell of cells) {
      if (type === "unlock") cell.delete(owner);
      else cell.set(owner, type);
    }
    return true;
  }

  /** Every lock in the way of another. */
  inTheWay(
    owner: Owner,
    type: "read" | "write",
    start: number,
    end: number | undefined,
  ): ModelLock[] {
    const last = end ?? this.#bytes.length - 1;
    return this.locks().filter((lock) =>
      lock.owner !== owner && (type === "write" || lock.type === "write") &&
      lock.startByte <= last && (lock.endByte ?? Infinity) >= start
    );
  }

  /** All locks, each as long as it can be. */
  locks(): ModelLock[] {
    const found: ModelLock[] = [];
    const owners = new Set(this.#bytes.flatMap((cell) => [...cell.keys()]));
    for (const owner of owners) {
      let open: ModelLock | undefined;
      this.#bytes.forEach((cell, index) => {
        const type = cell.get(owner);
        if (open !== undefined && open.type !== type) {
          open.endByte = index - 1;
          open = undefined;
        }
        if (open === undefined && type !== undefined) {
          open = { owner, type, startByte: index, endByte: undefined };
          found.push(open);
        }
      });
    }
    return found;
  }

  /** All that an owner had is gone. */
  drop(owner: Owner): void {
    for (const cell of this.#bytes) cell.delete(owner);
  }
}

function blocked(
  cell: Map<Owner, "read" | "write">,
  owner: Owner,
  type: "read" | "write",
): boolean {
  return [...cell].some(([other, held]) =>
    other !== owner && (type === "write" || held === "write")
  );
}
