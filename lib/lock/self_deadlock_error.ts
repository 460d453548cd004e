import { quotePath } from "../proc/printable.ts";
import { LockError } from "../sys/error.ts";

/** Who holds a lock that can't be waited for. */
export interface OwnHolder {
  /** The path of the lock. */
  path: string;
  /** The process that holds it. */
  holderPid: number;
  /** `self`: this process; `ancestor`: one that waits for this process. */
  relation: "self" | "ancestor";
  /** The command line of the holder, printable. */
  command?: string | undefined;
  /** This process doesn't hold it yet: an `acquire` of its own waits for it. */
  isAwaited?: boolean | undefined;
}

/**
 * A wait for a lock would never end: this process holds the lock itself, or may
 * before long, and would sleep where it can't release it; or an ancestor holds
 * it and waits for this process to end.
 */
export class SelfDeadlockError extends LockError {
  /** The name of the class. */
  override name = "SelfDeadlockError";
  /** The path of the lock. */
  readonly path: string;
  /** The process that holds it: this one, or an ancestor of it. */
  readonly holderPid: number;
  /** What the holder is to this process. */
  readonly relation: "self" | "ancestor";

  /** Made by what waits without end. */
  constructor(holder: OwnHolder) {
    const { path, holderPid, relation, command, isAwaited } = holder;
    const pid = `pid=${holderPid}` +
      (command === undefined ? "" : ` cmd=${command}`);
    super(
      `Cannot lock ${quotePath(path)}: ` +
        (isAwaited
          ? `an acquire of this process (${pid}) waits for it too and may ` +
            "get it while this thread sleeps, for ever; await that one first"
          : relation === "self"
          ? `this process (${pid}) holds it and would wait for itself; ` +
            "release that lock first"
          : `its holder is an ancestor of this process (${pid}) and waits ` +
            "for it, so the wait would never end; " +
            "don't take the lock again below the command that holds it"),
    );
    this.path = path;
    this.holderPid = holderPid;
    this.relation = relation;
  }
}
