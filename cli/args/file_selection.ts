/**
 * Which files the operands of a command mean.
 *
 * @module
 */

import type { LockedFile } from "../../lib/inspect/locked_path.ts";
import {
  formatNeedle,
  type Needle,
  needleFromPath,
} from "../../lib/inspect/needle.ts";
import { statPath } from "../../lib/sys/file.ts";
import { realPath } from "../../lib/sys/storage/names.ts";
import { UsageError } from "./parse.ts";

/** What is known of a file when it is asked whether it is meant. */
export type SelectableFile = Pick<
  LockedFile,
  "major" | "minor" | "inode" | "path"
>;

/** Whether a file is meant. */
export type FileTest = (file: SelectableFile) => boolean;

/**
 * The files that a path, directory or pattern means. It is looked up now.
 *
 * @throws {UsageError} for an empty one.
 * @throws {SyscallError} when it can't be looked up.
 */
export async function operandTest(operand: string): Promise<FileTest> {
  if (operand === "") throw new UsageError("a path must not be empty");
  const stat = statPath(operand);
  if (stat === undefined) {
    if (/[*?[{]/.test(operand)) return globTest(await absolute(operand));
    // A file that is gone may still be locked under its name.
    const path = await absolute(operand);
    return (file) => file.path === path;
  }
  const test = needleTest(needleFromPath(operand));
  if (stat.type !== "directory") return test;
  const directory = realPath(operand) ?? operand;
  const prefix = directory === "/" ? "/" : `${directory}/`;
  return (file) => test(file) || (file.path?.startsWith(prefix) ?? false);
}

function needleTest(needle: Needle | undefined): FileTest {
  if (needle === undefined) return () => false;
  const key = formatNeedle(needle);
  return ({ major, minor, inode }) =>
    inode === needle.inode && major !== undefined && minor !== undefined &&
    formatNeedle({ major, minor, inode }) === key;
}

async function absolute(path: string): Promise<string> {
  const { resolve } = await import("@std/path/resolve");
  return resolve(path);
}

/** The files whose path or, without a slash in the pattern, name matches. */
export async function globTest(glob: string): Promise<FileTest> {
  const { globToRegExp } = await import("@std/path/glob-to-regexp");
  const pattern = globToRegExp(glob, { extended: true, globstar: true });
  const wholePath = glob.includes("/");
  return ({ path }) => {
    if (path === undefined) return false;
    return pattern.test(
      wholePath ? path : path.slice(path.lastIndexOf("/") + 1),
    );
  };
}

/** @throws {UsageError} for what is no process id. */
export function parsePid(text: string): number {
  if (!/^\d{1,10}$/.test(text)) {
    throw new UsageError(`invalid PID argument: '${text}'`);
  }
  return Number(text);
}
