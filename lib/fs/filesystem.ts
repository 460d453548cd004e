/**
 * The one table of filesystems on which locks are more than a matter of this
 * kernel: the guard refuses them, the doctor explains them.
 *
 * @module
 */

/** A filesystem that isn't this kernel's alone. */
export interface Filesystem {
  /** What to call it. */
  readonly name: string;
  /** f_type of statfs(2): include/uapi/linux/magic.h unless said otherwise. */
  readonly magic: readonly number[];
  /** Its types in mountinfo, without what follows a dot. */
  readonly types: readonly string[];
  /** Why flock isn't relied on there, as a clause. */
  readonly reason: string;
  /** Of which locks of other hosts F_GETLK tells. */
  readonly tells: "all" | "fcntl" | "none";
  /** Set where a flock is a record lock unless mount options say otherwise. */
  readonly hasOneKind?: true;
}

const CLUSTER_REASON = "flock reaches other hosts only when mounted for it " +
  "(not with localflocks or without its lock service)";
const AFS_REASON = "flock locks whole files on the server under rules of " +
  "its own, and byte-range locks are local to this host";
const FUSE_REASON = "the program behind it decides what flock means, " +
  "and many keep no locks for other clients";

const FILESYSTEMS: readonly Filesystem[] = [
  {
    name: "nfs",
    tells: "all",
    hasOneKind: true,
    magic: [0x6969],
    types: ["nfs", "nfs4"],
    reason: "its client turns flock into a byte-range lock on the server or, " +
      "mounted with nolock or local_lock, keeps it to this host",
  },
  {
    name: "cifs",
    tells: "all",
    hasOneKind: true,
    // cifs, smb2 and smbfs.
    magic: [0xff534d42, 0xfe534d42, 0x517b],
    types: ["cifs", "smb3", "smbfs"],
    reason: "flock becomes a mandatory lock of the server, " +
      "or none at all when mounted with nobrl",
  },
  {
    name: "ceph",
    tells: "fcntl",
    magic: [0x00c36400], // fs/ceph/super.h
    types: ["ceph"],
    reason: "a lock is held by a session that the metadata server may end " +
      "while its holder still runs",
  },
  {
    name: "afs",
    tells: "none",
    magic: [0x5346414f, 0x6b414653],
    types: ["afs"],
    reason: AFS_REASON,
  },
  {
    // virtiofs answers statfs(2) with FUSE's number.
    name: "fuse",
    tells: "none",
    magic: [0x65735546],
    types: ["fuse", "fuseblk"],
    reason: FUSE_REASON,
  },
  {
    name: "virtiofs",
    tells: "none",
    magic: [],
    types: ["virtiofs"],
    reason: "virtiofsd keeps locks for others only when it was started with " +
      "flock and posix_lock, which can't be seen from here",
  },
  {
    // 9p2000.L answers statfs(2) with the number of the server's filesystem.
    name: "9p",
    tells: "none",
    hasOneKind: true,
    magic: [0x01021997],
    types: ["9p"],
    reason: "its server decides whether a lock reaches other clients: qemu " +
      "keeps it inside this guest, diod does not",
  },
  {
    name: "lustre",
    tells: "fcntl",
    magic: [0x0bd00bd0], // lustre/include/uapi/linux/lustre/lustre_user.h
    types: ["lustre"],
    reason: "without the flock mount option there is none, and with " +
      "localflock it is local to this host",
  },
  {
    name: "gfs2",
    tells: "fcntl",
    magic: [0x01161970],
    types: ["gfs2"],
    reason: CLUSTER_REASON,
  },
  {
    name: "ocfs2",
    tells: "fcntl",
    magic: [0x7461636f],
    types: ["ocfs2"],
    reason: CLUSTER_REASON,
  },
  {
    name: "coda",
    tells: "none",
    magic: [0x73757245], // fs/coda
    types: ["coda"],
    reason: FUSE_REASON,
  },
  // Out of the tree: IBM Storage Scale, BeeGFS, PanFS, vboxsf, VMware hgfs.
  {
    name: "gpfs",
    tells: "fcntl",
    magic: [0x47504653],
    types: ["gpfs"],
    reason: CLUSTER_REASON,
  },
  {
    name: "beegfs",
    tells: "fcntl",
    magic: [0x19830326],
    types: ["beegfs"],
    reason: CLUSTER_REASON,
  },
  {
    name: "panfs",
    tells: "fcntl",
    magic: [0xaad7aaea],
    types: ["panfs"],
    reason: CLUSTER_REASON,
  },
  {
    name: "vboxsf",
    tells: "none",
    magic: [0x786f4256],
    types: ["vboxsf"],
    reason: "flock stays inside this guest",
  },
  {
    name: "vmhgfs",
    tells: "none",
    magic: [0xbacbacbc],
    types: ["vmhgfs"],
    reason: "flock stays inside this guest",
  },
];

/** f_type of an overlay, whose layers may be anything. */
export const OVERLAYFS_MAGIC = 0x794c7630;

const BY_MAGIC = new Map(
  FILESYSTEMS.flatMap((fs) => fs.magic.map((magic) => [magic, fs] as const)),
);
const BY_TYPE = new Map(
  FILESYSTEMS.flatMap((fs) => fs.types.map((type) => [type, fs] as const)),
);

/** The row of an f_type of statfs(2); `undefined` for this kernel's own. */
export function filesystemOfMagic(magic: number): Filesystem | undefined {
  return BY_MAGIC.get(magic);
}

/**
 * The row of a type in mountinfo; `undefined` for this kernel's own.
 *
 * @param type Such as `nfs4` or `fuse.sshfs`.
 */
export function filesystemOfType(type: string): Filesystem | undefined {
  return BY_TYPE.get(type.split(".", 1)[0]!);
}

/** Every row, for those who check that nobody forgets one. */
export function allFilesystems(): readonly Filesystem[] {
  return FILESYSTEMS;
}
