/**
 * A virtual machine with a kernel of its own, on this machine's root
 * filesystem, over which unpacked packages are laid. Its changes are forgotten.
 *
 * @module
 */

import { ROOT } from "../project.ts";
import { lines } from "./lines.ts";

/** What a machine is started with. */
export interface MachineOptions {
  /** Where packages are unpacked, a kernel among them. */
  packages: string;
  /** Directories of this host: by 9p under both names `shared-a` and -b. */
  shared: string;
  /** Sockets of virtiofs servers, by the name that the guest mounts. */
  virtiofs: ReadonlyMap<string, string>;
  /** What its root runs: arguments of guest.sh. */
  command: readonly string[];
}

/** What the kernel needs before it has its root. */
const FIRST_MODULES = ["virtio_pci", "9p", "9pnet_virtio", "overlay"];

const MEMORY = "1280M";

const KVM = ["-accel", "kvm", "-cpu", "host"];
const TCG = ["-accel", "tcg,thread=multi", "-cpu", "max"];
const KVM_BOOT_MS = 15_000;
/* Half a minute on two idle cores. */
const TCG_BOOT_MS = 300_000;

/**
 * Starts a machine: by KVM where that works, which no other way tells, since
 * on a host that is virtual itself it may hang; emulated otherwise.
 */
export async function startMachine(options: MachineOptions): Promise<Machine> {
  const accelerator = await hasKvm(options) ? KVM : TCG;
  const machine = await Machine.start(options, accelerator);
  if (await machine.isUp(TCG_BOOT_MS)) return machine;
  const { console } = machine;
  await machine[Symbol.asyncDispose]();
  throw new Error(`The machine doesn't start:\n${console}`);
}

async function hasKvm(options: MachineOptions): Promise<boolean> {
  if (!canOpen("/dev/kvm")) return false;
  // A server of virtiofs serves one machine only.
  const trial = { ...options, virtiofs: new Map(), command: ["--", "true"] };
  await using machine = await Machine.start(trial, KVM);
  return await machine.isUp(KVM_BOOT_MS);
}

