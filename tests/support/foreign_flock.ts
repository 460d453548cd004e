/** Other processes that take a flock, without holdfast's lock code. */

import { fromFileUrl } from "@std/path/from-file-url";
import { HelperProcess } from "./helper_process.ts";

const PROGRAM = fromFileUrl(new URL("./take_flock.ts", import.meta.url));
const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));

/**
 * The command line of a process that takes a flock and becomes a command, as
 * `flock -F` does: `[-n] [-s] FILE COMMAND [ARGUMENT…]`.
 */
export function flockCommand(
  ...args: string[]
): [command: string, args: string[]] {
  return [Deno.execPath(), [
    "run",
    "--quiet",
    "--no-check",
    "--config",
    CONFIG,
    "--allow-ffi",
    PROGRAM,
    ...args,
  ]];
}

/** Whether another process can take a flock at once. */
export function isFlockFree(path: string, ...flags: string[]): boolean {
  const [command, args] = flockCommand("-n", ...flags, path, "true");
  return new Deno.Command(command, { args }).outputSync().success;
}

/**
 * A process that holds a flock until its stdin ends. It is a shell: the
 * program that took the lock has become that.
 */
export function holdFlock(
  path: string,
  mode: "exclusive" | "shared" = "exclusive",
): Promise<HelperProcess> {
  return HelperProcess.start(...flockCommand(
    ...(mode === "shared" ? ["-s"] : []),
    path,
    "sh",
    "-c",
    "echo ready; read -r _",
  ));
}

/** Whether another process gets a flock before a test has waited too long. */
export async function flockComesFree(path: string): Promise<boolean> {
  const [command, args] = flockCommand(path, "true");
  const signal = AbortSignal.timeout(60_000);
  return (await new Deno.Command(command, { args, signal }).output()).success;
}

/** A process that waits in the kernel for a flock, to run `true` with it. */
export function waitForFlock(path: string): HelperProcess {
  return HelperProcess.spawn(...flockCommand(path, "true"));
}
