import { rejectRemoteFile } from "../fs/guard.ts";
import { checkOptions } from "../lock/check.ts";
import { FlockAttempt, type LockMode } from "../lock/flock/flock.ts";
import type { LockPath, PathLike } from "../lock/lock_path.ts";
import type { LockAttemptOptions } from "../lock/lock_attempt.ts";

/** Which flock is taken, and what is checked and created before. */
export interface FlockAttemptOptions extends
  Pick<
    LockAttemptOptions,
    "create" | "createParents" | "pinned" | "writing"
  > {
  /** Shared or exclusive; exclusive unless set. */
  mode?: LockMode | undefined;
  /** Lock even on a network, cluster or FUSE filesystem. */
  allowRemote?: boolean | undefined;
}

/** A lock file on its way to being locked, refused where flock is a guess. */
export function flockAttempt(
  path: PathLike | LockPath,
  options: FlockAttemptOptions = {},
): FlockAttempt {
  checkOptions(options);
  const {
    mode = "exclusive",
    create,
    createParents,
    pinned,
    writing,
    allowRemote = false,
  } = options;
  return new FlockAttempt(path, mode, {
    create,
    createParents,
    pinned,
    writing,
    checkFd: allowRemote ? undefined : rejectRemoteFile,
  });
}
