import type { CommandSpec } from "../../args/spec.ts";

/** `holdfast schema`. */
export const SCHEMA_SPEC: CommandSpec = {
  name: "schema",
  summary: "print the JSON Schema of what a command prints as JSON",
  usage: ["holdfast schema NAME", "holdfast schema [--json]"],
  description:
    "Prints a JSON Schema (2020-12) of what another command prints as JSON, " +
    "or without a NAME the list of all there are. Where a command prints a " +
    "line for each event, the schema is that of a line.\n\n" +
    "Keys that are required never go away as long as the document's own " +
    "schema number stays the same; new ones may come. What isn't known is " +
    "null. Inodes, offsets and sizes are strings of decimal digits, for JSON's " +
    "numbers are exact only up to 2^53.",
  operands: [
    {
      name: "NAME",
      help:
        "which one: locks, locks-watch, deadlocks, lslocks, trace, report, " +
        "run-events, who, test, doctor, link, slots, gc or schemas",
      complete: "none",
      values: [
        "locks",
        "locks-watch",
        "deadlocks",
        "lslocks",
        "trace",
        "report",
        "run-events",
        "who",
        "test",
        "doctor",
        "link",
        "slots",
        "gc",
        "schemas",
      ],
    },
  ],
  options: [{ long: "json", help: "print the list as one JSON document" }],
  exitCodes: [["0", "done"]],
  examples: [
    ["holdfast schema", "which ones are there?"],
    ["holdfast schema trace > trace.schema.json", "for a validator"],
  ],
};
