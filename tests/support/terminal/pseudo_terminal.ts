import { callLibc } from "../../../lib/sys/call.ts";
import { O_CLOEXEC, O_NOCTTY, O_RDWR } from "../../../lib/sys/file.ts";

const SYMBOLS = {
  // int posix_openpt(int flags)
  posix_openpt: { parameters: ["i32"], result: "i32" },
  // int unlockpt(int fd)
  unlockpt: { parameters: ["i32"], result: "i32" },
  // char *ptsname(int fd)
  ptsname: { parameters: ["i32"], result: "pointer" },
} as const;

/** A terminal that a program drives; see pty(7). */
export interface PseudoTerminal {
  /** The descriptor from which its output is read, and on which is typed. */
  master: number;
  /** The file of the terminal itself. */
  path: string;
}

/** Makes a new terminal. Commands don't inherit its master. */
export function openPseudoTerminal(): PseudoTerminal {
  const { symbols } = Deno.dlopen("libc.so.6", SYMBOLS);
  const master = callLibc(() =>
    symbols.posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)
  );
  if (master < 0) throw new Error(`posix_openpt: errno ${-master}`);
  const unlocked = callLibc(() => symbols.unlockpt(master));
  if (unlocked < 0) throw new Error(`unlockpt: errno ${-unlocked}`);
  const name = symbols.ptsname(master);
  if (name === null) throw new Error("ptsname: no such file");
  return { master, path: Deno.UnsafePointerView.getCString(name) };
}
