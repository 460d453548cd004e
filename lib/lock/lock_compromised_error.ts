import { quotePath } from "../proc/printable.ts";
import { LockError } from "../sys/error.ts";

/** A lock was lost while it was held. */
export class LockCompromisedError extends LockError {
  /** The name of the class. */
  override name = "LockCompromisedError";
  /** The path of the lock. */
  readonly path: string;
  /** What happened, a clause. */
  readonly reason: string;

  /** Made by the kind of lock that has lost it. */
  constructor(path: string, reason: string) {
    super(`Lost the lock ${quotePath(path)}: ${reason}`);
    this.path = path;
    this.reason = reason;
  }
}
