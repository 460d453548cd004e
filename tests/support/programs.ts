/** Whether a test can run here, and what to say when it can't. */
export interface Guard {
  ignore: boolean;
  /** For the end of the test's name: what is missing, or nothing. */
  suffix: string;
}

/**
 * The guard of a test that needs programs besides a shell and coreutils:
 * spread `ignore` into the test's definition, and add `suffix` to its name.
 */
export function needs(...programs: string[]): Guard {
  const missing = programs.filter((program) => !isInstalled(program));
  return guard(missing.map((program) => `no ${program} here`));
}

/** The guard of a test that also needs root. */
export function needsRoot(...programs: string[]): Guard {
  const { suffix } = needs(...programs);
  return Deno.uid() === 0
    ? { ignore: suffix !== "", suffix }
    : { ignore: true, suffix: " (not root)" };
}

/** The guard of a test with a reason of its own not to run. */
export function unless(reason: string | undefined): Guard {
  return guard(reason === undefined ? [] : [reason]);
}

function guard(reasons: readonly string[]): Guard {
  return {
    ignore: reasons.length > 0,
    suffix: reasons.length === 0 ? "" : ` (${reasons.join(", ")})`,
  };
}

/** Whether a program is found by PATH, and is one that this user may run. */
export function isInstalled(program: string): boolean {
  const directories = Deno.env.get("PATH") ?? "/usr/bin:/bin";
  return directories.split(":").some((directory) => {
    try {
      const { isFile, mode } = Deno.statSync(`${directory}/${program}`);
      return isFile && ((mode ?? 0) & 0o111) !== 0;
    } catch {
      return false;
    }
  });
}
