/**
 * `holdfast run` with locks of several kinds, while supervisors and commands
 * are killed, ended, stopped and continued, waits time out, and lock files are
 * removed and renamed beneath.
 */
import { assert, assertEquals } from "@std/assert";
import { collectLockFiles } from "../../lib/patterns/gc.ts";
import { sweepLinkLock, tryLinkLock } from "../../lib/lock/link/mod.ts";
import { STRESS } from "../patterns/support/workers.ts";
import { cliArgs } from "../support/cli.ts";
import { TempDir } from "../support/temp_dir.ts";
import { until } from "../support/until.ts";
import { within } from "../support/within.ts";

/** How many runs of a kind are under way at a time. */
const RUNNERS = 4;
const BASE_ROUNDS = 4;

/**
 * The command: INSIDE LEDGER ID WHAT. It is inside, where only one may be who
 * is alive; it says in the ledger that it has been; and may remove or rename
 * its lock file. What it waits for is the end of a process that is being
 * killed: the kernel drops its locks before its entry in /proc.
 */
const COMMAND = `
inside=$1.\${HOLDFAST_SLOT-0} ledger=$2 id=$3 what=$4 seen= tries=0
exec 2>/dev/null
set -C
lives() {
  read -r stat <"/proc/$1/stat" || return
  case \${stat##*) } in [ZX]*) false ;; esac
}
tell() { echo "$1 $id $2" >>"$ledger"; }
until echo $$ >"$inside"; do
  other=
  read -r other <"$inside"
  if [ "$other" ] && lives "$other"; then
    seen=$other tries=$((tries + 1))
    [ $tries -lt 400 ] || { tell overlap "$other stays"; exit 3; }
    sleep 0.005
  elif [ "$other" ]; then
    rm -f "$inside" && seen=
  elif [ -e "$inside" ]; then
    # Killed between the two steps of making it, or not yet done with them.
    sleep 0.005
    [ -s "$inside" ] || rm -f "$inside"
  else
    [ -e "$ledger" ] || exit 4
    tell overlap "somebody has just left"
  fi
done
# One that was killed has not come to say so.
while read -r word _ pid; do
  [ "$word $pid" != "done \${seen:-0}" ] || tell overlap "$seen has left"
done <"$ledger"
echo entered
exec >/dev/null
sleep 0.02
read -r now <"$inside"
[ "$now" = $$ ] || tell overlap "$now came in"
tell done $$
rm "$inside"
case $what in
  remove) rm -f "$HOLDFAST_LOCK" ;;
  rename) mv "$HOLDFAST_LOCK" "$HOLDFAST_LOCK.old.lock" || : ;;
esac
`;

interface Kind {
  name: string;
  options: readonly string[];
  /** Whether its lock file may be removed and renamed. */
  isRemovable: boolean;
  /**
   * Whether the next holder can come a moment before the command of a killed
   * supervisor is gone, as the documentation says.
   */
  mayOverlap: boolean;
}

const KINDS: readonly Kind[] = [
  { name: "flock", options: [], isRemovable: true, mayOverlap: false },
  {
    name: "posix",
    options: ["-k", "posix"],
    isRemovable: true,
    mayOverlap: true,
  },
  {
    name: "link",
    options: ["-k", "link"],
    isRemovable: false,
    mayOverlap: true,
  },
  {
    name: "slots",
    options: ["--slots", "2"],
    isRemovable: false,
    mayOverlap: false,
  },
  { name: "exec", options: ["--exec"], isRemovable: true, mayOverlap: false },
];

/** What a run may end with, besides 0. */
const TIMED_OUT = 75;
const KILLED = 137;
const TERMED = 143;

