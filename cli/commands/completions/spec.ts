import type { CommandSpec } from "../../args/spec.ts";

/** `holdfast completions`. */
export const COMPLETIONS_SPEC: CommandSpec = {
  name: "completions",
  summary: "print a shell's completions for holdfast",
  usage: ["holdfast completions bash|zsh|fish"],
  description:
    "Prints a script that teaches a shell every command, option and value. " +
    "Lock files complete as paths, and what follows -- as a command line of " +
    "its own.",
  operands: [{
    name: "SHELL",
    help: "bash, zsh or fish",
    complete: "none",
    values: ["bash", "zsh", "fish"],
  }],
  options: [],
  exitCodes: [
    ["0", "printed"],
    ["64", "there are no completions for such a shell"],
  ],
  examples: [
    [
      'eval "$(holdfast completions bash)"',
      "in ~/.bashrc",
    ],
    [
      "holdfast completions zsh > ~/.zfunc/_holdfast",
      "in a directory of zsh's $fpath",
    ],
    [
      "holdfast completions fish > ~/.config/fish/completions/holdfast.fish",
      "where fish looks",
    ],
  ],
};
