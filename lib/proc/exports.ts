/**
 * Parser of the lists of directories that this host exports by NFS.
 *
 * @module
 */

import { decodeOctal } from "./octal.ts";

/** A directory that other hosts may mount by NFS. */
export interface NfsExport {
  /** The directory. */
  directory: string;
  /** To whom and how, as written: `10.0.0.0/8(rw,crossmnt)`. */
  clients: string[];
}

/**
 * Parses /etc/exports, /var/lib/nfs/etab or /proc/fs/nfsd/exports, which share
 * one form.
 *
 * ```text
 * "/srv/my data"  10.0.0.0/8(rw,crossmnt)  *.example.org(ro)   # comment
 * (1)             (2)                      (2)
 * ```
 *
 * 1. directory, quoted or with blanks as `\040`; 2. clients, any number.
 * A backslash at the end joins two lines. Clients that the first client's
 * options leave out, as `-ro`, are kept as they are. Needs no permission. See
 * exports(5).
 *
 * @param text The text of the file.
 * @returns The exports in the order of the text; lines without a directory,
 * which exportfs(8) would warn about, are passed over.
 *
 * @example
 * ```ts
 * import { parseExports } from "./exports.ts";
 * console.log(parseExports("/srv *(rw)\n")[0]?.directory); // /srv
 * ```
 */
export function parseExports(text: string): NfsExport[] {
  const exports: NfsExport[] = [];
  for (const rawLine of text.replace(/\\\r?\n/g, " ").split("\n")) {
    const line = rawLine.replace(/(^|\s)#.*$/, "").trim();
    const match = /^(?:"([^"]*)"|(\S+))(.*)$/.exec(line);
    const directory = match?.[1] ?? match?.[2];
    if (directory === undefined || !directory.startsWith("/")) continue;
    exports.push({
      directory: decodeOctal(directory),
      clients: match![3]!.trim().split(/\s+/).filter((word) => word !== ""),
    });
  }
  return exports;
}
