import type { Deadlock } from "../../../lib/inspect/deadlock.ts";
import type { LockTable } from "../../../lib/inspect/lock_table.ts";
import { describePath } from "./column.ts";
import { JsonWriter, SCHEMA } from "./json.ts";
import { describeEdge, describeNode } from "./wait_text.ts";

/** Every ring in words, with all processes and files. */
export function describeDeadlocks(deadlocks: readonly Deadlock[]): string {
  if (deadlocks.length === 0) return "no deadlock\n";
  const lines: string[] = [];
  for (const { certain, ring, processes, files } of deadlocks) {
    const kind = certain ? "deadlock" : "possible deadlock";
    lines.push(`${kind}: ${ring.length} in a ring`);
    for (const edge of ring) {
      lines.push(
        `  ${describeNode(edge.from)} waits for ${describeEdge(edge)}`,
        edge.reason === "lock"
          ? `    held by ${describeNode(edge.to)}`
          : `    namely ${describeNode(edge.to)}`,
      );
    }
    if (processes.length > ring.length) {
      lines.push(`  all processes: ${processes.map(describeNode).join(", ")}`);
    }
    lines.push("  command lines:");
    for (const { name, process } of processes) {
      lines.push(`    ${name}: ${process?.command ?? "?"}`);
    }
    lines.push("  files:");
    for (const file of files) {
      lines.push(`    ${describePath(file) ?? `inode ${file.inode}`}`);
    }
    lines.push("  to resolve it, end one of these processes");
  }
  return lines.join("\n") + "\n";
}

/** The same as one JSON document. */
export function deadlocksJson(
  table: LockTable,
  deadlocks: readonly Deadlock[],
): string {
  const writer = new JsonWriter(table.readAtMs);
  const rings = deadlocks.map(({ certain, ring, processes, files }) => {
    const edges = ring.map(({ from, to, reason, waiter, lock }) =>
      `{"from":${from.process?.pid ?? null},"to":${to.process?.pid ?? null},` +
      `"reason":"${reason}","waiter":${waiter.id},"lock":${lock?.id ?? null},` +
      `"type":${JSON.stringify(waiter.type)},` +
      `"mode":${JSON.stringify(waiter.mode)},` +
      `"file":${writer.file(waiter.file)}}`
    );
    return `{"certain":${certain},"ring":[${edges.join(",")}],` +
      `"processes":[${
        processes.map(({ process }) => writer.process(process)).join(",")
      }],"files":[${files.map((file) => writer.file(file)).join(",")}]}`;
  });
  return `{"schema":${SCHEMA},` +
    `"unreadableProcesses":${table.unreadablePids.length},` +
    `"deadlocks":[${rings.join(",\n")}]}\n`;
}
