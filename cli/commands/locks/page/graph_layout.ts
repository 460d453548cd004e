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
} from "../../../../lib/inspect/wait_graph.ts";

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

/** Lays a graph out: parts that have nothing to do with each other in rows. */
export function layOut(graph: WaitGraph): GraphLayout {
  const layout: GraphLayout = { width: 0, height: 0, nodes: [], edges: [] };
  for (const part of connectedParts(graph.nodes, bundle(graph.edges))) {
    layOutPart(part, layout);
  }
  return layout;
}

interface Part {
  nodes: WaitNode[];
  bundles: Bundle[];
}

/** Adds a part below what is placed already. */
function layOutPart({ nodes, bundles }: Part, layout: GraphLayout): void {
  const layers = orderLayers(nodes, bundles, assignLayers(nodes, bundles));
  const rows = Math.max(...layers.map(({ length }) => length));
  const step = NODE_HEIGHT + ROW_GAP;
  const placed = new Map<WaitNode, PlacedNode>();
  let bottom = 0;
  for (const [layer, nodes] of layers.entries()) {
    const top = layout.height + MARGIN + (rows - nodes.length) * step / 2;
    for (const [row, node] of nodes.entries()) {
      const x = MARGIN + layer * (NODE_WIDTH + LAYER_GAP);
      const y = top + row * step;
      placed.set(node, { node, x, y });
      bottom = Math.max(bottom, y + NODE_HEIGHT);
    }
  }
  let right = MARGIN + layers.length * (NODE_WIDTH + LAYER_GAP) - LAYER_GAP;
  for (const { from, to, edges } of bundles) {
    const drawn = curve(placed.get(from)!, placed.get(to)!);
    layout.edges.push({ edges, ...drawn });
    right = Math.max(right, drawn.labelX + MARGIN);
    bottom = Math.max(bottom, drawn.labelY);
  }
  layout.nodes.push(...placed.values());
  layout.width = Math.max(layout.width, right + MARGIN);
  layout.height = bottom + MARGIN / 2;
}

function connectedParts(
  nodes: readonly WaitNode[],
  bundles: readonly Bundle[],
): Part[] {
  const tied = new Map<WaitNode, Bundle[]>(nodes.map((node) => [node, []]));
  for (const bundle of bundles) {
    tied.get(bundle.from)!.push(bundle);
    tied.get(bundle.to)!.push(bundle);
  }
  const parts: Part[] = [];
  const seen = new Set<WaitNode>();
  for (const start of nodes) {
    if (seen.has(start)) continue;
    seen.add(start);
    const members = [start];
    const ties = new Set<Bundle>();
    for (const node of members) {
      for (const bundle of tied.get(node)!) {
        ties.add(bundle);
        for (const other of [bundle.from, bundle.to]) {
          if (seen.has(other)) continue;
          seen.add(other);
          members.push(other);
        }
      }
    }
    parts.push({ nodes: members, bundles: [...ties] });
  }
  return parts;
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
