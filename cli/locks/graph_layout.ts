/**
 * Places for the nodes and curves for the edges of a wait graph: in layers
 * from left to right, as Sugiyama, Tagawa and Toda (1981) do it, with rings
 * cut open by depth-first search.
 *
 * @module
 */

import type {
  WaitEdge,
  WaitGraph,
  WaitNode,
} from "../../lib/inspect/wait_graph.ts";

/** Where a node's box is. */
export interface PlacedNode {
  node: WaitNode;
  x: number;
  y: number;
}

/** All edges from one node to another, drawn as one curve. */
export interface PlacedEdge {
  edges: WaitEdge[];
  /** The `d` of an SVG path. */
  path: string;
  labelX: number;
  labelY: number;
}

/** A drawing. */
export interface GraphLayout {
  width: number;
  height: number;
  nodes: PlacedNode[];
  edges: PlacedEdge[];
}

/** Width of a node's box. */
export const NODE_WIDTH = 210;
/** Height of a node's box. */
export const NODE_HEIGHT = 50;
const LAYER_GAP = 190;
const ROW_GAP = 46;
const MARGIN = 34;
/** Sweeps over the layers; more seldom better the order of so small graphs. */
const SWEEPS = 8;

interface Bundle {
  from: WaitNode;
  to: WaitNode;
  edges: WaitEdge[];
}

/** Lays a graph out. */
export function layOut(graph: WaitGraph): GraphLayout {
  const bundles = bundle(graph.edges);
  const layerOf = assignLayers(graph.nodes, bundles);
  const layers = orderLayers(graph.nodes, bundles, layerOf);
  const rows = Math.max(1, ...layers.map(({ length }) => length));
  const step = NODE_HEIGHT + ROW_GAP;
  const placed = new Map<WaitNode, PlacedNode>();
  for (const [layer, nodes] of layers.entries()) {
    const top = (rows - nodes.length) * step / 2;
    for (const [row, node] of nodes.entries()) {
      placed.set(node, {
        node,
        x: MARGIN + layer * (NODE_WIDTH + LAYER_GAP),
        y: MARGIN + top + row * step,
      });
    }
  }
  const edges = bundles.map(({ from, to, edges }) => ({
    edges,
    ...curve(placed.get(from)!, placed.get(to)!),
  }));
  const lowest = Math.max(0, ...edges.map(({ labelY }) => labelY));
  return {
    width: 2 * MARGIN + layers.length * (NODE_WIDTH + LAYER_GAP) - LAYER_GAP +
      (edges.some(({ edges: [edge] }) => edge!.from === edge!.to) ? 60 : 0),
    height: Math.max(2 * MARGIN + rows * step - ROW_GAP, lowest + MARGIN),
    nodes: [...placed.values()],
    edges,
  };
}

function bundle(edges: readonly WaitEdge[]): Bundle[] {
  const bundles = new Map<WaitNode, Map<WaitNode, Bundle>>();
  for (const edge of edges) {
    const { from, to } = edge;
    let targets = bundles.get(from);
    if (targets === undefined) bundles.set(from, targets = new Map());
    const known = targets.get(to);
    if (known === undefined) targets.set(to, { from, to, edges: [edge] });
    else known.edges.push(edge);
  }
  return [...bundles.values()].flatMap((targets) => [...targets.values()]);
}

/** The longest way to each node, along the edges that close no ring. */
function assignLayers(
  nodes: readonly WaitNode[],
  bundles: readonly Bundle[],
): Map<WaitNode, number> {
  const outgoing = Map.groupBy(bundles, ({ from }) => from);
  const layerOf = new Map<WaitNode, number>();
  // A node's edges are done when it is left: then all it leads to is placed.
  const state = new Map<WaitNode, "open" | "done">();
  const order: WaitNode[] = [];
  const forward: Bundle[] = [];
  for (const root of nodes) {
    if (state.has(root)) continue;
    const path = [{ node: root, next: 0 }];
    state.set(root, "open");
    while (path.length > 0) {
      const step = path.at(-1)!;
      const edge = outgoing.get(step.node)?.[step.next++];
      if (edge === undefined) {
        state.set(step.node, "done");
        order.push(step.node);
        path.pop();
        continue;
      }
      if (state.get(edge.to) === "open") continue;
      forward.push(edge);
      if (!state.has(edge.to)) {
        state.set(edge.to, "open");
        path.push({ node: edge.to, next: 0 });
      }
    }
  }
  const forwardFrom = Map.groupBy(forward, ({ from }) => from);
  for (const node of order.reverse()) {
    const layer = layerOf.get(node) ?? 0;
    layerOf.set(node, layer);
    for (const { to } of forwardFrom.get(node) ?? []) {
      layerOf.set(to, Math.max(layerOf.get(to) ?? 0, layer + 1));
    }
  }
  return layerOf;
}

