/**
 * What a test that needs a program says when there is none: spread it into
 * the test's definition.
 */
export function needs(
  ...programs: string[]
): { ignore: boolean; suffix: string } {
  const missing = programs.filter((program) => !isInstalled(program));
  return {
    ignore: missing.length > 0,
    suffix: missing.length === 0 ? "" : ` (no ${missing.join(", ")} here)`,
  };
}

function isInstalled(program: string): boolean {
  return new Deno.Command("sh", {
    args: ["-c", 'command -v "$1" >/dev/null', "sh", program],
  }).outputSync().success;
}
