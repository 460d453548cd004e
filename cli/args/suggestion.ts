import { closestString } from "@std/text/closest-string";
import { levenshteinDistance } from "@std/text/levenshtein-distance";

/** The candidate that is nearest, if any is near enough to be meant. */
export function nearestWord(
  unknown: string,
  candidates: readonly string[],
): string | undefined {
  const nearest = closestString(unknown, [...candidates]);
  const letters = unknown.replace(/^-+/, "").length;
  const distance = levenshteinDistance(unknown, nearest);
  const isNear = distance <= Math.max(1, letters / 3) ||
    sorted(unknown) === sorted(nearest);
  return isNear ? nearest : undefined;
}

/** The letters of a word: the same for one whose letters are interchanged. */
function sorted(word: string): string {
  return [...word].sort().join("");
}
