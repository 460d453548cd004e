/**
 * Which kinds of lock can be trusted at a path, between whom, and what
 * endangers the lock file.
 *
 * ```ts
 * import { diagnose } from "@holdfast/holdfast/doctor";
 *
 * const { mount, warnings } = diagnose("/tmp/holdfast-example.lock");
 * console.log(mount.fsType, warnings.length);
 * ```
 *
 * Permissions: `--allow-ffi`.
 *
 * @module
 */

export { diagnose, type Diagnosis, type DoctorWarning } from "./doctor.ts";
export { rejectRemoteFs, UnsupportedFilesystemError } from "./guard.ts";
export {
  type JudgeContext,
  judgeFilesystem,
  type Trust,
  TRUST_KINDS,
  type TrustEntry,
  type TrustKind,
  type TrustScope,
  type TrustTable,
} from "./verdict.ts";
export type { ExportProtocol } from "./exported.ts";
export type { MountInfo } from "../proc/mountinfo.ts";
export { LockError } from "../sys/error.ts";
