/**
 * What runs where the filesystems are, in the machine or in a mount namespace
 * of this one: mounts each, tries its locks, hears what holdfast says, and
 * prints a JSON line for each.
 *
 * @module
 */

import { type Cells, Locker, type Places, tryAll } from "./cells.ts";
import { type Configuration, CONFIGURATIONS } from "./configurations.ts";
import { HOSTS } from "./hosts.ts";
import { allWords, type Words } from "./words.ts";

/** What is known of one configuration. */
export interface Finding {
  /** Its name. */
  name: string;
  /** Why it can't be tried. */
  skipped?: string;
  /** What went wrong when it was. */
  failed?: string;
  /** The kernel's release. */
  kernel?: string;
  /** The versions of what serves it and mounts it. */
  versions?: string[];
  /** What locks do. */
  cells?: Cells;
  /** What holdfast says. */
  words?: Words;
}

/** Where all of it happens. */
interface Room {
  /** The server's directories, one for each configuration. */
  served: string;
  /** The mount points. */
  mounts: string;
}

/** Tries one configuration. */
async function tryOne(
  configuration: Configuration,
  { served, mounts }: Room,
  locker: Locker,
): Promise<Finding> {
  const { name } = configuration;
  const server = `${served}/${configuration.service ?? "none"}/${name}`;
  const places: Places = {
    a: `${mounts}/${name}/a`,
    b: `${mounts}/${name}/b`,
    server: ["here", "beneath"].includes(configuration.server)
      ? server
      : undefined,
    heldOutside: configuration.server === "outside",
  };
  for (const directory of [server, places.a, places.b]) {
    Deno.mkdirSync(directory, { recursive: true });
  }
  const { success, stderr } = await new Deno.Command("timeout", {
    args: [MOUNT_SECONDS, "bash", "-euc", `${HOSTS}\n${configuration.mount}`],
    env: { NAME: name, SERVER: server, A: places.a, B: places.b },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    const said = new TextDecoder().decode(stderr).trim();
    return { name, failed: `it can't be mounted: ${said}` };
  }
  const cells = await tryAll(places, locker);
  const words = await allWords(places, locker);
  return { name, kernel: Deno.osRelease(), cells, words };
}

/* A mount that hangs must not hide the others. */
const MOUNT_SECONDS = "60";

if (import.meta.main) {
  const [served, mounts, ...names] = Deno.args as [string, string];
  await using locker = await Locker.start();
  for (const name of names as string[]) {
    const configuration = CONFIGURATIONS.find((it) => it.name === name)!;
    const finding = await tryOne(configuration, { served, mounts }, locker)
      .catch((error): Finding => ({ name, failed: `${error}` }));
    console.log(`FOUND ${JSON.stringify(finding)}`);
  }
}
