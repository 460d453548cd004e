/**
 * Parser of the list of directories that this host shares by SMB.
 *
 * @module
 */

/** Sections that are no directory that anybody names. */
const NOT_SHARES = new Set(["global", "printers", "print$"]);

/**
 * Parses smb.conf(5): the directories of its shares.
 *
 * ```text
 * [data]                 ; a share
 *    path = /srv/data    # its directory; `directory` is the same word
 * ```
 *
 * Needs no permission.
 *
 * @param text The text of /etc/samba/smb.conf.
 * @returns The directories in the order of the text. One that depends on who
 * connects (`%U`) counts up to there.
 */
export function parseSmbShares(text: string): string[] {
  const directories: string[] = [];
  let section = "global";
  for (const rawLine of text.replace(/\\\r?\n/g, " ").split("\n")) {
    const line = rawLine.trim();
    if (line === "" || /^[#;]/.test(line)) continue;
    const heading = /^\[([^\]]*)\]/.exec(line);
    if (heading !== null) {
      section = heading[1]!.trim().toLowerCase();
      continue;
    }
    const [, path] = /^(?:path|directory)\s*=\s*(.*)$/i.exec(line) ?? [];
    if (path === undefined || NOT_SHARES.has(section)) continue;
    const directory = path.replace(/^"(.*)"$/, "$1")
      .replace(/\/?[^/]*%.*$/, "").replace(/(?<=.)\/+$/, "");
    if (directory.startsWith("/")) directories.push(directory);
  }
  return directories;
}
