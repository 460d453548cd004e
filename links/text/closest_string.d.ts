export interface ClosestStringOptions {
  caseSensitive?: boolean;
  compareFn?: (givenWord: string, possibleWord: string) => number;
}
export function closestString(
  givenWord: string,
  possibleWords: ReadonlyArray<string>,
  options?: ClosestStringOptions,
): string;
