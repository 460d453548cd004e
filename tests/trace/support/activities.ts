/** What happens to locks, made by hand. */
import type {
  AlsoHeldLock,
  LockActivity,
  LockEventName,
  TracedFile,
} from "../../../lib/trace/activity.ts";

const files = new Map<string, TracedFile>();

/** A file of a name; the same one each time. */
export function file(name: string): TracedFile {
  let found = files.get(name);
  if (found === undefined) {
    const inode = BigInt(files.size + 1);
    found = { major: 8, minor: 1, inode, path: name, pathStatus: "here" };
    files.set(name, found);
  }
  return found;
}

/** Something that happened to a whole file, exclusively, at a time. */
export function activity(
  timeMs: number,
  event: LockEventName,
  pid: number,
  name: string,
  more: Partial<LockActivity> = {},
): LockActivity {
  return {
    event,
    timeMs,
    file: file(name),
    type: "FLOCK",
    mode: "WRITE",
    startByte: 0n,
    endByte: undefined,
    process: { pid, command: `program ${pid}` },
    threadId: pid,
    canWait: true,
    ...more,
  };
}

/** A lock that is held on a file. */
export function held(
  name: string,
  more: Partial<AlsoHeldLock> = {},
): AlsoHeldLock {
  return {
    file: file(name),
    type: "FLOCK",
    mode: "WRITE",
    startByte: 0n,
    endByte: undefined,
    holderPid: undefined,
    ...more,
  };
}
