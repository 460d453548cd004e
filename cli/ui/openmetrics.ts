/**
 * The text format of OpenMetrics 1.0, as far as the older one that Prometheus'
 * textfile collector reads is the same: it has gauges only, since the two call
 * counters differently.
 *
 * @module
 */

/** One value. */
export interface Sample {
  /** What it is of. */
  labels: Readonly<Record<string, string>>;
  /** The value. */
  value: number;
}

/** Values of one name. */
export interface MetricFamily {
  /** The name. */
  name: string;
  /** The unit, with which the name then ends. */
  unit?: string;
  /** What it is, a sentence. */
  help: string;
  /** The values. */
  samples: readonly Sample[];
}

/** The whole text, with its end marker. */
export function formatMetrics(families: readonly MetricFamily[]): string {
  return families.map(formatFamily).join("") + "# EOF\n";
}

function formatFamily(family: MetricFamily): string {
  const { name, unit, help, samples } = family;
  return [
    `# TYPE ${name} gauge`,
    ...(unit === undefined ? [] : [`# UNIT ${name} ${unit}`]),
    `# HELP ${name} ${escape(help)}`,
    ...samples.map(({ labels, value }) => {
      const pairs = Object.entries(labels)
        .map(([key, text]) => `${key}="${escape(text)}"`);
      const list = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
      return `${name}${list} ${value}`;
    }),
  ].map((line) => `${line}\n`).join("");
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')
    .replaceAll("\n", "\\n");
}
