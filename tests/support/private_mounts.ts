import { type Guard, needsRoot, unless } from "./programs.ts";
import { HelperProcess } from "./helper_process.ts";

const HERE = new URL(import.meta.url).pathname;

/**
 * The guard of a test that makes mounts of its own, and needs programs for
 * them.
 */
export function needsMounts(...programs: string[]): Guard {
  const guard = needsRoot("unshare", "nsenter", "mount", ...programs);
  if (guard.ignore) return guard;
  const { success } = new Deno.Command("unshare", { args: ["-m", "true"] })
    .outputSync();
  return unless(success ? undefined : "may not mount here");
}

/**
 * The guard of a test that asks for a path in another mount namespace: seen
 * from a chroot, the kernel gives it from the root outside.
 */
export function needsRootOfMounts(...programs: string[]): Guard {
  const guard = needsMounts(...programs);
  if (guard.ignore) return guard;
  // Entering a mount namespace leaves a chroot.
  const { success } = new Deno.Command("unshare", {
    args: ["-m", "sh", "-c", 'nsenter -m -t $$ test -e "$0"', HERE],
  }).outputSync();
  return unless(success ? undefined : "in a chroot");
}

/**
 * A mount namespace of its own, prepared by a shell script and gone with the
 * process that keeps it.
 */
export class PrivateMounts implements AsyncDisposable {
  readonly #keeper: HelperProcess;

  private constructor(keeper: HelperProcess) {
    this.#keeper = keeper;
  }

  /**
   * Runs a `sh -eu` script in a new mount namespace, in `directory`.
   * Nothing that it mounts is seen outside.
   */
  static async create(
    directory: string,
    script: string,
  ): Promise<PrivateMounts> {
    return new PrivateMounts(
      await HelperProcess.start("unshare", [
        "-m",
        "--propagation",
        "private",
        "sh",
        "-euc",
        `{\n${script}\n} >/dev/null\necho ready\nread -r _ || :`,
      ], { cwd: directory }),
    );
  }

  /** The arguments that run a command inside, to be given to `nsenter`. */
  enter(...command: string[]): string[] {
    // With -m alone it would leave a chroot that the tests run in.
    const { pid } = this.#keeper;
    return ["-m", "-r", `-w/proc/${pid}/root`, `-t${pid}`, ...command];
  }

  /** Starts a helper inside, which must say "ready". */
  start(command: string, args: string[]): Promise<HelperProcess> {
    return HelperProcess.start("nsenter", this.enter(command, ...args));
  }

  /** Runs a command inside to its end. */
  output(command: string, args: string[]): Promise<Deno.CommandOutput> {
    return new Deno.Command("nsenter", { args: this.enter(command, ...args) })
      .output();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#keeper[Symbol.asyncDispose]();
  }
}
