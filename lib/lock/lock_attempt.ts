import { LockError } from "../sys/error.ts";
import { closeFile, type FileStat, isStillNamed } from "../sys/file.ts";
import { quotePath } from "../proc/printable.ts";
import { checkOptions } from "./check.ts";
import { checkMode, type LockMode } from "./flock/flock_fd.ts";
import type { HeldLock } from "./held_lock.ts";
import {
  type OpenedLockFile,
  type OpenLockFileOptions,
  openNamed,
} from "./lock_file.ts";
import { type LockPath, type PathLike, toLockPath } from "./lock_path.ts";

/** A name whose file is replaced this often in one attempt is being abused. */
export const MAX_REPLACEMENTS = 1000;

/** The error that says so. */
export function replacedTooOften(path: string): LockError {
  return new LockError(
    `Cannot lock ${quotePath(path)}: the file was replaced ` +
      `${MAX_REPLACEMENTS} times while it was being locked; ` +
      "find the program that removes or renames it",
  );
}

/** How a lock file is opened and checked before it is locked. */
export interface LockFileOptions extends OpenLockFileOptions {
  /**
   * Called with each newly opened descriptor before it is locked; throws to
   * refuse the file.
   */
  checkFd?:
    | ((fd: number, path: string, stat: FileStat) => void)
    | undefined;
}

/** What a group of locks asks for besides. */
export interface LockAttemptOptions extends LockFileOptions {
  /**
   * Lock the file that was opened first, even once its name means another: the
   * caller looks the name up itself when it holds the lock.
   */
  pinned?: boolean | undefined;
}

/**
 * One lock file on its way to being locked, by whatever kind of lock. It stays
 * open between attempts, and is opened anew when the name has come to mean
 * another file.
 */
export abstract class LockAttempt implements Disposable {
  /** The file. */
  protected readonly path: LockPath;
  /** How it is to be locked. */
  protected readonly mode: LockMode;
  readonly #options: LockAttemptOptions;
  #file: OpenedLockFile | undefined;

  /** Opens nothing yet. */
  constructor(
    path: PathLike | LockPath,
    mode: LockMode,
    options: LockAttemptOptions,
  ) {
    this.path = toLockPath(path);
    checkMode(mode);
    checkOptions(options);
    this.mode = mode;
    this.#options = options;
  }

  /** The open file; opens it if need be. */
  get file(): OpenedLockFile {
    if (this.#file === undefined) {
      const file = openNamed(this.path, this.#options);
      try {
        this.#options.checkFd?.(file.fd, this.path.given, file.stat);
      } catch (error) {
        closeFile(file.fd);
        throw error;
      }
      this.#file = file;
    }
    return this.#file;
  }

  /** The open descriptor; opens the file if need be. */
  get fd(): number {
    return this.file.fd;
  }

  /**
   * Locks the file that the name means.
   *
   * A lock on a file that has been removed or replaced excludes nobody: the
   * name is looked up again once the lock is held.
   *
   * @param take Locks an open file, and gives a handle that owns the
   * descriptor; `undefined` leaves it open here.
   */
  protected lock<Handle extends HeldLock>(
    take: (file: OpenedLockFile) => Handle | undefined,
  ): Handle | undefined {
    for (let replaced = 0; replaced < MAX_REPLACEMENTS; replaced++) {
      const { file } = this;
      const handle = take(file);
      if (handle === undefined) return undefined;
      this.#file = undefined;
      if (this.#options.pinned) return handle;
      let isNamed = false;
      try {
        isNamed = isStillNamed(this.path.absolute, file.stat);
      } finally {
        if (!isNamed) handle.release();
      }
      if (isNamed) return handle;
    }
    throw replacedTooOften(this.path.given);
  }

  /** Closes the descriptor, if no handle has taken it over. */
  [Symbol.dispose](): void {
    if (this.#file === undefined) return;
    closeFile(this.#file.fd);
    this.#file = undefined;
  }
}
