import type { CommandSpec } from "../../args/spec.ts";

/** `holdfast slots`. */
export const SLOTS_SPEC: CommandSpec = {
  name: "slots",
  summary: "say who sits in which slot",
  usage: ["holdfast slots [--json] NAME…"],
  description:
    "Lists the slots of `holdfast run --slots`, every one that has ever been " +
    "used, with the processes that hold it. Nothing is locked or created.",
  operands: [{
    name: "NAME",
    help: "what --slots was given: a name, or a directory with a slash in it",
    complete: "dir",
  }],
  options: [{ long: "json", help: "print one JSON document" }],
  exitCodes: [["0", "done"]],
  examples: [
    ["holdfast slots encode", "who is encoding?"],
    [
      "holdfast slots --json encode | " +
      "jq '[.names[0].slots[] | select(.held)] | length'",
      "how many are taken",
    ],
  ],
};
