/**
 * Parser of tmpfiles.d(5): which files a cleaner removes, and when.
 *
 * @module
 */

/** A line of a tmpfiles.d file that can remove, or protect, files. */
export interface TmpfilesRule {
  /** Its type without modifiers: `d`, `D`, `e`, `q`, `r`, `R`, `x`, … */
  type: string;
  /** The path or glob it is about. */
  path: string;
  /** How old files may get, such as `10d`; undefined for no clean-up. */
  age: string | undefined;
}

/**
 * Parses the text of a tmpfiles.d file.
 *
 * ```text
 * q    /tmp  1777  root  root  10d  -
 * (1)  (2)   (3)   (4)   (5)   (6)  (7)
 * ```
 *
 * 1. type and modifiers; 2. path; 3. mode; 4. user; 5. group; 6. age;
 * 7. argument. A field left out or `-` has its default. Needs no permission.
 *
 * @param text The text of the file.
 * @returns The rules in the order of the text.
 *
 * @example
 * ```ts
 * import { parseTmpfiles } from "./tmpfiles.ts";
 * console.log(parseTmpfiles("q /tmp 1777 root root 10d\n")[0]?.age); // 10d
 * ```
 */
export function parseTmpfiles(text: string): TmpfilesRule[] {
  const rules: TmpfilesRule[] = [];
  for (const rawLine of text.split("\n")) {
    const line = rawLine.trim();
    if (line === "" || line.startsWith("#")) continue;
    const fields = line.match(/"[^"]*"|\S+/g)!.map((field) =>
      field.replace(/^"(.*)"$/, "$1")
    );
    const [type, path, , , , age] = fields;
    if (path === undefined) continue;
    rules.push({
      type: type!.charAt(0),
      path,
      age: age === undefined || age === "-" ? undefined : age,
    });
  }
  return rules;
}

/** Types whose directory is cleaned by age. */
const CLEANING = new Set(["d", "D", "e", "v", "q", "Q", "C"]);

/**
 * The rule by which a cleaner would remove a file, if any.
 *
 * Of the rules above the file the deepest counts; `x` protects a tree and `X`
 * a path itself; `r`, `R` and `D` remove at boot.
 *
 * @param rules The rules of all files, by precedence.
 * @param path The absolute path of the file.
 * @returns The rule, or `undefined` when nothing removes the file.
 */
export function findTmpfilesRule(
  rules: readonly TmpfilesRule[],
  path: string,
): TmpfilesRule | undefined {
  const isProtected = rules.some(({ type, path: glob }) =>
    (type === "x" && covers(glob, path)) ||
    (type === "X" && globToRegExp(glob).test(path))
  );
  if (isProtected) return undefined;
  let found: TmpfilesRule | undefined;
  for (const rule of rules) {
    const removes = rule.type === "r"
      ? globToRegExp(rule.path).test(path)
      : rule.type === "R" || rule.type === "D" ||
          (CLEANING.has(rule.type) && rule.age !== undefined)
      ? covers(rule.path, path)
      : false;
    if (
      removes && (found === undefined || rule.path.length > found.path.length)
    ) {
      found = rule;
    }
  }
  return found;
}

/** Whether a path is below a directory or what a glob matches. */
function covers(glob: string, path: string): boolean {
  const directory = globToRegExp(glob.replace(/\/+$/, ""));
  for (
    let end = path.length;
    end > 0;
    end = path.lastIndexOf("/", end - 1)
  ) {
    if (directory.test(path.slice(0, end))) return true;
  }
  return false;
}

/** glob(7) without brace expansion, as tmpfiles.d(5) has it. */
function globToRegExp(glob: string): RegExp {
  const source = glob.replace(/%%|%.|[.+^${}()|\\]|\*|\?/g, (token) => {
    if (token === "*") return "[^/]*";
    if (token === "?") return "[^/]";
    // A specifier such as %u stands for some text without a slash.
    if (token === "%%") return "%";
    if (token.startsWith("%")) return "[^/]*";
    return `\\${token}`;
  });
  try {
    return new RegExp(`^${source}$`);
  } catch {
    return /(?!)/; // An unbalanced bracket matches nothing.
  }
}
