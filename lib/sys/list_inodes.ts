import {
  closeFile,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  openFile,
} from "./file.ts";
import { visitOpenDirectory } from "./list_directory.ts";

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
  const fd = openFile(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return names;
  visitOpenDirectory(fd, (name, inode) => {
    names.set(inode, name);
  });
  closeFile(fd);
  return names;
}