/** Nodes of each layer, each near the middle of those it is tied to. */
function orderLayers(
  nodes: readonly WaitNode[],
  bundles: readonly Bundle[],
  layerOf: ReadonlyMap<WaitNode, number>,
): WaitNode[][] {
  const layers: WaitNode[][] = [];
  for (const node of nodes) (layers[layerOf.get(node)!] ??= []).push(node);
  const neighbours = new Map<WaitNode, WaitNode[]>(
    nodes.map((node) => [node, []]),
  );
  for (const { from, to } of bundles) {
    neighbours.get(from)!.push(to);
    neighbours.get(to)!.push(from);
  }
  const place = new Map<WaitNode, number>();
  const number = (layer: readonly WaitNode[]) =>
    layer.forEach((node, row) => place.set(node, row - layer.length / 2));
  layers.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (const layer of sweep % 2 === 0 ? layers : layers.toReversed()) {
      const middle = new Map(layer.map((node) => {
        const tied = neighbours.get(node)!.map((other) => place.get(other)!);
        const sum = tied.reduce((total, row) => total + row, 0);
        return [node, tied.length === 0 ? place.get(node)! : sum / tied.length];
      }));
      layer.sort((a, b) => middle.get(a)! - middle.get(b)!);
      number(layer);
    }
  }
  return layers;
}

function curve(
  from: PlacedNode,
  to: PlacedNode,
): Pick<PlacedEdge, "path" | "labelX" | "labelY"> {
  const middle = NODE_HEIGHT / 2;
  if (from === to) {
    const x = from.x + NODE_WIDTH;
    const y = from.y + middle;
    return {
      path: `M${x} ${y - 12} C${x + 60} ${y - 50} ${x + 60} ${y + 50} ${x} ${
        y + 12
      }`,
      labelX: x - NODE_WIDTH / 2,
      labelY: from.y + NODE_HEIGHT + 18,
    };
  }
  if (to.x > from.x) {
    const [x1, y1] = [from.x + NODE_WIDTH, from.y + middle - 6];
    const [x2, y2] = [to.x, to.y + middle - 6];
    const bend = (x2 - x1) / 2;
    return {
      path: `M${x1} ${y1} C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`,
      // Nearer the start, where the edges of one target are apart.
      labelX: x1 + LAYER_GAP / 2,
      labelY: y1 + (y2 - y1) * (LAYER_GAP / 2 / (x2 - x1)) - 8,
    };
  }
  // Backwards: below everything in between.
  const [x1, y1] = [from.x, from.y + middle + 8];
  const [x2, y2] = [to.x + NODE_WIDTH, to.y + middle + 8];
  if (to.x === from.x) {
    const x = from.x + NODE_WIDTH;
    return {
      path: `M${x} ${y1} C${x + 70} ${y1} ${x + 70} ${y2} ${x} ${y2}`,
      labelX: x + 60,
      labelY: (y1 + y2) / 2,
    };
  }
  const dip = Math.max(y1, y2) + NODE_HEIGHT / 2 + 14;
  return {
    path: `M${x1} ${y1} C${x1 - 70} ${dip} ${x2 + 70} ${dip} ${x2} ${y2}`,
    labelX: (x1 + x2) / 2,
    labelY: y1 / 8 + y2 / 8 + dip * 3 / 4 + 16,
  };
}
