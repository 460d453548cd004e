import type { CommandSpec } from "../../args/spec.ts";

/** `holdfast man`. */
export const MAN_SPEC: CommandSpec = {
  name: "man",
  summary: "print the manual page holdfast(1)",
  usage: ["holdfast man"],
  description:
    "Prints the page in the language of man(7), to be read by man -l or to be " +
    "put where man looks for it.",
  operands: [],
  options: [],
  exitCodes: [["0", "printed"]],
  examples: [
    ["holdfast man | man -l -", "read it"],
    [
      "holdfast man > /usr/local/share/man/man1/holdfast.1",
      "install it",
    ],
  ],
};
