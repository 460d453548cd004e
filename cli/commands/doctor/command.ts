/**
 * `holdfast doctor`: the truth about locks at a path.
 *
 * @module
 */

import {
  diagnose,
  type Diagnosis,
  type DoctorWarning,
} from "../../../lib/fs/doctor.ts";
import {
  TRUST_KINDS,
  type TrustEntry,
  type TrustKind,
  type TrustScope,
} from "../../../lib/fs/verdict.ts";
import { formatHolderList } from "../../../lib/inspect/holder.ts";
import { isLockUrl } from "../../../lib/lock/lock_path.ts";
import { printable, quotePath } from "../../../lib/proc/printable.ts";
import { DOCTOR_SPEC } from "./spec.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import type { ProbeMatrix } from "./probe.ts";
import { parseOptions, UsageError } from "../../args/parse.ts";
import { refuseEngineOptions } from "../../args/read_engine_options.ts";
import { checkUtf8 } from "../../args/utf8.ts";
import { pathOperands } from "../../args/paths.ts";
import { writeOut } from "../../ui/output.ts";

/** Exit code when the kind asked for is not safe somewhere. */
const UNSAFE = 1;

interface Report {
  diagnosis: Diagnosis;
  kind: TrustKind;
  safe: boolean;
  probe: ProbeMatrix | undefined;
}

/** Runs the subcommand and gives the exit code. */
export async function doctorCommand(args: string[]): Promise<number> {
  const options = parseOptions(DOCTOR_SPEC, args);
  const probeFile = options.value("probe-child");
  if (probeFile !== undefined) {
    const { tryAllKinds } = await import("./probe.ts");
    writeOut(JSON.stringify(tryAllKinds(probeFile)));
    return EXIT.OK;
  }
  const paths = pathOperands(options);
  if (paths.length === 0) throw new UsageError("missing path");
  if (paths.some(isLockUrl)) {
    return await (await import("./engines.ts")).examineEngines(paths, options);
  }
  refuseEngineOptions(options);
  if (options.flag("probe")) checkUtf8(paths, "a path to --probe");
  const kind = (options.value("kind") ?? "flock") as TrustKind;
  const reports: Report[] = [];
  for (const path of paths) {
    const diagnosis = diagnose(path);
    const probe = options.flag("probe")
      ? await (await import("./probe.ts")).probeLocks(diagnosis.realPath)
      : undefined;
    const safe = diagnosis.safeKinds.includes(kind) &&
      probe?.[kind][kind].excluded !== false;
    reports.push({ diagnosis, kind, safe, probe });
  }
  writeOut(
    options.flag("json")
      ? JSON.stringify({ schema: 1, paths: reports.map(toJson) }) + "\n"
      : reports.map(toText).join("\n"),
  );
  return reports.every(({ safe }) => safe) ? EXIT.OK : UNSAFE;
}

function toJson(report: Report): Record<string, unknown> {
  const { diagnosis, kind, safe, probe } = report;
  const { mount } = diagnosis;
  return {
    path: diagnosis.path,
    realPath: diagnosis.realPath,
    exists: diagnosis.exists,
    kind,
    safe,
    recommendedKind: diagnosis.recommendedKind ?? null,
    command: commandFor(diagnosis, kind) ?? null,
    filesystem: {
      type: mount.fsType,
      mountPoint: mount.mountPoint,
      source: mount.source,
      mountOptions: mount.mountOptions,
      superOptions: mount.superOptions,
      exportedBy: diagnosis.exportedBy ?? null,
      exportedAs: diagnosis.exportedAs ?? null,
    },
    trust: Object.fromEntries(TRUST_KINDS.map((kind) => [
      kind,
      Object.fromEntries(
        SCOPES.map((
          [scope],
        ) => [scope, entryJson(diagnosis.trust[kind][scope])]),
      ),
    ])),
    obstacle: diagnosis.obstacle ?? null,
    warnings: warningsOf(report),
    holders: diagnosis.holders.map(({ pid, command, type, mode }) => ({
      pid: pid ?? null,
      command,
      type,
      mode,
    })),
    probe: probe ?? null,
  };
}

const SCOPES: readonly [TrustScope, string][] = [
  ["host", "processes of this host"],
  ["clients", "hosts that mount the same storage"],
  ["server", "the file server and its clients"],
];

/** Mount options that change what locks mean. */
const TELLING_OPTIONS =
  /^(ro|nolock|local_lock=|vers=|noac|soft|softerr|hard|nobrl|cache=|localflock|localflocks|flock|noflock|userxattr|xino=|index=|metacopy=)/;

function entryJson(entry: TrustEntry | undefined) {
  return entry === undefined
    ? null
    : { trust: entry.trust, reason: entry.reason };
}

