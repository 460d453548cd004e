import { cliArgs } from "./cli.ts";
import { type Guard, unless } from "./programs.ts";
import { type ProgramResult, runProgram } from "./run_program.ts";
import { TempDir } from "./temp_dir.ts";

const IS_ROOT = Deno.uid() === 0;

/** An ordinary user and his group: one that root becomes, or whose test it is. */
export const ORDINARY = IS_ROOT
  ? { uid: 65534, gid: 65534 }
  : { uid: Deno.uid()!, gid: Deno.gid()! };

/** Gives a file to the ordinary user. */
export function giveAway(path: string): void {
  if (IS_ROOT) Deno.chownSync(path, ORDINARY.uid, ORDINARY.gid);
}

/**
 * Runs the tool as the ordinary user.
 *
 * @param home What the runtime keeps there makes the next run faster.
 */
export async function runCliAsOrdinary(
  args: string[],
  home?: TempDir,
): Promise<ProgramResult> {
  if (!IS_ROOT) return await runProgram(Deno.execPath(), cliArgs(args));
  if (home === undefined) {
    using own = new TempDir();
    return await runCliAsOrdinary(args, own);
  }
  // The caches of root are root's.
  giveAway(home.path);
  return await runProgram(Deno.execPath(), cliArgs(args), {
    ...ORDINARY,
    env: { DENO_DIR: home.path, HOME: home.path },
  });
}

/** The guard of a test that runs the tool as an ordinary user. */
export async function needsOrdinary(): Promise<Guard> {
  const canRun = await runCliAsOrdinary(["--version"])
    .then(({ code }) => code === 0, () => false);
  return unless(
    canRun ? undefined : "other users can't run Deno or read this tree",
  );
}
