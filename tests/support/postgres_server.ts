/** PostgreSQL for a test: a server on loopback, its data in memory. */
import { freePort } from "./free_port.ts";
import { runProgram } from "./run_program.ts";

const DEBIAN_BINARIES = "/usr/lib/postgresql";
/** The server refuses to run as root. */
const SERVER_USER = "postgres";
const isRoot = Deno.uid() === 0;

/** Spread it into the definition of a test that starts a server. */
export function needsPostgres(
  ...programs: string[]
): { ignore: boolean; suffix: string } {
  const missing = [
    ...(binaries() === undefined ? ["PostgreSQL server"] : []),
    ...programs.filter((program) => !isInstalled(program)),
    ...(isRoot && !isInstalled("setpriv") ? ["setpriv"] : []),
  ];
  return {
    ignore: missing.length > 0,
    suffix: missing.length === 0 ? "" : ` (no ${missing.join(", ")} here)`,
  };
}

/** Where the server's programs are: the newest that Debian has, or the PATH. */
function binaries(): string | undefined {
  try {
    const versions = [...Deno.readDirSync(DEBIAN_BINARIES)]
      .map(({ name }) => name).sort((a, b) => Number(b) - Number(a));
    for (const version of versions) {
      const directory = `${DEBIAN_BINARIES}/${version}/bin`;
      if (isInstalled(`${directory}/initdb`)) return directory;
    }
  } catch {
    // Not Debian's.
  }
  const path = which("initdb");
  return path?.replace(/\/initdb$/, "");
}

function isInstalled(program: string): boolean {
  return which(program) !== undefined;
}

function which(program: string): string | undefined {
  const { success, stdout } = new Deno.Command("sh", {
    args: ["-c", 'command -v "$1"', "sh", program],
  }).outputSync();
  return success ? new TextDecoder().decode(stdout).trim() : undefined;
}

/** A server; `await using` stops it and removes its data. */
export class PostgresTestServer implements AsyncDisposable {
  /** Its TCP port on 127.0.0.1. */
  readonly port: number;
  /** The directory of its data, socket and log. */
  readonly directory: string;
  readonly #binaries: string;

  private constructor(directory: string, port: number) {
    this.directory = directory;
    this.port = port;
    this.#binaries = binaries()!;
  }

  /**
   * Starts one. The superuser is `admin`, ordinary users are `app`, `other` and
   * those in `roles`; all are trusted unless `hba` says otherwise.
   */
  static async start(
    options: { settings?: string[]; hba?: string[]; roles?: string[] } = {},
  ): Promise<PostgresTestServer> {
    const directory = Deno.makeTempDirSync({
      prefix: "holdfast-postgres-",
      ...memoryDirectory(),
    });
    if (isRoot) {
      await mustRun("chown", [SERVER_USER, directory]);
    }
    const server = new PostgresTestServer(directory, freePort());
    try {
      await server.#run("initdb", [
        "--pgdata",
        `${directory}/data`,
        "--username=admin",
        "--auth=trust",
        "--no-sync",
        "--locale=C",
        "--encoding=UTF8",
      ]);
      const { hba = [], settings = [], roles = [] } = options;
      if (hba.length > 0) {
        const path = `${directory}/data/pg_hba.conf`;
        const text = Deno.readTextFileSync(path);
        Deno.writeTextFileSync(path, `${hba.join("\n")}\n${text}`);
      }
      Deno.writeTextFileSync(
        `${directory}/data/postgresql.conf`,
        [
          `port = ${server.port}`,
          "listen_addresses = '127.0.0.1'",
          `unix_socket_directories = '${directory}'`,
          // A kill of the server loses nothing that the kernel has.
          "fsync = off",
          "shared_buffers = 16MB",
          ...settings,
          "",
        ].join("\n"),
        { append: true },
      );
      await server.startAgain();
      const users = ["app", "other", ...roles];
      await server.sql(...users.map((user) => `create role ${user} login`));
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A lock's URL there. */
  url(name = "", user = "app"): string {
    const tag = name === ""
      ? ""
      : `#${encodeURIComponent(name).replaceAll("%2F", "/")}`;
    return `postgres://${user}@127.0.0.1:${this.port}/postgres${tag}`;
  }

  /** Starts it after a stop. */
  async startAgain(): Promise<void> {
    await this.#control("start");
  }

  /** Stops it: `fast` ends the sessions, `immediate` is a crash. */
  async stop(mode: "fast" | "immediate"): Promise<void> {
    await this.#control("stop", "--mode", mode);
  }

  /** Stops it so and starts it again. */
  async restart(mode: "fast" | "immediate"): Promise<void> {
    await this.stop(mode);
    await this.startAgain();
  }

  /** Runs statements one by one as the superuser; gives their bare output. */
  async sql(...statements: string[]): Promise<string> {
    return await this.#run("psql", [
      ...this.psqlArguments("admin"),
      "--set=ON_ERROR_STOP=1",
      ...statements.map((statement) => `--command=${statement}`),
    ]);
  }

  /** The path of one of its programs. */
  program(name: string): string {
    return `${this.#binaries}/${name}`;
  }

  /** Arguments with which psql connects to it, and prints bare values. */
  psqlArguments(user: string): string[] {
    return [
      "--host=127.0.0.1",
      `--port=${this.port}`,
      `--username=${user}`,
      "--dbname=postgres",
      "--no-psqlrc",
      "--quiet",
      "--no-align",
      "--tuples-only",
    ];
  }

  /** Sends a signal to one of its processes, whosever it is. */
  async kill(pid: number | string, signal = "KILL"): Promise<void> {
    await mustRun("sh", ["-c", `kill -${signal} ${pid}`]);
  }

  /** Writes a file beside its data that only it may read, and gives its path. */
  async writeOwn(name: string, text: string): Promise<string> {
    const path = `${this.directory}/${name}`;
    Deno.writeTextFileSync(path, text, { mode: 0o600 });
    if (isRoot) await mustRun("chown", [SERVER_USER, path]);
    return path;
  }

  /** A command and arguments that run as the server's user. */
  asServerUser(command: string, args: readonly string[]): [string, string[]] {
    return isRoot
      ? ["setpriv", [
        `--reuid=${SERVER_USER}`,
        `--regid=${SERVER_USER}`,
        "--clear-groups",
        command,
        ...args,
      ]]
      : [command, [...args]];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("immediate").catch(() => {});
    Deno.removeSync(this.directory, { recursive: true });
  }

  async #control(...args: string[]): Promise<void> {
    await this.#run("pg_ctl", [
      ...args,
      "--wait",
      "--silent",
      "--pgdata",
      `${this.directory}/data`,
      "--log",
      `${this.directory}/log`,
    ]);
  }

  async #run(program: string, args: readonly string[]): Promise<string> {
    return await mustRun(
      ...this.asServerUser(this.program(program), args),
      this.directory,
    );
  }
}

function memoryDirectory(): { dir?: string } {
  try {
    if (Deno.statSync("/dev/shm").isDirectory) return { dir: "/dev/shm" };
  } catch {
    // Elsewhere than on Linux.
  }
  return {};
}

async function mustRun(
  command: string,
  args: string[],
  cwd = "/",
): Promise<string> {
  // pg_ctl leaves a server behind that must not keep a pipe of ours open.
  const result = await runProgram(command, args, { cwd });
  if (result.code !== 0) {
    throw new Error(
      `${command} ${args.join(" ")}: ${result.stdout}${result.stderr}`,
    );
  }
  return result.stdout.trim();
}
