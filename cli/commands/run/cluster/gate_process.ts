/**
 * The process that becomes the command once the lock is there.
 *
 * @module
 */

import {
  changeDirectory,
  setEnvironment,
} from "../../../../lib/sys/process/exec.ts";
import { LineReader } from "../../../../lib/sys/pipe.ts";
import { EXIT } from "../../../ui/exit_codes.ts";
import type { GateMessage } from "./helpers.ts";

/**
 * Sleeps until a line says with which variables and in which directory the
 * command is to be. The end of the lines says that it is not to be.
 */
export function passGate(fd: number): void {
  const reader = new LineReader(fd);
  // The first call takes longer, and later somebody waits for it.
  setEnvironment("HOLDFAST_LOCK", "");
  const line = reader.next();
  if (typeof line !== "string") Deno.exit(EXIT.OK);
  reader.close();
  const { variables, directory } = JSON.parse(line) as GateMessage;
  for (const [name, value] of Object.entries(variables)) {
    setEnvironment(name, value);
  }
  if (directory !== undefined) changeDirectory(directory);
}
