import {
  closeFile,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  openFile,
  visitOpenDirectory,
} from "./file.ts";

/**
 * The name of an inode in a directory, as far as the filesystem tells numbers
 * there: some tell others than stat(2).
 *
 * Permissions: `--allow-ffi`. See getdents(2).
 *
 * @param path The directory.
 * @param inode The inode number.
 * @returns The name, or `undefined` when none is found.
 */
export function findInode(path: string, inode: bigint): string | undefined {
  const fd = openFile(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return undefined;
  let found: string | undefined;
  visitOpenDirectory(fd, (name, number) => {
    if (number === inode) found = name;
  });
  closeFile(fd);
  return found;
}
