/**
 * What holdfast says on a filesystem: its commands, run in this process, for
 * each start of Deno costs seconds in an emulated machine.
 *
 * @module
 */

import { main } from "../../cli/main.ts";
import type { ExportProtocol } from "../../lib/fs/exported.ts";
import type { TrustTable } from "../../lib/fs/verdict.ts";
import type { MountInfo } from "../../lib/proc/mountinfo.ts";
import type { Locker, Places } from "./cells.ts";
import type { PairKind } from "./locks.ts";

/** What a command printed, and its exit code. */
export interface Said {
  /** Its exit code. */
  code: number;
  /** Its standard output and standard error. */
  text: string;
}

/** A mount, and how this host serves what is in it to others. */
export interface Place
  extends Pick<MountInfo, "fsType" | "mountOptions" | "superOptions"> {
  /** Absent where it doesn't. */
  exportedAs?: ExportProtocol;
}

/** What doctor's JSON is read for. */
export interface DoctorWord {
  /** Where it was asked. */
  place: Place;
  /** What each kind is worth, and between whom. */
  trust: TrustTable;
  /** The command that it advises. */
  command: string | null;
}

/** What was said on one filesystem. */
export interface Words {
  /** On a client. */
  doctor: DoctorWord;
  /** On the server, where it is of this kernel. */
  serverDoctor?: DoctorWord;
  /** `run -n` on a free file of a client, without --allow-remote. */
  run: Said;
  /** `run --kind ofd -n` on it. */
  runOfd: Said;
  /** `run --kind both -n --allow-remote` on it. */
  runBoth: Said;
  /** `run -n` on a free file of the server. */
  serverRun?: Said;
  /** What doctor advised, run. */
  advised?: Said;
  /** On the second client, while the first holds it. */
  asked: Record<PairKind, Asked>;
  /** On the server, while a client holds it. */
  serverAsked?: Record<PairKind, Asked>;
}

/** What is said of a lock that another party holds. */
export interface Asked {
  /** `who`. */
  who: Said;
  /** `test --kind` with the kind that is held. */
  test: Said;
  /** `test` without a kind. */
  testAny: Said;
  /** `run --kind -w --allow-remote`, which waits a moment. */
  wait: Said;
}

/** Runs a command of holdfast's, and catches what it says. */
export async function holdfast(...args: string[]): Promise<Said> {
  let text = "";
  const decoder = new TextDecoder();
  const streams = [Deno.stdout, Deno.stderr];
  for (const stream of streams) {
    Object.defineProperty(stream, "writeSync", {
      configurable: true,
      value: (bytes: Uint8Array) => {
        text += decoder.decode(bytes, { stream: true });
        return bytes.length;
      },
    });
  }
  try {
    return { code: await main(args), text };
  } finally {
    for (const stream of streams) Reflect.deleteProperty(stream, "writeSync");
  }
}

/** Asks for every word. */
export async function allWords(
  places: Places,
  locker: Locker,
): Promise<Words> {
  const { a, server } = places;
  const file = newFile(places, "word-free");
  const doctor = await askDoctor(`${a}/${file}`);
  const words: Words = {
    doctor,
    run: await holdfast("run", "-n", `${a}/${file}`, "--", "true"),
    runOfd: await holdfast(
      ...["run", "--kind", "ofd", "-n", `${a}/${file}`, "--", "true"],
    ),
    runBoth: await holdfast(
      ...["run", "--kind", "both", "-n", "--allow-remote", `${a}/${file}`],
      ...["--", "true"],
    ),
    asked: {
      flock: await ask(places, "b", "flock", locker),
      ofd: await ask(places, "b", "ofd", locker),
    },
  };
  if (doctor.command !== null) {
    words.advised = await holdfast(
      ...doctor.command.split(" ").slice(1).map((word) =>
        word === "COMMAND" ? "true" : word
      ),
    );
  }
  if (server !== undefined) {
    words.serverDoctor = await askDoctor(`${server}/${file}`);
    words.serverRun = await holdfast(
      ...["run", "-n", `${server}/${file}`, "--", "true"],
    );
    words.serverAsked = {
      flock: await ask(places, "server", "flock", locker),
      ofd: await ask(places, "server", "ofd", locker),
    };
  }
  return words;
}

async function askDoctor(path: string): Promise<DoctorWord> {
  const { text } = await holdfast("doctor", "--json", path);
  const { trust, command, filesystem } = JSON.parse(text).paths[0];
  const { type, mountOptions, superOptions, exportedAs } = filesystem;
  const place: Place = {
    fsType: type,
    mountOptions,
    superOptions,
    ...exportedAs && { exportedAs },
  };
  return { place, trust, command };
}

async function ask(
  places: Places,
  from: "b" | "server",
  kind: PairKind,
  locker: Locker,
): Promise<Asked> {
  const file = newFile(places, `word-${from}-${kind}`);
  await locker.tell({ do: "take", kind, path: `${places.a}/${file}` });
  const path = `${places[from]}/${file}`;
  try {
    return {
      who: await holdfast("who", path),
      test: await holdfast("test", "--kind", kind, path),
      testAny: await holdfast("test", path),
      wait: await holdfast(
        ...["run", "--kind", kind, "-w", "0.2", "--allow-remote", path],
        ...["--", "true"],
      ),
    };
  } finally {
    await locker.tell({ do: "release" });
  }
}

function newFile({ a }: Places, name: string): string {
  Deno.writeTextFileSync(`${a}/${name}`, "");
  return name;
}
