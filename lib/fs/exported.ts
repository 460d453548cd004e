/**
 * Directories that this host serves to others: on them its own flock and a
 * client's lock may not know of each other.
 *
 * @module
 */

import { isWithin } from "../proc/path_text.ts";
import { parseExports } from "../proc/exports.ts";
import { parseSmbShares } from "../proc/smb_shares.ts";
import { readTextIfAny } from "../sys/file.ts";
import { listDirectory } from "../sys/list_directory.ts";

/** How a directory is served. */
export type ExportProtocol = "nfs" | "smb";

/** A directory that this host serves. */
export interface Export {
  /** How. */
  protocol: ExportProtocol;
  /** The directory. */
  directory: string;
}

/** What is wrong with a flock in such a directory, as a clause. */
export const EXPORTED: Readonly<Record<ExportProtocol, string>> = {
  nfs: "a client's flock is a POSIX lock here, so a client and a process of " +
    "this host can both hold it",
  smb: "a client's lock isn't seen by processes of this host, so both can " +
    "hold it",
};

/**
 * Whether a file server runs here: what its configuration says of directories
 * matters only then. Costs two attempts to open a file where none does.
 */
export function servesFiles(): boolean {
  return servesNfs() || servesSmb();
}

function servesNfs(): boolean {
  return Number(readTextIfAny("/proc/fs/nfsd/threads") ?? 0) > 0;
}

function servesSmb(): boolean {
  return ["/run/samba/smbd.pid", "/run/smbd.pid"]
    .some((file) => readTextIfAny(file) !== undefined);
}

/**
 * The export that contains a path, if any.
 *
 * @param path An absolute path without symbolic links.
 */
export function findExport(path: string): Export | undefined {
  // If a directory is served both ways, the worse one counts.
  const served: Export[] = [
    ...parseSmbShares(readTextIfAny("/etc/samba/smb.conf") ?? "")
      .map((directory): Export => ({ protocol: "smb", directory })),
    ...nfsDirectories().map((directory): Export => ({
      protocol: "nfs",
      directory,
    })),
  ];
  return served.find(({ directory }) => isWithin(path, directory));
}

function nfsDirectories(): string[] {
  const extra = listDirectory("/etc/exports.d");
  return [
    "/proc/fs/nfsd/exports",
    "/var/lib/nfs/etab",
    "/etc/exports",
    ...(typeof extra === "number"
      ? []
      : extra.filter((name) => name.endsWith(".exports"))
        .map((name) => `/etc/exports.d/${name}`)),
  ].flatMap((file) => parseExports(readTextIfAny(file) ?? ""))
    .map(({ directory }) => directory);
}
