/**
 * `run` on record locks, and on flock and fcntl at once.
 *
 * @module
 */

import { readRangeHoldersIfAny } from "../../../lib/inspect/range_holders.ts";
import type { RecordLockKind } from "../../../lib/lock/record/record_lock.ts";
import {
  blockAttempt,
  bothLockAttempt,
  recordLockAttempt,
} from "../../../lib/acquire/record.ts";
import { type ParsedOptions, UsageError } from "../../args/parse.ts";
import type { RunRequest, TakenLock } from "./request.ts";
import { type FileAttempt, takeFiles } from "./take_flock.ts";

/** Takes all of the lock files, or none. */
export async function take(
  request: RunRequest,
): Promise<TakenLock | undefined> {
  const { options, mode, allowRemote } = request;
  const kind = options.value("kind");
  const text = options.value("range");
  if (kind === "posix") checkPosix(options);
  if (kind === "both") {
    return takeFiles(
      request,
      (path, pinned) => bothLockAttempt(path, { mode, allowRemote, pinned }),
    );
  }
  const range = text === undefined
    ? undefined
    : (await import("../../args/byte_range.ts")).parseByteRange(text);
  const target = { range, kind: kind as RecordLockKind, mode, allowRemote };
  return takeFiles(request, (path, pinned): FileAttempt => {
    const attempt = recordLockAttempt(path, { ...target, pinned });
    return {
      get file() {
        return attempt.file;
      },
      try: () => attempt.try(),
      block: (options) => blockAttempt(path, attempt, { ...options, mode }),
      readHolders: () => readRangeHoldersIfAny(path, attempt.span, mode),
      [Symbol.dispose]: () => attempt[Symbol.dispose](),
    };
  });
}

/** A POSIX lock can't be handed on: it is this process's, and ends with it. */
function checkPosix(options: ParsedOptions): void {
  const hint = "A command can only hold a flock, ofd or both lock";
  if (options.flag("exec")) {
    throw new UsageError("--exec can't go with --kind posix", { hint });
  }
  if (options.value("on-supervisor-death") === "keep") {
    throw new UsageError(
      "--on-supervisor-death keep can't go with --kind posix",
      { hint },
    );
  }
}
