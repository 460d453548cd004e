/**
 * What every lock of this machine is once it is held, whatever its kind.
 *
 * `using` releases it at the end of the block; so does the end of the process,
 * unless its kind says otherwise.
 */
export interface HeldLock extends Disposable {
  /** The path or name it was taken by. */
  readonly path: string;
  /** Whether it has not been released yet, nor lost. */
  readonly held: boolean;
  /** Aborts when the lock is lost before its release; absent where it can't. */
  readonly lost?: AbortSignal | undefined;
  /** Releases it; a second call does nothing. */
  release(): void;
  /**
   * Lets commands started from now on inherit the lock, or not. Absent where
   * a lock can't be inherited (POSIX record locks, link locks).
   */
  setInheritable?(inheritable: boolean): void;
}

/** What notices that a lock has been lost. */
export interface LossWatch {
  /** Aborts when it is. */
  readonly lost: AbortSignal;
  /** Whether it isn't, as far as is known at this moment. */
  readonly held: boolean;
  /** Ends the watch: nothing is lost any more. */
  end(): void;
}

/** A lock that can be watched. */
export interface WatchableLock extends HeldLock {
  /** The descriptor that carries it. */
  readonly fd: number;
  /** Has it lost when the watch says so; released, it ends the watch. */
  watchBy(watch: LossWatch): void;
}

/** A held lock whose release takes time: `await using` waits for it. */
export interface HeldAsyncLock extends AsyncDisposable {
  /** The URL or name it was taken by. */
  readonly path: string;
  /** Whether it has not been released yet, nor lost. */
  readonly held: boolean;
  /** Aborts when the lock is lost before its release. */
  readonly lost: AbortSignal;
  /** Releases it; a second call waits for the first. */
  release(): Promise<void>;
}
