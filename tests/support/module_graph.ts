/** An import of one module by another. */
export interface Import {
  /** The importing file, relative to the root. */
  from: string;
  /** The imported file, relative to the root, or a bare or remote specifier. */
  to: string;
  /** Whether it is gone after compilation. */
  typeOnly: boolean;
  /** Whether it happens when it is reached, and not at start-up. */
  dynamic: boolean;
}

/** TypeScript without comments; strings are kept. */
export function stripComments(source: string): string {
  return source.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (_, literal) => literal ?? " ",
  );
}

/** TypeScript without comments and without the content of strings. */
export function stripTexts(source: string): string {
  return stripComments(source).replace(
    /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g,
    '""',
  );
}

const STATIC =
  /\b(import|export)\s+(type\s+)?(?:[\w*\s{},$]+?\sfrom\s+)?["']([^"']+)["']/g;
const DYNAMIC = /\bimport\(\s*["']([^"']+)["']\s*,?\s*\)/g;

/** The imports in a module's source. */
export function importsOf(from: string, source: string): Import[] {
  const code = stripComments(source);
  const imports: Import[] = [];
  for (const match of code.matchAll(STATIC)) {
    const [statement, , type, to] = match;
    const names = statement.match(/\{([^}]*)\}/)?.[1];
    const allTypes = names !== undefined && names.trim() !== "" &&
      !/\}\s*,|\bimport\s+\w+\s*,/.test(statement) &&
      names.split(",").every((name) => /^\s*(type\s|$)/.test(name));
    imports.push({
      from,
      to: resolve(from, to!),
      typeOnly: type !== undefined || allTypes,
      dynamic: false,
    });
  }
  for (const [, to] of code.matchAll(DYNAMIC)) {
    imports.push({
      from,
      to: resolve(from, to!),
      typeOnly: false,
      dynamic: true,
    });
  }
  return imports;
}

function resolve(from: string, specifier: string): string {
  if (!specifier.startsWith(".")) return specifier;
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}
