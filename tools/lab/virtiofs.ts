import { isInstalled } from "../../tests/support/programs.ts";

/** Servers of virtiofs on this host: one for each mount. */
export class VirtiofsServers implements AsyncDisposable {
  /** Where each is reached, by the name that the guest mounts. */
  readonly sockets: Map<string, string> = new Map();
  readonly #program: string;
  readonly #directory = Deno.makeTempDirSync({ prefix: "holdfast-lab-" });
  readonly #children: Deno.ChildProcess[] = [];

  /** @param packages Where packages are unpacked, if it isn't installed. */
  constructor(packages: string) {
    const installed = "/usr/lib/qemu/virtiofsd";
    this.#program = isInstalled(`../..${installed}`)
      ? installed
      : `${packages}${installed}`;
  }

  /** Starts one, which ends with the machine that uses it. */
  async start(
    tag: string,
    directory: string,
    { locks }: { locks: boolean },
  ): Promise<void> {
    const socket = `${this.#directory}/${tag}`;
    const child = new Deno.Command(this.#program, {
      args: [
        `--socket-path=${socket}`,
        ...["-o", `source=${directory}`],
        ...(locks ? ["-o", "flock", "-o", "posix_lock"] : []),
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#children.push(child);
    // It says what it waits for once its socket is there.
    const reader = child.stderr.getReader();
    const { value } = await reader.read();
    const said = new TextDecoder().decode(value);
    if (!said.includes("vhost-user socket")) {
      throw new Error(`virtiofsd can't be started: ${said}`);
    }
    reader.releaseLock();
    void child.stderr.cancel();
    this.sockets.set(tag, socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended with the machine.
      }
      await child.status;
    }
    Deno.removeSync(this.#directory, { recursive: true });
  }
}
