import { printable } from "../../../lib/proc/printable.ts";
import type { WaitEdge, WaitNode } from "../../../lib/inspect/wait_graph.ts";
import { describePath } from "./column.ts";

/** A process as `pid 12 (make)`. */
export function describeNode({ name, process }: WaitNode): string {
  const program = process?.name;
  return program === undefined ? name : `${name} (${printable(program)})`;
}

/** What is waited for, as `FLOCK WRITE on /tmp/a.lock`. */
export function describeEdge({ reason, waiter }: WaitEdge): string {
  if (reason === "child") return "its child, which waits for a lock";
  const { type, mode, file, startByte, endByte } = waiter;
  const range = startByte === 0n && endByte === undefined
    ? ""
    : ` bytes ${startByte}-${endByte ?? "EOF"}`;
  const path = describePath(file) ?? `inode ${file.inode}`;
  return `${type} ${mode}${range} on ${path}`;
}
