/**
 * What is in a directory.
 *
 * @module
 */

import { decodePath } from "../proc/path_text.ts";
import { callLibc } from "./call.ts";
import {
  closeFile,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  openFile,
} from "./file.ts";
import { libc } from "./libc.ts";

/**
 * The names in a directory, without `.` and `..`, in the kernel's order.
 *
 * @returns The names, or minus the error number: for /proc/PID, `-ESRCH` or
 * `-ENOENT` when the process is gone and `-EACCES` when it is someone else's.
 */
export function listDirectory(path: string): string[] | number {
  const names: string[] = [];
  const result = visitDirectory(path, (name) => {
    names.push(name);
  });
  return result < 0 ? result : names;
}

/**
 * The names in a directory by inode number, as far as the filesystem tells
 * numbers there: some tell others than stat(2).
 *
 * Permissions: `--allow-ffi`. See getdents(2).
 *
 * @param path The directory.
 * @returns The names; none when it can't be read.
 */
export function listInodes(path: string): Map<bigint, string> {
  const names = new Map<bigint, string>();
  visitDirectory(path, (name, inode) => {
    names.set(inode, name);
  });
  return names;
}

function visitDirectory(
  path: string,
  visit: (name: string, inode: bigint) => void,
): number {
  const fd = openFile(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fd;
  try {
    return visitOpenDirectory(fd, visit);
  } finally {
    closeFile(fd);
  }
}

/** The names in an open directory; see {@linkcode listDirectory}. */
export function listOpenDirectory(fd: number): string[] | number {
  const names: string[] = [];
  const result = visitOpenDirectory(fd, (name) => {
    names.push(name);
  });
  return result < 0 ? result : names;
}

/** Calls a function for each entry; returns 0 or minus the error number. */
export function visitOpenDirectory(
  fd: number,
  visit: (name: string, inode: bigint) => void,
): number {
  // struct linux_dirent64: u64 ino, s64 off, u16 reclen, u8 type, char name[]
  const buffer = new Uint8Array(32 * 1024);
  const view = new DataView(buffer.buffer);
  for (;;) {
    const length = callLibc(() =>
      libc.getdents64(fd, buffer, BigInt(buffer.length))
    );
    if (length <= 0) return length;
    for (let at = 0; at < length; at += view.getUint16(at + 16, true)) {
      const start = at + 19;
      const end = buffer.indexOf(0, start);
      const name = decodePath(buffer.subarray(start, end));
      if (name !== "." && name !== "..") {
        visit(name, view.getBigUint64(at, true));
      }
    }
  }
}
