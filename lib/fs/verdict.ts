/**
 * What each kind of lock is worth on each filesystem, and between whom.
 *
 * Pure: facts in, judgement out. The facts come from `doctor.ts`.
 *
 * @module
 */

import type { MountInfo } from "../proc/mountinfo.ts";
import { EXPORTED, type ExportProtocol } from "./exported.ts";
import { filesystemOfType } from "./filesystem.ts";

/** The kinds of lock that holdfast takes. */
export type TrustKind = "flock" | "posix" | "ofd" | "link";

/** Every kind, in the order of reports. */
export const TRUST_KINDS: readonly TrustKind[] = [
  "flock",
  "posix",
  "ofd",
  "link",
];

/**
 * Whom a lock must keep apart. `host`: processes of this host. `clients`: this
 * host and others that mount the same storage. `server`: a file server's own
 * processes and its clients.
 */
export type TrustScope = "host" | "clients" | "server";

/** Whether a lock excludes; `depends` when it can't be told from here. */
export type Trust = "yes" | "no" | "depends";

/** What a kind of lock is worth between some parties. */
export interface TrustEntry {
  /** Whether it excludes. */
  trust: Trust;
  /** Why, as a clause. */
  reason: string;
  /** Set where it excludes as long as this host reaches the server. */
  whileReachable?: true;
}

/** By kind, then by the parties there are on this filesystem. */
export type TrustTable = Record<
  TrustKind,
  Partial<Record<TrustScope, TrustEntry>>
>;

const yes = (reason: string): TrustEntry => ({ trust: "yes", reason });
const no = (reason: string): TrustEntry => ({ trust: "no", reason });
const depends = (reason: string): TrustEntry => ({ trust: "depends", reason });

const KERNEL = yes("the kernel of this host decides");
const ATOMIC_LINK = yes("link(2) is atomic here");

/** What bears on a lock and isn't told by its mount. */
export interface JudgeContext {
  /** How this host serves the file to others; absent when it doesn't. */
  exportedBy?: ExportProtocol | undefined;
  /** The types of the filesystems that an overlay's layers are on. */
  layers?: readonly string[] | undefined;
}

/** What is read of a mount. */
type MountFacts = Parameters<typeof judgeFilesystem>[0];

