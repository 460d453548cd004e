import { capture, type Peers, type Report, repositoryPath } from "./support.ts";

interface Measurement {
  tool: string;
  shape: string;
  locks: number;
  ms: number;
  cpuMs: number;
  capped?: boolean;
}

/** Benchmark 5: listing many locks; measured by inspection.ts. */
export async function measureInspection(peers: Peers): Promise<Report> {
  const counts = peers.quick
    ? ["100", "1000"]
    : ["100", "1000", "10000", "100000"];
  const output = await capture({
    command: Deno.execPath(),
    args: [
      "run",
      "-A",
      "--quiet",
      repositoryPath("bench/inspection.ts"),
      "--json",
      ...counts,
    ],
  });
  const { results } = JSON.parse(output) as { results: Measurement[] };
  const rows = results.map(({ tool, shape, locks, ms, cpuMs, capped }) => ({
    name: `${tool}, ${locks.toLocaleString("en")} ${SHAPES[shape] ?? shape}` +
      (capped ? " (ended)" : ""),
    values: [ms, ms * 1000 / locks, cpuMs],
  }));
  return {
    title: "Inspection",
    method: "`holdfast locks --json` and `lslocks -J` with that many locks " +
      "held; lslocks is quadratic and ended after 60 s.",
    columns: ["ms", "µs per lock", "CPU, ms"],
    rows,
    chartColumn: 0,
    chart: "inspection",
  };
}

const SHAPES: Readonly<Record<string, string>> = {
  ranges: "byte ranges",
  files: "files",
};
