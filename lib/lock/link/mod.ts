/**
 * Link locks, except for waiting; `link_lock.ts` says what they are.
 *
 * @module
 */

export { LockCompromisedError } from "../lock_compromised_error.ts";
export { UnsupportedFilesystemError } from "../unsupported_filesystem_error.ts";
export type { PathLike } from "../lock_path.ts";
export { tryLinkLock } from "./attempt.ts";
export { forceLinkLock, releaseLinkLock } from "./break.ts";
export type { LinkLockHandle, LinkLockOptions } from "./link_lock.ts";
export {
  ForeignLinkLockError,
  formatLinkOwnerLine,
  judgeLinkOwner,
  type LinkLockOwner,
} from "./owner.ts";
export type { RemovalIncident } from "./protocol.ts";
export { readLinkLockMessage, readLinkLockOwner } from "./stored_owner.ts";
export { sweepLinkLock, type SweptFile } from "./sweep.ts";
export type {
  Liveness,
  LivenessVerdict,
  ProcessIdentity,
} from "../../sys/process/identity.ts";