/** Filesystems of the kernel's own, in which nobody can make a file. */
const PSEUDO = new Set([
  ...["proc", "sysfs", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs"],
  ...["bpf", "devpts", "configfs", "pstore", "efivarfs", "selinuxfs", "nsfs"],
  ...["binfmt_misc", "fusectl", "rpc_pipefs", "nfsd", "autofs", "mqueue"],
]);

/**
 * Judges every kind of lock on a filesystem.
 *
 * @param mount The mount the file is on.
 * @param context `exportedBy`: how this host serves the file to others;
 * `layers`: the types of what an overlay is made of.
 * @returns What each kind is worth between the parties that exist.
 *
 * @example
 * ```ts
 * import { parseMountinfo } from "../proc/mountinfo.ts";
 * import { judgeFilesystem } from "./verdict.ts";
 *
 * const [mount] = parseMountinfo("36 1 0:9 / /n rw - nfs4 srv:/ rw,vers=4.2\n");
 * console.log(judgeFilesystem(mount!).flock.server?.trust); // no
 * ```
 */
export function judgeFilesystem(
  mount: Pick<MountInfo, "fsType" | "superOptions" | "mountOptions">,
  context: JudgeContext = {},
): TrustTable {
  const options = optionsOf(mount);
  const [type, subtype] = splitOnce(mount.fsType, ".");
  switch (type) {
    case "nfs":
    case "nfs4":
      return judgeNfs(mount);
    case "cifs":
    case "smb3":
      return judgeSmb(options);
    case "ceph":
      return everywhere(
        yes("the metadata server keeps the locks of all clients"),
        depends(
          "the metadata server ends the locks of a client that it can't reach",
        ),
        depends("hard links are atomic on the metadata server"),
      );
    case "fuse":
    case "fuseblk":
      return judgeFuse(subtype);
    case "9p":
      return judgeShared(
        "qemu keeps the locks inside this guest, diod shares them with its " +
          "clients; which of them is at the other end can't be seen from here",
      );
    case "virtiofs":
      return judgeShared(
        "virtiofsd keeps them inside this guest unless it was started with " +
          "flock and posix_lock, which can't be seen from here",
      );
    case "vboxsf":
    case "vmhgfs":
      return everywhere(
        KERNEL,
        no("the locks stay inside this guest"),
        depends("the host's filesystem decides"),
      );
    case "afs":
    case "coda":
      return everywhere(
        KERNEL,
        no("byte ranges are not locked on the server"),
        depends("links between directories are refused, in one they may work"),
      );
    case "lustre":
      return judgeLustre(options);
    case "gfs2":
    case "ocfs2":
      return options.has("localflocks")
        ? everywhere(KERNEL, no("mounted with localflocks"), ATOMIC_LINK)
        : everywhere(
          KERNEL,
          depends("the cluster's lock manager must run"),
          ATOMIC_LINK,
        );
    case "overlay":
      return judgeOverlay(context);
  }
  if (PSEUDO.has(type)) {
    const never = no(`no lock file can be made in ${type}`);
    return {
      flock: { host: never },
      posix: { host: never },
      ofd: { host: never },
      link: { host: never },
    };
  }
  const { reason } = filesystemOfType(type) ?? {};
  return reason === undefined ? judgeLocal(context.exportedBy) : everywhere(
    KERNEL,
    depends(reason),
    depends("the filesystem must make links atomically"),
  );
}

/** A directory of a host, seen by guests whose server decides. */
function judgeShared(reason: string): TrustTable {
  const elsewhere = depends(reason);
  const kinds = { host: KERNEL, clients: elsewhere, server: elsewhere };
  const link = yes("the server makes the link on its own disk, once");
  return {
    flock: kinds,
    posix: kinds,
    ofd: kinds,
    link: { host: ATOMIC_LINK, clients: link, server: link },
  };
}

function judgeOverlay({ layers = [], exportedBy }: JudgeContext): TrustTable {
  const remote = layers.find((type) => filesystemOfType(type) !== undefined);
  if (remote === undefined) return judgeLocal(exportedBy);
  return everywhere(
    KERNEL,
    no(`the locks stay on this overlay, though ${remote} lies beneath it`),
    no("what is made here stays in the upper layer of this overlay"),
  );
}

/** Host and clients alike for flock, posix and ofd; link between clients. */
function everywhere(
  host: TrustEntry,
  clients: TrustEntry,
  linkClients: TrustEntry,
): TrustTable {
  return {
    flock: { host, clients },
    posix: { host, clients },
    ofd: { host, clients },
    link: { host: ATOMIC_LINK, clients: linkClients },
  };
}

function judgeLocal(exportedBy: ExportProtocol | undefined): TrustTable {
  if (exportedBy === undefined) {
    return {
      flock: { host: KERNEL },
      posix: { host: KERNEL },
      ofd: { host: KERNEL },
      link: { host: ATOMIC_LINK },
    };
  }
  const server = no(`this host exports the path: ${EXPORTED[exportedBy]}`);
  const record = {
    host: KERNEL,
    server: exportedBy === "nfs"
      ? depends(
        "a client's lock is a POSIX lock on this server, unless the client " +
          "mounts with nolock or local_lock",
      )
      : server,
  };
  return {
    flock: { host: KERNEL, server },
    posix: record,
    ofd: record,
    link: { host: ATOMIC_LINK, server: ATOMIC_LINK },
  };
}

/** Which locks an NFS client keeps to its host. */
export interface LocalLocks {
  /** Those of flock(2). */
  flock: boolean;
  /** POSIX and OFD locks. */
  record: boolean;
}

/**
 * Which locks of an NFS mount never reach the server, as nfs(5) has it. What
 * does is one kind of lock there, whatever it was on the client.
 */
export function localLocksOfNfs(mount: MountFacts): LocalLocks {
  const options = optionsOf(mount);
  // NFSv4 has no locking of its own beside the server's: its client ignores
  // both options.
  if (versionOfNfs(mount).startsWith("4")) {
    return { flock: false, record: false };
  }
  const local = optionValue(options, "local_lock") ??
    (options.has("nolock") ? "all" : "none");
  return {
    flock: local === "all" || local === "flock",
    record: local === "all" || local === "posix",
  };
}

function versionOfNfs(mount: MountFacts): string {
  return optionValue(optionsOf(mount), "vers") ??
    (mount.fsType === "nfs4" ? "4" : "3");
}

function judgeNfs(mount: MountFacts): TrustTable {
  const options = optionsOf(mount);
  const version = versionOfNfs(mount);
  const local = localLocksOfNfs(mount);
  const isSoft = options.has("soft") || options.has("softerr");
  const setting = optionValue(options, "local_lock");
  const mountedLocal = no(
    options.has("nolock")
      ? "mounted with nolock: locks stay on this host"
      : `mounted with local_lock=${setting}: locks stay on this host`,
  );
  const onServer = isSoft
    ? depends("mounted soft: a lock call can fail when the server is slow")
    : version.startsWith("4")
    ? {
      ...depends(
        `NFSv${version} keeps the lock on the server, which gives it to ` +
          "others when this client is cut off for longer than its lease; " +
          "run ends its command before that",
      ),
      whileReachable: true as const,
    }
    : depends("NFSv3 needs lockd and statd on client and server");
  const record = {
    host: KERNEL,
    clients: local.record ? mountedLocal : onServer,
    server: local.record ? mountedLocal : onServer,
  };
  return {
    flock: {
      host: KERNEL,
      clients: local.flock ? mountedLocal : onServer,
      server: local.flock ? mountedLocal : no(
        "the client's flock is a POSIX lock on the server, which the " +
          "server's own flock doesn't see",
      ),
    },
    posix: record,
    ofd: record,
    link: {
      host: ATOMIC_LINK,
      clients: yes("the server makes links atomically"),
      server: yes("the server makes links atomically"),
    },
  };
}

function judgeSmb(options: ReadonlySet<string>): TrustTable {
  const clients = options.has("nobrl")
    ? no("mounted with nobrl: locks stay on this host")
    : depends("locks become mandatory byte-range locks of the server");
  const server = no("a process of the server itself doesn't see the lock");
  const kinds = { host: KERNEL, clients, server };
  const link = depends("the server must support hard links");
  return {
    flock: kinds,
    posix: kinds,
    ofd: kinds,
    link: { host: link, clients: link, server: link },
  };
}

/** FUSE programs known to keep locks inside this host. */
const LOCAL_FUSE = new Set([
  "sshfs",
  "rclone",
  "s3fs",
  "gcsfuse",
  "curlftpfs",
]);

function judgeFuse(subtype: string | undefined): TrustTable {
  const clients = subtype !== undefined && LOCAL_FUSE.has(subtype)
    ? no(`${subtype} sends no locks to the other side`)
    : depends("the program behind the mount decides whether locks leave it");
  const table = everywhere(
    depends(
      "through this mount the kernel or the program behind it decides; " +
        "a process that uses the storage beneath may not see the lock",
    ),
    clients,
    depends("the program behind the mount must make links atomically"),
  );
  table.link.host = depends(
    "the program behind the mount must make links atomically",
  );
  return table;
}

function judgeLustre(options: ReadonlySet<string>): TrustTable {
  const clients = options.has("flock")
    ? yes("mounted with flock: locks are coherent between clients")
    : options.has("localflock")
    ? no("mounted with localflock")
    : no("mounted without flock");
  const host = options.has("flock") || options.has("localflock")
    ? KERNEL
    : no("mounted without flock: lock calls fail");
  return everywhere(host, clients, yes("the metadata server makes links"));
}

/** The options of a mount and of its superblock. */
export function optionsOf(mount: MountFacts): ReadonlySet<string> {
  return new Set([...mount.mountOptions, ...mount.superOptions]);
}

function optionValue(
  options: ReadonlySet<string>,
  name: string,
): string | undefined {
  for (const option of options) {
    const [key, value] = splitOnce(option, "=");
    if (key === name) return value;
  }
  return undefined;
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
