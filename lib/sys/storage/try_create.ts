import { EISDIR, EOPNOTSUPP } from "../errno.ts";
import {
  closeFile,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDWR,
  openFile,
} from "../file.ts";
import { checkAccess } from "./names.ts";

/** Make a file that has no name. */
const O_TMPFILE = 0o20000000 | O_DIRECTORY;

/**
 * Whether this user can create a file in a directory, found out without
 * leaving one: by a file that never has a name, or by access(2) where the
 * filesystem makes none. See O_TMPFILE in open(2).
 *
 * @returns 0, or the error number.
 */
export function tryCreateIn(directory: string): number {
  const fd = openFile(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0o600);
  if (fd >= 0) {
    closeFile(fd);
    return 0;
  }
  return fd === -EOPNOTSUPP || fd === -EISDIR
    ? -checkAccess(directory, "write and enter")
    : -fd;
}
