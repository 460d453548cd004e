/**
 * Files that are written from their beginning or their end on.
 *
 * @module
 */

import {
  closeFile,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_NOCTTY,
  O_NONBLOCK,
  O_TRUNC,
  O_WRONLY,
  openFile,
} from "../file.ts";
import { openFlags, setOpenFlags } from "../process/descriptors.ts";

/**
 * Opens a file to write to it, and makes it if there is none. A FIFO that
 * nobody reads gives ENXIO, and no wait without end; writing waits for its
 * reader.
 *
 * @param how Whether what is there stays.
 * @returns A descriptor, or minus the error number.
 */
export function openOutput(path: string, how: "append" | "truncate"): number {
  const more = how === "append" ? O_APPEND : O_TRUNC;
  const flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | more;
  const fd = openFile(path, flags);
  if (fd < 0) return fd;
  const result = setOpenFlags(fd, openFlags(fd) & ~O_NONBLOCK);
  if (result >= 0) return fd;
  closeFile(fd);
  return result;
}
