/** What faults are made and told with. */

import { HOSTS } from "../hosts.ts";

/** One thing that goes wrong; it throws when the locks don't live through. */
export interface Fault {
  name: string;
  run(): Promise<void>;
}

/** The directory that is served, and where two hosts mount it. */
export const SERVER = "/srv/lab/nfs/faults";
/** See {@linkcode SERVER}. */
export const A = "/mnt/lab/faults-a";
/** See {@linkcode SERVER}. */
export const B = "/mnt/lab/faults-b";

/** Runs a script of bash to its end. */
export async function bash(script: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("bash", {
    args: ["-euc", `${HOSTS}\n${script}`],
    env: { SERVER, A, B },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new Error(`${script}: ${new TextDecoder().decode(stderr)}`);
  }
}

/** The lease and the grace time that guest.sh sets. */
export const GRACE_MS = 10_000;

/** As guest.sh has started it. */
export const RESTART_NFS = "rpc.nfsd 0\n" +
  "rpc.nfsd --lease-time 10 --grace-time 10 4\nsm-notify -f";

/** @throws {Error} unless a condition holds. */
export function expect(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise);
}

/** Sleeps. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