function toText(report: Report): string {
  const { diagnosis, kind, safe, probe } = report;
  const { mount, exportedBy, holders } = diagnosis;
  const telling = [...new Set([...mount.mountOptions, ...mount.superOptions])]
    .filter((option) => TELLING_OPTIONS.test(option));
  const lines = [
    `${quotePath(diagnosis.path)}: ${verdict(diagnosis, kind, safe)}`,
    `  filesystem: ${printable(mount.fsType)} on ${
      quotePath(mount.mountPoint)
    }` + (telling.length === 0 ? "" : ` (${printable(telling.join(","))})`),
  ];
  if (exportedBy !== undefined) {
    lines.push(
      `  exported by ${diagnosis.exportedAs?.toUpperCase()}: ` +
        quotePath(exportedBy),
    );
  }
  if (diagnosis.obstacle !== undefined) {
    lines.push(`  no: ${diagnosis.obstacle}`);
  }
  for (const [scope, name] of SCOPES) {
    const entries = TRUST_KINDS.flatMap((kind) => {
      const entry = diagnosis.trust[kind][scope];
      return entry === undefined ? [] : [{ kind, entry }];
    });
    if (entries.length === 0) continue;
    lines.push(`  between ${name}:`);
    for (const { kinds, entry } of groupEqual(entries)) {
      lines.push(
        `    ${kinds.join(", ")}: ${SAID[entry.trust]}, ${entry.reason}`,
      );
    }
  }
  for (const { message } of warningsOf(report)) {
    lines.push(`  note: ${message}`);
  }
  if (holders.length > 0) {
    lines.push(
      "  held now by:",
      formatHolderList(holders).replace(/^/gm, "  "),
    );
  }
  if (probe !== undefined) lines.push(...probeLines(probe));
  const command = commandFor(diagnosis, kind);
  if (command !== undefined) lines.push(`  use: ${command}`);
  return lines.join("\n") + "\n";
}

/** What endangers the lock file, and what the kind that was asked for can't. */
function warningsOf({ diagnosis, kind }: Report): DoctorWarning[] {
  if (kind !== "posix" && kind !== "link") return diagnosis.warnings;
  const message =
    `a ${kind} lock can't be left to a command: if holdfast run ` +
    "is killed, it kills the command, but the next holder may start a moment " +
    "before that is gone; " +
    (kind === "posix"
      ? "ofd locks meet the same programs, and the command keeps them"
      : "the fence tells a resource who is late");
  return [...diagnosis.warnings, { code: "not-kept", message }];
}

const SAID: Readonly<Record<TrustEntry["trust"], string>> = {
  yes: "yes",
  no: "NO",
  depends: "it depends",
};

function verdict(diagnosis: Diagnosis, kind: TrustKind, safe: boolean): string {
  if (safe) return `safe for ${kind}`;
  const { recommendedKind } = diagnosis;
  return recommendedKind === undefined || recommendedKind === kind
    ? `not safe for ${kind}`
    : `not safe for ${kind}, use ${recommendedKind}`;
}

/** Kinds with one and the same entry are said once. */
function groupEqual(
  entries: { kind: TrustKind; entry: TrustEntry }[],
): { kinds: TrustKind[]; entry: TrustEntry }[] {
  const groups: { kinds: TrustKind[]; entry: TrustEntry }[] = [];
  for (const { kind, entry } of entries) {
    const group = groups.find(({ entry: other }) =>
      other.trust === entry.trust && other.reason === entry.reason
    );
    if (group === undefined) groups.push({ kinds: [kind], entry });
    else group.kinds.push(kind);
  }
  return groups;
}

/** A command that works there: with the kind that was asked for, if it is safe. */
function commandFor(
  diagnosis: Diagnosis,
  asked: TrustKind,
): string | undefined {
  const { safeKinds, recommendedKind, path, mount } = diagnosis;
  const kind = safeKinds.includes(asked) ? asked : recommendedKind;
  if (kind === undefined || mount.mountOptions.includes("ro")) return undefined;
  const option = kind === "flock" ? "" : `--kind ${kind} `;
  const isRemote = "clients" in diagnosis.trust[kind];
  const remote = isRemote && kind === "flock" ? "--allow-remote " : "";
  // A link lock is a file that is there only while it is held.
  const file = kind === "link" && diagnosis.exists ? `${path}.link` : path;
  return `holdfast run ${option}${remote}${shellQuote(file)} -- COMMAND`;
}

function shellQuote(path: string): string {
  const shown = printable(path);
  return /^[\w@%+=:,./-]+$/.test(shown)
    ? shown
    : `'${shown.replaceAll("'", `'\\''`)}'`;
}

function probeLines(probe: ProbeMatrix): string[] {
  const width = 10;
  const lines = [
    "  probed: one process holds (rows), another tries (columns):",
    `    ${"".padEnd(width)}${
      TRUST_KINDS.map((kind) => kind.padEnd(width)).join("")
    }`.trimEnd(),
  ];
  for (const held of TRUST_KINDS) {
    const cells = TRUST_KINDS.map((tried) => {
      const { excluded, error } = probe[held][tried];
      if (excluded === null) return (error ?? "failed").padEnd(width);
      return (excluded ? "excluded" : "got it").padEnd(width);
    });
    lines.push(`    ${held.padEnd(width)}${cells.join("")}`.trimEnd());
  }
  return lines;
}
