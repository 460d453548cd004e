export interface GlobOptions {
  extended?: boolean;
  globstar?: boolean;
  caseInsensitive?: boolean;
}
export type GlobToRegExpOptions = GlobOptions;
export function globToRegExp(
  glob: string,
  options?: GlobToRegExpOptions,
): RegExp;
