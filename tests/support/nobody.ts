import { cliArgs } from "./cli.ts";
import { type Guard, needsRoot, unless } from "./programs.ts";
import { TempDir } from "./temp_dir.ts";

const NOBODY = 65534;

/** Runs a command as an ordinary user, whose home is a directory of a test. */
export function asNobody(
  dir: TempDir,
  command: string,
  args: string[],
): Deno.CommandOutput {
  return new Deno.Command(command, {
    args,
    uid: NOBODY,
    gid: NOBODY,
    env: { DENO_DIR: dir.join("cache"), HOME: dir.path },
  }).outputSync();
}

/** The guard of a test that runs the tool as an ordinary user too. */
export function needsNobody(): Guard {
  const root = needsRoot();
  if (root.ignore) return root;
  using dir = new TempDir();
  Deno.chmodSync(dir.path, 0o777);
  const canRun = () => {
    try {
      return asNobody(dir, Deno.execPath(), cliArgs(["--version"])).success;
    } catch {
      return false;
    }
  };
  return unless(
    canRun() ? undefined : "other users can't run Deno or read this tree",
  );
}
