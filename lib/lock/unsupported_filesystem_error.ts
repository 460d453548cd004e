import { quotePath } from "../proc/printable.ts";
import { LockError } from "../sys/error.ts";

/** The lock file is on a filesystem where its lock can't be relied on. */
export class UnsupportedFilesystemError extends LockError {
  /** The name of the class. */
  override name = "UnsupportedFilesystemError";
  /** The lock file. */
  readonly path: string;
  /** The filesystem's name, such as `nfs`. */
  readonly fsType: string;
  /** What is wrong with the lock there. */
  readonly reason: string;

  /**
   * Made by `rejectRemoteFs` and its relatives, and by link locks.
   *
   * @param words `lock`: what can't be relied on, `flock` unless set;
   * `advice`: what to do instead.
   */
  constructor(
    path: string,
    fsType: string,
    reason: string,
    words: { lock?: string; advice?: string } = {},
  ) {
    const {
      lock = "flock",
      advice = "use a path on a local filesystem or a link lock, " +
        "or allow remote filesystems if you know this one",
    } = words;
    super(
      `Cannot rely on ${lock} for ${quotePath(path)}: it is on ${fsType}, ` +
        `where ${reason}; ${advice}`,
    );
    this.path = path;
    this.fsType = fsType;
    this.reason = reason;
  }
}
