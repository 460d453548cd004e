import type { EngineOptions } from "../../lib/cluster/engine.ts";
import { quotePath } from "../../lib/proc/printable.ts";
import { readText, statPath } from "../../lib/sys/file.ts";
import { ENGINE_OPTIONS } from "./engine_options.ts";
import { type ParsedOptions, UsageError } from "./parse.ts";

/** The group and others. */
const FOREIGN = 0o077;

/**
 * Reads how the server of a URL is to be reached.
 *
 * @throws {UsageError} when others may read the password.
 * @throws {SyscallError} when it can't be read.
 */
export function readEngineOptions(options: ParsedOptions): EngineOptions {
  const passwordFile = options.value("password-file");
  return {
    caFile: options.value("cacert"),
    certFile: options.value("cert"),
    keyFile: options.value("key"),
    password: passwordFile === undefined
      ? undefined
      : readPassword(passwordFile),
  };
}

function readPassword(path: string): string {
  // One that can't be read says so by itself.
  const text = readText(path);
  if (((statPath(path)?.permissions ?? 0) & FOREIGN) !== 0) {
    throw new UsageError(
      `others may read the password in ${quotePath(path)}`,
      { hint: "chmod 600 keeps it from them" },
    );
  }
  return text.replace(/\r?\n[^]*$/, "");
}

/** Whether an option is one of these. */
export function isEngineOption(name: string): boolean {
  return ENGINE_OPTIONS.some(({ long }) => long === name);
}

/** @throws {UsageError} when there are such options and no URL. */
export function refuseEngineOptions(options: ParsedOptions): void {
  const idle = ENGINE_OPTIONS.find(({ long }) => options.flag(long));
  if (idle === undefined) return;
  throw new UsageError(`--${idle.long} goes with a URL`, {
    hint: "It is about locks that several machines share",
  });
}
