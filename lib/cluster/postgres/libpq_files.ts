/**
 * The files that libpq's users keep: `~/.pgpass` and `~/.pg_service.conf`.
 * Text in, values out.
 *
 * @module
 */

/** What a password is looked up by. */
export interface PasswordQuery {
  /** A name as it was given; `localhost` for the default socket directory. */
  readonly host: string;
  /** The server's port. */
  readonly port: number;
  /** The database. */
  readonly database: string;
  /** The role. */
  readonly user: string;
}

/**
 * The password that a password file has for a server: that of the first line
 * that fits. Its fields are, with `*` for any value and `\` before a `:` or
 * `\` that is meant:
 *
 * ```text
 * host:port:database:user:password
 * ```
 */
export function findPassword(
  text: string,
  query: PasswordQuery,
): string | undefined {
  const wanted = [query.host, `${query.port}`, query.database, query.user];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#")) continue;
    const fields = splitFields(line);
    if (fields.length < 5) continue;
    const fits = wanted.every((value, i) =>
      fields[i]!.raw === "*" || fields[i]!.value === value
    );
    if (fits) return fields[4]!.value;
  }
  return undefined;
}

/** A field as it stands, so that `\*` is a star, and as it is meant. */
interface Field {
  readonly raw: string;
  readonly value: string;
}

function splitFields(line: string): Field[] {
  return [...line.matchAll(/(?:^|:)((?:\\.|[^:\\]|\\$)*)/g)]
    .map(([, raw = ""]) => ({ raw, value: raw.replace(/\\(.)/g, "$1") }));
}

/**
 * The settings of one service in a connection service file, by their libpq
 * names such as `host` and `sslmode`.
 *
 * @returns `undefined` when the file has no such service.
 */
export function findService(
  text: string,
  service: string,
): Map<string, string> | undefined {
  let found: Map<string, string> | undefined;
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const section = /^\[(.*)\]$/.exec(line)?.[1];
    if (section !== undefined) {
      if (found !== undefined) return found;
      if (section === service) found = new Map();
      continue;
    }
    const at = line.indexOf("=");
    if (found === undefined || at < 0) continue;
    // The first of two settings counts, as in libpq.
    const name = line.slice(0, at);
    if (!found.has(name)) found.set(name, line.slice(at + 1));
  }
  return found;
}
