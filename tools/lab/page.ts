/**
 * docs/filesystems.md, and the results that it is made from.
 *
 * @module
 */

import { ROOT } from "../project.ts";
import type { Finding } from "./agent.ts";
import type { Cell, Cells } from "./cells.ts";
import { type Configuration, CONFIGURATIONS } from "./configurations.ts";
import type { Place } from "./words.ts";

export type { Place } from "./words.ts";

/** What was found of one configuration, and with what. */
export interface Result {
  /** The day. */
  date: string;
  /** The kernel that it was found with. */
  kernel: string;
  /** The versions of the packages that matter, as `samba 4.17`. */
  versions: string[];
  /** What locks do. */
  cells: Cells;
  /** The mount of the client, as doctor sees it. */
  client: Place;
  /** The same of the server's directory. */
  server?: Place;
}

/** By the name of the configuration. */
export type Results = Record<string, Result>;

const RESULTS = `${ROOT}/tools/lab/results.json`;
const PAGE = `${ROOT}/docs/filesystems.md`;

/** What is known so far. */
export function readResults(): Results {
  return JSON.parse(Deno.readTextFileSync(RESULTS));
}

/** Adds what was found to what is known, and writes the page. */
export function updatePage(finding: Finding, day: string): void {
  const { name, kernel, versions, cells, words } = finding;
  if (cells === undefined || words === undefined) return;
  const results = readResults();
  results[name] = {
    date: day,
    kernel: kernel!,
    versions: versions!,
    cells,
    client: words.doctor.place,
    ...words.serverDoctor && { server: words.serverDoctor.place },
  };
  Deno.writeTextFileSync(RESULTS, `${JSON.stringify(results, null, 2)}\n`);
  Deno.writeTextFileSync(PAGE, pageOf(results));
  for (const { page, has } of PARTS) {
    const path = `${ROOT}/${page}`;
    const text = Deno.readTextFileSync(path);
    Deno.writeTextFileSync(path, withPart(text, results, has));
  }
}

/** docs/filesystems.md, formatted as deno fmt would. */
export function pageOf(results: Results): string {
  return `${HEAD}\n${matrix(results, CONFIGURATIONS)}${FOOT}\n${
    table(["filesystem", "tried on", "with"], versionRows(results))
  }`;
}

/** The pages that carry a part of the matrix, between two comments. */
export const PARTS: readonly {
  page: string;
  has(configuration: Configuration): boolean;
}[] = [
  { page: "docs/flock-on-nfs.md", has: ({ service }) => service === "nfs" },
  {
    page: "docs/which-kind-of-lock.md",
    has: ({ service }) => service !== "nfs",
  },
];

/** Such a page with what is known now. */
export function withPart(
  text: string,
  results: Results,
  has: (configuration: Configuration) => boolean,
): string {
  const part = matrix(results, CONFIGURATIONS.filter(has));
  return text.replace(
    /(<!-- from the lab -->\n)[^]*(<!-- end -->)/,
    (_, start, end) => `${start}\n${part}\n${end}`,
  );
}

function matrix(
  results: Results,
  configurations: readonly Configuration[],
): string {
  const rows = configurations.flatMap((configuration) => {
    const result = results[configuration.name];
    return result === undefined ? [] : [rowOf(configuration, result)];
  });
  return table(HEADINGS, rows);
}

const HEADINGS = [
  "filesystem",
  "options",
  "one host: flock, fcntl",
  "flock against fcntl",
  "two clients: flock, fcntl",
  "server and client: flock, fcntl",
  "link(2)",
];

function rowOf({ name, options }: Configuration, { cells }: Result): string[] {
  return [
    name,
    options === "" ? "-" : `\`${options}\``,
    `${word(cells.hostFlock)}, ${word(cells.hostFcntl)}`,
    word(cells.mixed),
    `${word(cells.clientsFlock)}, ${word(cells.clientsFcntl)}`,
    cells.serverFlock === undefined
      ? "-"
      : `${word(cells.serverFlock)}, ${word(cells.serverFcntl)}`,
    word(cells.link),
  ];
}

function word(cell: Cell | undefined): string {
  switch (cell) {
    case "excluded":
      return "X";
    case "both":
      return "**B**";
    default:
      return cell ?? "-";
  }
}

function versionRows(results: Results): string[][] {
  return CONFIGURATIONS.flatMap(({ name }) => {
    const result = results[name];
    if (result === undefined) return [];
    const { date, kernel, versions } = result;
    return [[name, date, [`Linux ${kernel}`, ...versions].join(", ")]];
  });
}

/** A table whose columns are as wide as their widest cell. */
function table(headings: readonly string[], rows: string[][]): string {
  const all = [[...headings], ...rows];
  const widths = headings.map((_, i) =>
    Math.max(...all.map((row) => row[i]!.length))
  );
  const line = (row: readonly string[], fill = " ") =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i]!, fill)).join(" | ")} |`;
  const [head, ...body] = all;
  return [
    line(head!),
    line(widths.map(() => "-"), "-"),
    ...body.map((row) => line(row)),
  ].map((text) => `${text}\n`).join("");
}

const HEAD = `# Filesystems: what locks do on each

Found by trying, with real servers and clients: \`deno task lab\` writes this
page. Two processes try to hold one file at the same time, in both orders.

- **X**: the second is kept out.
- **B**: both hold the lock, which is then none.

"Two clients" are two mounts, for NFS, SMB and diod by two hosts with a network
and a name of their own. "Server and client" is a process on the server's own
disk against one on a client. "link(2)" is two clients that give one name to
files of their own: X where exactly one succeeds.
`;

const FOOT = `
\`holdfast doctor PATH\` says of a path what this table says of its filesystem,
and "it depends" where what matters can't be seen from a client: how virtiofsd
was started, what serves 9p.

## Tried with
`;
