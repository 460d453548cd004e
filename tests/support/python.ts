import { HelperProcess } from "./helper_process.ts";

/** Starts a python script that must print "ready". */
export function runPython(
  script: string,
  ...args: string[]
): Promise<HelperProcess> {
  return HelperProcess.start("python3", [
    "-c",
    `import fcntl, os, struct, sys\n${script}`,
    ...args,
  ]);
}
