/**
 * The wait graph as text, for Graphviz, or for Mermaid.
 *
 * @module
 */

import type { Deadlock } from "../../../lib/inspect/deadlock.ts";
import type {
  WaitEdge,
  WaitGraph,
  WaitNode,
} from "../../../lib/inspect/wait_graph.ts";
import { printable } from "../../../lib/proc/printable.ts";
import { describeEdge, describeNode } from "./wait_text.ts";

/** Draws a graph as `text`, `dot` or `mermaid`. */
export function drawGraph(
  graph: WaitGraph,
  deadlocks: readonly Deadlock[],
  format: string,
): string {
  const stuck = new Set(deadlocks.flatMap(({ edges }) => edges).map(edgeKey));
  const isStuck = (edge: WaitEdge) => stuck.has(edgeKey(edge));
  switch (format) {
    case "dot":
      return drawDot(graph, isStuck);
    case "mermaid":
      return drawMermaid(graph, isStuck);
  }
  return drawText(graph, isStuck);
}

/** The same edge of two graphs of one table. */
function edgeKey({ from, to, reason, waiter, lock }: WaitEdge): string {
  return `${from.name} ${to.name} ${reason} ${waiter.id} ${lock?.id}`;
}

type EdgeTest = (edge: WaitEdge) => boolean;

function drawText(graph: WaitGraph, isStuck: EdgeTest): string {
  if (graph.edges.length === 0) return "nobody waits\n";
  const lines: string[] = [];
  for (const [from, edges] of Map.groupBy(graph.edges, ({ from }) => from)) {
    lines.push(`${describeNode(from)}: ${from.process?.command ?? "?"}`);
    for (const edge of edges) {
      const mark = isStuck(edge) ? "  [deadlock]" : "";
      lines.push(`  waits for ${describeEdge(edge)}`);
      lines.push(`    ${describeNode(edge.to)}${mark}`);
    }
  }
  return lines.join("\n") + "\n";
}

function numbered(nodes: readonly WaitNode[]): Map<WaitNode, string> {
  return new Map(nodes.map((node, index) => [node, `n${index}`]));
}

function drawDot(graph: WaitGraph, isStuck: EdgeTest): string {
  const ids = numbered(graph.nodes);
  const quote = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;
  const lines = ["digraph waits {", "  rankdir=LR;", "  node [shape=box];"];
  for (const [node, id] of ids) {
    const command = node.process?.command ?? "";
    // The \n is dot's own line break.
    const label = quote(`${describeNode(node)}\n${command}`)
      .replace("\n", "\\n");
    lines.push(`  ${id} [label=${label}];`);
  }
  for (const edge of graph.edges) {
    const attributes = [`label=${quote(describeEdge(edge))}`];
    if (isStuck(edge)) attributes.push("color=red", "penwidth=2");
    if (edge.reason === "child") attributes.push("style=dashed");
    lines.push(
      `  ${ids.get(edge.from)} -> ${ids.get(edge.to)} ` +
        `[${attributes.join(", ")}];`,
    );
  }
  return lines.join("\n") + "\n}\n";
}

function drawMermaid(graph: WaitGraph, isStuck: EdgeTest): string {
  const ids = numbered(graph.nodes);
  // Mermaid has no backslash escapes; it takes entities by number.
  const quote = (text: string) =>
    `"${
      printable(text).replace(
        /[^\w .,:/()=+@-]/gu,
        (character) => `#${character.codePointAt(0)};`,
      )
    }"`;
  const lines = ["flowchart LR"];
  for (const [node, id] of ids) {
    lines.push(`  ${id}[${quote(describeNode(node))}]`);
  }
  const stuck: number[] = [];
  for (const [index, edge] of graph.edges.entries()) {
    const arrow = edge.reason === "child" ? "-.->" : "-->";
    lines.push(
      `  ${ids.get(edge.from)} ${arrow}|${quote(describeEdge(edge))}| ` +
        ids.get(edge.to),
    );
    if (isStuck(edge)) stuck.push(index);
  }
  if (stuck.length > 0) {
    lines.push(`  linkStyle ${stuck.join(",")} stroke:red,stroke-width:2px`);
  }
  return lines.join("\n") + "\n";
}
