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
