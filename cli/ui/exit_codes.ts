/**
 * The exit codes of every subcommand, those of sysexits.h where one fits.
 * A command that `run` started passes on its own instead.
 */
export const EXIT = {
  /** Done. */
  OK: 0,
  /** Whether a lock is held can't be known from here. */
  UNKNOWN: 2,
  /** EX_USAGE: an unknown option, a missing operand, a malformed value. */
  USAGE: 64,
  /** EX_DATAERR: the lock file is there but can't be locked, or was lost. */
  DATA: 65,
  /** EX_NOINPUT: the lock file can't be opened. */
  NO_INPUT: 66,
  /** EX_UNAVAILABLE: this filesystem can't do it. */
  UNAVAILABLE: 69,
  /** EX_SOFTWARE: a bug in holdfast, or a kernel it doesn't understand. */
  SOFTWARE: 70,
  /** EX_OSERR: out of processes, descriptors, memory or locks. */
  OS_ERROR: 71,
  /** EX_CANTCREAT: no room for the file, or a read-only filesystem. */
  CANT_CREATE: 73,
  /** EX_TEMPFAIL: the lock stayed busy; try again later. */
  TEMP_FAIL: 75,
  /** EX_NOPERM: Deno was not given a permission that this takes. */
  NO_PERMISSION: 77,
  /** EX_CONFIG: the wait would never end, for the holder waits for it. */
  SELF_DEADLOCK: 78,
  /** The command was found and can't be executed, as in a shell. */
  NOT_EXECUTABLE: 126,
  /** The command was not found, as in a shell. */
  NOT_FOUND: 127,
  /** Plus the number of the signal that ended the command, as in a shell. */
  SIGNAL_BASE: 128,
} as const;
