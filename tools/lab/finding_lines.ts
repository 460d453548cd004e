import type { Finding } from "./agent.ts";
import type { Configuration } from "./configurations.ts";

const MARK = "FOUND ";

/** What an agent found, out of what it printed. */
export async function* findingsIn(
  said: AsyncIterable<string>,
  configurations: readonly Configuration[],
): AsyncGenerator<Finding> {
  const names = new Set(configurations.map(({ name }) => name));
  for await (const line of said) {
    if (!line.startsWith(MARK)) {
      console.log(`  ${line}`);
      continue;
    }
    const finding: Finding = JSON.parse(line.slice(MARK.length));
    names.delete(finding.name);
    yield finding;
    if (names.size === 0) return;
  }
  for (const name of names) {
    yield { name, failed: "the agent ended before it" };
  }
}
