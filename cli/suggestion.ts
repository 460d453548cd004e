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
  return distance <= Math.max(1, letters / 3) ? nearest : undefined;
}