/** A machine that runs. */
export class Machine implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #directory: string;
  /** What its command prints, line by line. */
  readonly said: AsyncGenerator<string>;

  private constructor(child: Deno.ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
    this.said = lines(child.stdout);
  }

  /** Starts it; its command is heard of later. */
  static async start(
    options: MachineOptions,
    accelerator: readonly string[],
  ): Promise<Machine> {
    const directory = Deno.makeTempDirSync({ prefix: "holdfast-lab-" });
    const kernel = await prepare(options, directory);
    const child = new Deno.Command("qemu-system-x86_64", {
      args: [...accelerator, ...qemuArgs(options, kernel, directory)],
      stdin: "null",
      stdout: "piped",
      stderr: accelerator === KVM ? "null" : "inherit",
    }).spawn();
    return new Machine(child, directory);
  }

  /** Whether it says that it is up before the time is. */
  async isUp(withinMs: number): Promise<boolean> {
    const timer = setTimeout(() => this.end(), withinMs);
    const { value, done } = await this.said.next();
    clearTimeout(timer);
    return !done && value.startsWith("up after ");
  }

  /** Cuts its power. */
  end(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }

  /** What its kernel and its servers have said: for when something fails. */
  get console(): string {
    try {
      return Deno.readTextFileSync(`${this.#directory}/console`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "nothing";
      throw error;
    }
  }

  /** Switches it off. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
    await this.#child.status;
    await this.said.return(undefined);
    Deno.removeSync(this.#directory, { recursive: true });
  }
}

/** Makes the first filesystem; gives the path of the kernel. */
async function prepare(
  { packages, command }: MachineOptions,
  directory: string,
): Promise<string> {
  const kernel = [...Deno.readDirSync(`${packages}/boot`)]
    .map(({ name }) => name).filter((name) => name.startsWith("vmlinuz-"))
    .sort().pop()!;
  Deno.writeTextFileSync(`${directory}/init`, initScript(command));
  const { success, stderr } = await new Deno.Command("bash", {
    args: ["-euo", "pipefail", "-c", PREPARE, "prepare"],
    cwd: directory,
    env: {
      PACKAGES: packages,
      VERSION: kernel.slice("vmlinuz-".length),
      MODULES: FIRST_MODULES.join(" "),
    },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new Error(`No machine: ${new TextDecoder().decode(stderr)}`);
  }
  return `${packages}/boot/${kernel}`;
}

/* modprobe looks below lib/modules, which is usr/lib/modules here. */
const PREPARE = `
mkdir -p root/{bin,sbin,mods,proc,sys,dev,host,packages,changes,new} base
ln -s "$PACKAGES/usr/lib" base/lib
[ -e "$PACKAGES/usr/lib/modules/$VERSION/modules.dep" ] ||
  depmod -b base "$VERSION"
cp "$(command -v busybox)" root/bin/busybox
number=100
for module in $MODULES; do
  modprobe -d "$PWD/base" -S "$VERSION" --show-depends "$module"
done | while read -r action path _; do
  [ "$action" = insmod ] || continue
  [ ! -e "seen.\${path##*/}" ] || continue
  touch "seen.\${path##*/}"
  cp "$path" "root/mods/$((number++)).ko"
done
cp init root/init
# What the kernel calls for a module that it lacks, on the root that it knows.
printf '#!/bin/sh\\nexec chroot /new /sbin/modprobe "$@"\\n' >root/sbin/modprobe
chmod +x root/init root/sbin/modprobe
(cd root && find . | busybox cpio -o -H newc) | gzip -1 >initrd.gz
`;

function initScript(command: readonly string[]): string {
  const run = ["bash", `${ROOT}/tools/lab/guest.sh`, ...command]
    .map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const home = Deno.env.get("HOME") ?? "/root";
  return `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /mods/*; do insmod $module; done
options=trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose
mount -t 9p -o $options host /host
mount -t 9p -o $options packages /packages
mount -t tmpfs tmpfs /changes
mkdir /changes/upper /changes/work
mount -t overlay -o lowerdir=/packages:/host,upperdir=/changes/upper,\
workdir=/changes/work overlay /new
mount --rbind /proc /new/proc
mount --rbind /sys /new/sys
mount --rbind /dev /new/dev
mount -t tmpfs tmpfs /new/run
ip link set lo up
HOME=${home} PATH=${Deno.env.get("PATH")} chroot /new ${run}
echo "ended with $?"
poweroff -f
`;
}

function qemuArgs(
  { packages, shared, virtiofs }: MachineOptions,
  kernel: string,
  directory: string,
): string[] {
  const share = (path: string, tag: string, readOnly: boolean) => [
    "-virtfs",
    `local,path=${path},mount_tag=${tag},security_model=none,` +
    `readonly=${readOnly ? "on" : "off"},multidevs=remap`,
  ];
  return [
    ...["-smp", "2", "-m", MEMORY, "-machine", "q35,memory-backend=memory"],
    ...["-object", `memory-backend-memfd,id=memory,size=${MEMORY},share=on`],
    ...["-display", "none", "-no-reboot", "-net", "none"],
    ...["-serial", `file:${directory}/console`, "-serial", "stdio"],
    ...["-kernel", kernel, "-initrd", `${directory}/initrd.gz`],
    ...["-append", "console=ttyS0 quiet loglevel=3 panic=-1"],
    ...share("/", "host", true),
    ...share(packages, "packages", true),
    ...share(shared, "shared-a", false),
    ...share(shared, "shared-b", false),
    ...[...virtiofs].flatMap(([tag, socket], i) => [
      ...["-chardev", `socket,id=virtiofs${i},path=${socket}`],
      ...["-device", `vhost-user-fs-pci,chardev=virtiofs${i},tag=${tag}`],
    ]),
  ];
}

function canOpen(path: string): boolean {
  try {
    Deno.openSync(path, { read: true, write: true }).close();
    return true;
  } catch {
    return false;
  }
}
