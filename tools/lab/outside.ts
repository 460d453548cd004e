/**
 * Filesystems that need a kernel of their own: tried in a virtual machine, of
 * which this machine is the server of 9p and virtiofs.
 *
 * @module
 */

import type { Finding } from "./agent.ts";
import { HELD_OUTSIDE } from "./cells.ts";
import type { Configuration } from "./configurations.ts";
import { findingsIn } from "./finding_lines.ts";
import { Locks } from "./locks.ts";
import { startMachine } from "./machine.ts";
import { VirtiofsServers } from "./virtiofs.ts";

/** One filesystem takes half a minute on two idle, emulated cores. */
const MAX_MS = 300_000;

/** Tries them; gives what is found as it comes. */
export async function* findInMachine(
  configurations: readonly Configuration[],
  packages: string,
): AsyncGenerator<Finding> {
  if (configurations.length === 0) return;
  const shared = Deno.makeTempDirSync({ prefix: "holdfast-lab-" });
  const held = new Locks();
  try {
    await using servers = new VirtiofsServers(packages);
    for (const { name, server } of configurations) {
      if (server !== "outside") continue;
      const directory = `${shared}/${name}`;
      Deno.mkdirSync(directory);
      for (const kind of ["flock", "ofd"] as const) {
        const path = `${directory}/${HELD_OUTSIDE[kind]}`;
        held.obey({ do: "take", kind, path });
      }
      if (!name.startsWith("virtiofs")) continue;
      for (const host of ["a", "b"]) {
        await servers.start(`${name}-${host}`, directory, {
          locks: name.endsWith("-locks"),
        });
      }
    }
    const agent = new URL("./agent.ts", import.meta.url).pathname;
    await using machine = await startMachine({
      packages,
      shared,
      virtiofs: servers.sockets,
      command: [
        ...servicesFor(configurations),
        ...["--", Deno.execPath(), "run", "-A", "--quiet", "--no-check"],
        ...[agent, "/srv/lab", "/mnt/lab"],
        ...configurations.map(({ name }) => name),
      ],
    });
    let failed = false;
    // A call that hangs in the kernel is ended with the machine.
    let watchdog = setTimeout(() => machine.end(), MAX_MS);
    for await (const finding of findingsIn(machine.said, configurations)) {
      clearTimeout(watchdog);
      failed ||= finding.failed !== undefined;
      yield finding;
      watchdog = setTimeout(() => machine.end(), MAX_MS);
    }
    clearTimeout(watchdog);
    if (failed) console.log(`The machine said:\n${machine.console}`);
  } finally {
    held.obey({ do: "release" });
    Deno.removeSync(shared, { recursive: true });
  }
}

function servicesFor(configurations: readonly Configuration[]): string[] {
  const services = configurations.flatMap(({ service, name }) => [
    ...service === undefined ? [] : [service],
    ...name.startsWith("virtiofs") ? ["virtiofs"] : [],
  ]);
  return [...new Set(services)];
}

/** What locks live through; gives the lines that are said of it. */
export async function* faultLines(packages: string): AsyncGenerator<string> {
  const agent = new URL("./faults/agent.ts", import.meta.url).pathname;
  const shared = Deno.makeTempDirSync({ prefix: "holdfast-lab-" });
  await using machine = await startMachine({
    packages,
    shared,
    virtiofs: new Map(),
    command: [
      ...["nfs", "smb", "--", Deno.execPath(), "run", "-A", "--quiet"],
      ...["--no-check", agent],
    ],
  });
  let watchdog = setTimeout(() => machine.end(), MAX_MS);
  let line = "";
  for await (line of machine.said) {
    clearTimeout(watchdog);
    if (line === "END") break;
    yield line;
    watchdog = setTimeout(() => machine.end(), MAX_MS);
  }
  clearTimeout(watchdog);
  if (line !== "END") {
    yield `the machine: it ended too soon\n${machine.console}`;
  }
  Deno.removeSync(shared, { recursive: true });
}
