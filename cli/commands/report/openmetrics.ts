/**
 * A report as OpenMetrics text, for the textfile collector of Prometheus.
 *
 * @module
 */

import type { LockReport } from "../../../lib/trace/report/lock_stats.ts";
import type { TraceReport } from "../../../lib/trace/report/report.ts";
import {
  formatMetrics,
  type MetricFamily,
  type Sample,
} from "../../ui/openmetrics.ts";
import { fileName } from "./text.ts";

/** Files that are told apart; the others count as one. */
const MAX_FILES = 50;
const OTHERS = "(others)";

/** The whole text. */
export function reportMetrics(report: TraceReport): string {
  const groups = new Map<string, LockReport[]>();
  report.locks.forEach((lock, place) => {
    const file = place < MAX_FILES ? fileName(lock.file) : OTHERS;
    const key = JSON.stringify([file, lock.type]);
    groups.set(key, [...groups.get(key) ?? [], lock]);
  });
  const samples = (
    value: (lock: LockReport) => number,
    join: (a: number, b: number) => number = (a, b) => a + b,
  ): Sample[] =>
    [...groups].map(([key, locks]) => {
      const [file, type] = JSON.parse(key) as [string, string];
      return {
        labels: { file, type: type.toLowerCase() },
        value: locks.map(value).reduce(join),
      };
    });
  const seconds = (value: (lock: LockReport) => number) =>
    samples((lock) => toSeconds(value(lock)));
  const largest = (value: (lock: LockReport) => number) =>
    samples((lock) => toSeconds(value(lock)), Math.max);
  const families: MetricFamily[] = [
    {
      name: "holdfast_acquisitions",
      help: "Times a lock was taken.",
      samples: samples(({ taken }) => taken),
    },
    {
      name: "holdfast_refusals",
      help: "Times a lock was refused to somebody who would not wait.",
      samples: samples(({ refused }) => refused),
    },
    {
      name: "holdfast_abandoned_waits",
      help: "Waits that ended without the lock.",
      samples: samples(({ gaveUp }) => gaveUp),
    },
    {
      name: "holdfast_waits",
      help: "Waits that are over.",
      samples: samples(({ waits }) => waits.count),
    },
    {
      name: "holdfast_wait_seconds",
      unit: "seconds",
      help: "Time spent waiting, of all waits that are over.",
      samples: seconds(({ waits }) => waits.totalMs),
    },
    {
      name: "holdfast_longest_wait_seconds",
      unit: "seconds",
      help: "The longest wait, whether it is over or not.",
      samples: largest(({ waits, longestWaitNowMs }) =>
        Math.max(waits.maxMs, longestWaitNowMs)
      ),
    },
    {
      name: "holdfast_hold_seconds",
      unit: "seconds",
      help: "Time that locks were held, of all holds that are over.",
      samples: seconds(({ holds }) => holds.totalMs),
    },
    {
      name: "holdfast_longest_hold_seconds",
      unit: "seconds",
      help: "The longest hold that is over.",
      samples: largest(({ holds }) => holds.maxMs),
    },
    {
      name: "holdfast_clashing_orders",
      help: "Rings of locks that are taken in clashing orders.",
      samples: [{ labels: {}, value: report.inversions.length }],
    },
    {
      name: "holdfast_lost_events",
      help: "Events of the kernel that were lost.",
      samples: [{ labels: {}, value: report.lost }],
    },
  ];
  return formatMetrics(families);
}

/** To a nanosecond: sums of binary fractions have a tail of digits. */
function toSeconds(ms: number): number {
  return Math.round(ms * 1e6) / 1e9;
}
