import type { LockedFile } from "./locked_path.ts";
import type { WaitEdge, WaitGraph, WaitNode } from "./wait_graph.ts";

/** Processes that wait for each other in a ring. */
export interface Deadlock {
  /**
   * Whether nothing but an end of one of them can resolve it. Not so when one
   * of them has several threads, another of which may let go, or is there only
   * as the parent of a waiter.
   */
  certain: boolean;
  /** One shortest ring: each edge starts where the last one ends. */
  ring: WaitEdge[];
  /** Everyone in this or another ring with them. */
  processes: WaitNode[];
  /** Every reason to wait among them. */
  edges: WaitEdge[];
  /** Every file they wait for each other on. */
  files: LockedFile[];
}

/**
 * Finds the processes that wait for each other for ever: the kernel refuses
 * such a wait (EDEADLK) for POSIX locks only, and not across kinds.
 *
 * A process that waits for itself counts, unless it has several threads: then
 * one of them simply waits for another. Pure; needs no permission. The strongly
 * connected components, in linear time.
 *
 * @param graph From `waitGraph`.
 * @returns One entry for each set of processes that are in rings together.
 *
 * @example
 * ```ts
 * import { findDeadlocks, readLockTable, waitGraph } from "@holdfast/holdfast/inspect";
 *
 * for (const { ring } of findDeadlocks(waitGraph(readLockTable()))) {
 *   console.log(ring.map(({ from }) => from.name).join(" waits for "));
 * }
 * ```
 */
export function findDeadlocks(graph: WaitGraph): Deadlock[] {
  const edges = graph.edges.filter((edge) =>
    edge.from !== edge.to || edge.from.process?.threads === 1
  );
  const outgoing = Map.groupBy(edges, ({ from }) => from);
  const componentOf = findComponents(graph.nodes, outgoing);
  const inner = Map.groupBy(
    edges.filter(({ from, to }) =>
      componentOf.get(from) === componentOf.get(to)
    ),
    ({ from }) => componentOf.get(from)!,
  );
  return [...inner].map(([component, edges]) => {
    const processes = graph.nodes.filter((node) =>
      componentOf.get(node) === component
    );
    const ring = shortestRing(edges);
    return {
      certain: ring.every(({ reason, from }) =>
        reason === "lock" && from.process?.threads === 1
      ),
      ring,
      processes,
      edges,
      files: [...new Set(edges.flatMap(({ lock }) => lock?.file ?? []))],
    };
  });
}

/**
 * Keeps the deadlocks that a later reading finds too.
 *
 * The kernel's table isn't read at one moment: while locks come and go, a
 * single reading may show a ring that never was. A real one stays. Pure; needs
 * no permission.
 *
 * @param found What {@linkcode findDeadlocks} found first.
 * @param later What it found in another reading.
 */
export function confirmDeadlocks(
  found: readonly Deadlock[],
  later: readonly Deadlock[],
): Deadlock[] {
  const name = ({ from, to }: WaitEdge) => `${from.name} ${to.name}`;
  const still = new Set(later.flatMap(({ edges }) => edges.map(name)));
  return found.filter(({ ring }) =>
    ring.every((edge) => still.has(name(edge)))
  );
}

type Outgoing = ReadonlyMap<WaitNode, readonly WaitEdge[]>;

/**
 * Numbers the strongly connected component of each node (Tarjan 1972), with a
 * stack of its own: a chain of ten thousand waiters is no rarity.
 */
function findComponents(
  nodes: readonly WaitNode[],
  outgoing: Outgoing,
): Map<WaitNode, number> {
  const index = new Map<WaitNode, number>();
  const low = new Map<WaitNode, number>();
  const component = new Map<WaitNode, number>();
  const open: WaitNode[] = [];
  let components = 0;
  for (const root of nodes) {
    if (index.has(root)) continue;
    const path: { node: WaitNode; next: number }[] = [];
    const enter = (node: WaitNode) => {
      low.set(node, index.size);
      index.set(node, index.size);
      open.push(node);
      path.push({ node, next: 0 });
    };
    enter(root);
    while (path.length > 0) {
      const step = path.at(-1)!;
      const { node } = step;
      const edge = outgoing.get(node)?.[step.next++];
      if (edge !== undefined) {
        const { to } = edge;
        if (!index.has(to)) enter(to);
        else if (!component.has(to)) {
          low.set(node, Math.min(low.get(node)!, index.get(to)!));
        }
        continue;
      }
      path.pop();
      const parent = path.at(-1)?.node;
      if (parent !== undefined) {
        low.set(parent, Math.min(low.get(parent)!, low.get(node)!));
      }
      if (low.get(node) !== index.get(node)) continue;
      let member: WaitNode;
      do {
        member = open.pop()!;
        component.set(member, components);
      } while (member !== node);
      components++;
    }
  }
  return component;
}

/** A shortest ring through the first node that has one, by breadth. */
function shortestRing(edges: readonly WaitEdge[]): WaitEdge[] {
  const outgoing = Map.groupBy(edges, ({ from }) => from);
  const start = edges[0]!.from;
  const reachedBy = new Map<WaitNode, WaitEdge>();
  const queue = [start];
  for (const node of queue) {
    for (const edge of outgoing.get(node) ?? []) {
      if (edge.to === start) {
        const ring = [edge];
        while (ring[0]!.from !== start) {
          ring.unshift(reachedBy.get(ring[0]!.from)!);
        }
        return ring;
      }
      if (!reachedBy.has(edge.to)) {
        reachedBy.set(edge.to, edge);
        queue.push(edge.to);
      }
    }
  }
  return [];
}
