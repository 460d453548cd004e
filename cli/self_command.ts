import { closeFile, O_CLOEXEC, O_PATH, openFile } from "../lib/sys/file.ts";
import { SyscallError } from "../lib/sys/error.ts";

/**
 * The path of this program; the runtime panics when it can't find it.
 *
 * @throws {SyscallError} without /proc.
 */
function ownProgram(): string {
  const path = "/proc/self/exe";
  const fd = openFile(path, O_PATH | O_CLOEXEC);
  if (fd < 0) {
    throw new SyscallError("find this program by", {
      syscall: "open",
      errno: -fd,
      path,
      advice: "is /proc mounted here?",
    });
  }
  closeFile(fd);
  return Deno.execPath();
}

/**
 * The program and arguments that start this tool once more.
 *
 * @param args The arguments after `holdfast`.
 * @param permissions The permissions it needs there, such as `--allow-ffi`.
 */
export function selfCommand(
  args: readonly string[],
  permissions: readonly string[],
): { command: string; args: string[] } {
  const command = ownProgram();
  if (Deno.build.standalone) return { command, args: [...args] };
  // Bundled, this module is in the same file as all the others.
  const here = import.meta.url;
  const main = here.endsWith("/self_command.ts")
    ? new URL("./main.ts", here).href
    : here;
  return {
    command,
    args: ["run", "--quiet", "--no-prompt", ...permissions, main, ...args],
  };
}