function below(count: number): number {
  return Math.floor(Math.random() * count);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The counts and faults of one kind. */
class KindSoak {
  readonly counts: Record<string, number> = {};
  readonly faults: string[] = [];
  readonly #kind: Kind;
  readonly #directory: TempDir;
  /** Supervisors that were killed: so often may commands overlap. */
  #killed = 0;
  #next = 0;

  constructor(kind: Kind, directory: TempDir) {
    this.#kind = kind;
    this.#directory = directory;
  }

  async run(rounds: number): Promise<void> {
    const runner = async () => {
      while (this.#next < rounds) await this.#round(this.#next++);
    };
    await Promise.all(Array.from({ length: RUNNERS }, runner));
    await until(() => processesWith(this.#directory.path).length === 0);
    this.#readLedger();
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  get #ledger(): string {
    return this.#directory.join("ledger");
  }

  get #lock(): string {
    return this.#directory.join("run.lock");
  }

  async #round(number: number): Promise<void> {
    const { options, isRemovable } = this.#kind;
    const id = `r${number}`;
    const waits = Math.random() < 0.2 ? ["-w", `${below(300)}ms`] : [];
    const what = !isRemovable || Math.random() < 0.8
      ? "leave"
      : Math.random() < 0.5
      ? "remove"
      : "rename";
    const child = new Deno.Command(Deno.execPath(), {
      args: cliArgs([
        ...["run", ...options, ...waits, this.#lock, "--"],
        ...["sh", "-c", COMMAND, "sh"],
        ...[this.#directory.join("inside"), this.#ledger, id, what],
      ]),
      env: { HOLDFAST_SOAK: this.#directory.path },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#count("begun");
    const over = new AbortController();
    const entered = firstOutput(child.stdout);
    const torment = this.#torment(child, entered, over.signal);
    const said = new Response(child.stderr).text();
    const { code, signal } = await within(child.status, id);
    over.abort();
    await torment;
    await entered;
    const isExpected = [0, KILLED, TERMED].includes(code) || signal !== null ||
      code === TIMED_OUT && waits.length > 0;
    this.#count(
      signal ?? (code === 0 ? "ended well" : `exit code ${code}`),
    );
    if (!isExpected) {
      this.faults.push(`${id}: ${code} ${await said}`);
    }
    await said;
    if (code === 0 && !this.#isDone(id)) {
      this.faults.push(`${id} ended well without its command`);
    }
  }

  async #torment(
    child: Deno.ChildProcess,
    entered: Promise<void>,
    over: AbortSignal,
  ): Promise<void> {
    const chance = Math.random();
    if (Math.random() < 0.5) await pause(below(400));
    else {
      await entered;
      await pause(below(25));
    }
    if (over.aborted) return;
    if (chance < 0.15) {
      // With --exec it is the command, or its predecessor.
      if (!sent(child, "SIGKILL")) return;
      this.#killed++;
      this.#count("KILL of the supervisor");
    } else if (chance < 0.25) {
      if (sent(child, "SIGTERM")) this.#count("TERM of the supervisor");
    } else if (chance < 0.4) {
      if (!sent(child, "SIGSTOP")) return;
      await pause(below(100));
      sent(child, "SIGCONT");
      this.#count("STOP and CONT of the supervisor");
    } else if (chance < 0.6) {
      const signal = chance < 0.5 ? "SIGKILL" : "SIGTERM";
      if (this.#killCommand(signal)) {
        this.#count(`${signal.slice(3)} of the command`);
      }
    }
  }

  /** Whether somebody was inside to be killed. */
  #killCommand(signal: Deno.Signal): boolean {
    for (const slot of [0, 1]) {
      try {
        const inside = this.#directory.join(`inside.${slot}`);
        const pid = Number(Deno.readTextFileSync(inside));
        // An old entry may be of a process that has long been gone.
        if (!processesWith(this.#directory.path).includes(pid)) continue;
        Deno.kill(pid, signal);
        return true;
      } catch (error) {
        // Nobody is inside, or it has just left or ended.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    return false;
  }

  #isDone(id: string): boolean {
    return Deno.readTextFileSync(this.#ledger).split("\n")
      .some((line) => line.startsWith(`done ${id} `));
  }

  #readLedger(): void {
    const lines = Deno.readTextFileSync(this.#ledger).split("\n");
    const overlaps = lines.filter((line) => line.startsWith("overlap"));
    this.counts.done = lines.filter((line) => line.startsWith("done")).length;
    this.counts.overlaps = overlaps.length;
    const most = this.#kind.mayOverlap ? this.#killed : 0;
    if (overlaps.length > most) this.faults.push(...overlaps);
  }
}

/** Sends a signal, unless the process has ended. */
function sent(child: Deno.ChildProcess, signal: Deno.Signal): boolean {
  try {
    child.kill(signal);
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** Waits for the first output of a process, or its end. */
async function firstOutput(stream: ReadableStream<Uint8Array>): Promise<void> {
  const reader = stream.getReader();
  await reader.read();
  await reader.cancel();
}

/** The living processes of a soak: its mark is in their environment. */
function processesWith(mark: string): number[] {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const variables = Deno.readTextFileSync(`/proc/${name}/environ`);
      if (variables.includes(`HOLDFAST_SOAK=${mark}`)) found.push(Number(name));
    } catch {
      // It has ended, or is another user's.
    }
  }
  return found;
}

/** Kills those that a soak which has failed would leave behind. */
function killAll(mark: string): void {
  for (const pid of processesWith(mark)) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** What is left in a directory after all has been collected that may be. */
function leftFiles(directory: TempDir, kind: string): string[] {
  // The next one takes what a killed holder has left.
  if (kind === "link") tryLinkLock(directory.join("run.lock"))?.release();
  // What is new is left alone: somebody may be about to lock or to finish it.
  const daysAgo = new Date(Date.now() - 48 * 3600 * 1000);
  for (const { name, isFile } of Deno.readDirSync(directory.path)) {
    if (isFile) Deno.utimeSync(directory.join(name), daysAgo, daysAgo);
  }
  sweepLinkLock(directory.join("run.lock"));
  collectLockFiles(directory.path, { recursive: true });
  const names = [...Deno.readDirSync(directory.path)]
    .filter(({ isDirectory }) => !isDirectory).map(({ name }) => name);
  const wanted = /^(ledger|inside\.\d|\.run\.lock\.last2?)$/;
  return names.filter((name) => !wanted.test(name));
}

for (const kind of KINDS) {
  Deno.test({
    name: `a soak of run with ${kind.name}: one command at a time, ` +
      "nothing left",
    timeout: 300_000 + 10_000 * STRESS,
    fn: async () => {
      using directory = new TempDir();
      Deno.writeTextFileSync(directory.join("ledger"), "");
      const soak = new KindSoak(kind, directory);
      try {
        await soak.run(BASE_ROUNDS * STRESS);
      } finally {
        killAll(directory.path);
      }
      const { counts, faults } = soak;
      const report = Deno.env.get("HOLDFAST_SOAK_REPORT");
      if (report !== undefined) {
        const text = JSON.stringify({ kind: kind.name, counts, faults });
        Deno.writeTextFileSync(report, `${text}\n`, { append: true });
      }
      assertEquals(faults, []);
      assert(counts.done! > 0);
      assertEquals(leftFiles(directory, kind.name), []);
    },
  });
}
