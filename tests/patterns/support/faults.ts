import {
  FILE_CALLS,
  type FileCalls,
} from "../../../lib/patterns/file/calls.ts";

type Call = (...args: never[]) => number;

/**
 * System calls of which each is preceded by `before`: its result, unless
 * `undefined`, takes the place of the call's.
 */
export function interceptCalls(
  before: (name: keyof FileCalls, args: unknown[]) => number | undefined,
): FileCalls {
  const entries = Object.entries(FILE_CALLS) as [keyof FileCalls, Call][];
  return Object.fromEntries(entries.map(([name, call]) => [
    name,
    (...args: never[]) => before(name, args) ?? call(...args),
  ])) as FileCalls;
}

/** Lets so many bytes be written in all, and then says that the disk is full. */
export function smallDisk(
  bytes: number,
  reserve: "unsupported" | "lies",
): FileCalls {
  const ENOSPC = 28;
  const EOPNOTSUPP = 95;
  let left = bytes;
  return interceptCalls((name, args) => {
    if (name === "reserve") return reserve === "lies" ? 0 : -EOPNOTSUPP;
    const data = args[1];
    if (!(data instanceof Uint8Array) || !/writeAt|append/.test(name)) return;
    if (left <= 0) return -ENOSPC;
    const part = (data as Uint8Array<ArrayBuffer>).subarray(0, left);
    left -= part.length;
    return name === "append"
      ? FILE_CALLS.append(args[0] as number, part)
      : FILE_CALLS.writeAt(args[0] as number, part, args[2] as bigint);
  });
}
