/**
 * Debian packages without installing them: downloaded with all that they need
 * and this machine lacks, and unpacked into one directory.
 *
 * @module
 */

const CACHE = `${
  Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`
}/holdfast-lab`;

/** What was unpacked. */
export interface Unpacked {
  /** The directory, to be laid over a root directory. */
  root: string;
  /** Their upstream versions, installed or unpacked. */
  versions: Map<string, string>;
  /** Why some packages can't be had, by package. */
  missing: Map<string, string>;
}

/**
 * Unpacks packages; what was unpacked before isn't downloaded again.
 *
 * @param names Such as `samba`.
 */
export async function unpackPackages(
  names: readonly string[],
): Promise<Unpacked> {
  const root = `${CACHE}/root`;
  Deno.mkdirSync(`${CACHE}/packages`, { recursive: true });
  Deno.mkdirSync(root, { recursive: true });
  const missing = new Map<string, string>();
  const versions = new Map<string, string>();
  for (const name of names) {
    const { code, text } = await run("apt-get", ...SIMULATE, name);
    if (code !== 0) {
      missing.set(name, lastLine(text));
      continue;
    }
    const wanted = [...text.matchAll(/^Inst (\S+) .*?\((\S+)/gm)]
      .filter(([, one]) => name === KERNEL ? isKernel(one!) : true);
    for (const [, one, version] of wanted) {
      const reason = await unpack(one!, version!, root);
      if (reason !== undefined) missing.set(name, reason);
    }
    versions.set(name, upstream(await candidate(name)));
  }
  return { root, versions, missing };
}

/** The package that stands for the newest kernel of this release. */
export const KERNEL = "linux-image-amd64";

const SIMULATE = ["install", "--simulate", "--no-install-recommends"];

/* The rest of what the package needs makes it start on real machines. */
function isKernel(name: string): boolean {
  return /^linux-image-\d/.test(name);
}

async function unpack(
  name: string,
  version: string,
  root: string,
): Promise<string | undefined> {
  const done = `${CACHE}/packages/${name}_${version}.done`;
  if (exists(done)) return undefined;
  const { code, text } = await run(
    ...["apt-get", "download", `${name}=${version}`] as const,
  );
  if (code !== 0) return lastLine(text);
  const file = [...Deno.readDirSync(`${CACHE}/packages`)]
    .find((entry) =>
      entry.name.startsWith(`${name}_`) &&
      entry.name.endsWith(".deb")
    )!.name;
  const fresh = `${CACHE}/packages/fresh`;
  // /lib, /bin and /sbin are links into /usr on the root that this is laid
  // over, which directories would hide.
  const script = `rm -rf "$2"
dpkg -x "$1" "$2"
for name in bin sbin lib lib64; do
  [ ! -d "$2/$name" ] || [ -L "$2/$name" ] || {
    mkdir -p "$2/usr/$name"
    cp -a "$2/$name/." "$2/usr/$name/"
    rm -r "$2/$name"
  }
done
cp -a "$2/." "$3/"
rm -r "$1" "$2"`;
  const laid = await run(
    ...["sh", "-euc", script, "unpack", file, fresh, root] as const,
  );
  if (laid.code !== 0) return lastLine(laid.text);
  Deno.writeTextFileSync(done, "");
  return undefined;
}

/** The version that is installed, or else would be. */
async function candidate(name: string): Promise<string> {
  const { text } = await run("apt-cache", "policy", name);
  const [, installed, newest] =
    /Installed: (\S+)\n\s*Candidate: (\S+)/.exec(text) ?? [];
  return (installed === "(none)" ? newest : installed) ?? "";
}

/** Without epoch and Debian's own part: `2:4.17.12+dfsg-0+deb12u4` is 4.17.12. */
function upstream(version: string): string {
  return version.replace(/^\d+:/, "").replace(/[+~-].*$/, "");
}

async function run(
  command: string,
  ...args: string[]
): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd: `${CACHE}/packages`,
    env: { LC_ALL: "C" },
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    text: decoder.decode(stdout) + (code === 0 ? "" : decoder.decode(stderr)),
  };
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").pop() ?? "";
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
