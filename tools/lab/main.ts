/**
 * The lab: what locks do on real filesystems, and whether what holdfast says
 * of them is true.
 *
 * ```sh
 * deno task lab                 # every group; about ten minutes
 * deno task lab quick           # NFS, CIFS, 9p, virtiofs
 * deno task lab nfs4.2 bindfs   # some of them
 * deno task lab faults          # what locks live through
 * ```
 *
 * Writes docs/filesystems.md. Needs root, Debian's apt-get and, for all but
 * the group `here`, qemu-system-x86, busybox-static and kmod. Everything else
 * is downloaded and unpacked, not installed.
 *
 * @module
 */

import { isInstalled } from "../../tests/support/programs.ts";
import type { Finding } from "./agent.ts";
import {
  type Configuration,
  CONFIGURATIONS,
  GROUPS,
} from "./configurations.ts";
import { findHere } from "./here.ts";
import { faultLines, findInMachine } from "./outside.ts";
import { judge } from "./judge.ts";
import { updatePage } from "./page.ts";
import { KERNEL, unpackPackages } from "./packages.ts";

const FAULTS = "faults";

/** What this machine must have of its own. */
const PROGRAMS = ["apt-get", "dpkg", "unshare"];
const MACHINE_PROGRAMS = ["qemu-system-x86_64", "busybox", "modprobe"];

/** Runs configurations; gives the exit code. */
async function main(args: string[]): Promise<number> {
  if (args.includes(FAULTS)) return await runFaults();
  const wanted = select(args);
  const lacking = cannotRun(
    wanted.some(({ group }) => group !== "here")
      ? [...PROGRAMS, ...MACHINE_PROGRAMS]
      : PROGRAMS,
  );
  if (lacking !== undefined) {
    console.log(`skipped: the lab ${lacking}`);
    return 0;
  }
  const packages = new Set(wanted.flatMap((it) => it.packages));
  const inMachine = wanted.filter(({ group }) => group !== "here");
  const here = wanted.filter(({ group }) => group === "here");
  if (inMachine.length > 0) packages.add(KERNEL);
  const { root, missing, versions } = await unpackPackages([...packages]);
  const findings: Finding[] = [];
  const canBeHad = (one: Configuration) => {
    const lacks = [...one.packages, ...one.group === "here" ? [] : [KERNEL]]
      .flatMap((name) => missing.get(name) ?? []);
    if (lacks.length === 0) return true;
    report({ name: one.name, skipped: lacks[0]! });
    return false;
  };
  const found = [
    findHere(here.filter(canBeHad), root),
    findInMachine(inMachine.filter(canBeHad), root),
  ];
  for (const some of found) {
    for await (const finding of some) {
      const { packages } = wanted.find(({ name }) => name === finding.name)!;
      finding.versions = packages.map((one) => `${one} ${versions.get(one)}`);
      findings.push(finding);
      report(finding);
      // What is known is kept, whatever becomes of the rest.
      updatePage(finding, new Date().toISOString().slice(0, 10));
    }
  }
  return findings.some((finding) =>
      finding.failed !== undefined || judge(finding).length > 0
    )
    ? 1
    : 0;
}

/** Runs the faults; gives the exit code. */
async function runFaults(): Promise<number> {
  const lacking = cannotRun(["apt-get", "dpkg", ...MACHINE_PROGRAMS]);
  if (lacking !== undefined) {
    console.log(`skipped: the lab ${lacking}`);
    return 0;
  }
  const { root, missing } = await unpackPackages([
    ...["nfs-kernel-server", "nfs-common", "rpcbind", "samba", "cifs-utils"],
    KERNEL,
  ]);
  const [reason] = missing.values();
  if (reason !== undefined) {
    console.log(`skipped: ${reason}`);
    return 0;
  }
  let failed = 0;
  for await (const line of faultLines(root)) {
    console.log(line);
    if (!/: (ok|\d+ takings)/.test(line)) failed++;
  }
  return failed === 0 ? 0 : 1;
}

function select(args: readonly string[]): Configuration[] {
  const names = args.length === 0 ? GROUPS : args;
  const known = new Set<string>([
    ...GROUPS,
    ...CONFIGURATIONS.map(({ name }) => name),
  ]);
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined) {
    console.error(
      `unknown configuration '${unknown}'; there are ${[...known].join(", ")}`,
    );
    Deno.exit(64);
  }
  return CONFIGURATIONS.filter(({ name, group }) =>
    names.includes(name) || names.includes(group)
  );
}

/** Why nothing can be run, as a clause. */
function cannotRun(needed: readonly string[]): string | undefined {
  if (Deno.uid() !== 0) return "needs root";
  const missing = needed.filter((name) => !isInstalled(name));
  return missing.length === 0 ? undefined : `needs ${missing.join(", ")}`;
}

function report(finding: Finding): void {
  const { name, skipped, failed, cells } = finding;
  const what = skipped !== undefined
    ? `skipped: ${skipped}`
    : failed !== undefined
    ? `FAILED: ${failed}`
    : Object.entries(cells!).map(([cell, found]) => `${cell} ${found}`)
      .join(", ");
  console.log(`${name}: ${what}`);
  for (const wrong of judge(finding)) console.log(`  WRONG: ${wrong}`);
}

if (import.meta.main) Deno.exit(await main(Deno.args));
