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
  const command = Deno.execPath();
  if (Deno.build.standalone) return { command, args: [...args] };
  const main = new URL("./main.ts", import.meta.url).href;
  return {
    command,
    args: ["run", "--quiet", "--no-prompt", ...permissions, main, ...args],
  };
}
