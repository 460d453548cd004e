/**
 * The filesystems of the lab: how each is mounted by two clients, and where a
 * process of the server finds the same files.
 *
 * @module
 */

/** One way to mount one filesystem. */
export interface Configuration {
  /** What it is called on the command line and in the page. */
  readonly name: string;
  /** What it is run with: one command for all of a group. */
  readonly group: Group;
  /** Debian packages besides those of the machine itself. */
  readonly packages: readonly string[];
  /** The options that make the difference, for the page. */
  readonly options: string;
  /**
   * Where the server's own processes see the files: a directory that this
   * kernel serves, or that lies beneath the mount unseen; the host of the
   * virtual machine; or nowhere.
   */
  readonly server: "here" | "beneath" | "outside" | "none";
  /** What serves it; each has a directory of its own. */
  readonly service?: Service;
  /** Its two mounts show files of their own: nothing is shared. */
  readonly isApart?: true;
  /**
   * Mounts it at `$A` and `$B`. `$SERVER` is the server's directory; `on a` and
   * `on b` run a command as one of two hosts, where there are such.
   */
  readonly mount: string;
}

/** What guest.sh starts. */
export type Service = "nfs" | "smb" | "9p";

/** `here` needs no virtual machine: root and FUSE are enough. */
export type Group = "quick" | "more" | "here";

/** Every group, in the order in which they are run. */
export const GROUPS: readonly Group[] = ["quick", "more", "here"];

const NFS_PACKAGES = ["nfs-kernel-server", "nfs-common", "rpcbind"];

function nfs(version: string, options: string, group: Group): Configuration {
  const all = `vers=${version}${options === "" ? "" : `,${options}`}`;
  const path = version === "3" ? "$SERVER" : "/$NAME";
  return {
    name: `nfs${version}${options === "" ? "" : `-${options}`}`
      .replaceAll("=", "-"),
    group,
    packages: NFS_PACKAGES,
    service: "nfs",
    options: all,
    server: "here",
    mount: `on a mount -t nfs -o ${all} "$ADDRESS_A:${path}" "$A"\n` +
      `on b mount -t nfs -o ${all} "$ADDRESS_B:${path}" "$B"`,
  };
}

function cifs(name: string, options: string, group: Group): Configuration {
  return {
    name,
    group,
    packages: ["samba", "cifs-utils"],
    service: "smb",
    options,
    server: "here",
    mount: ["a", "b"].map((host) => {
      const upper = host.toUpperCase();
      return `on ${host} mount -t cifs -o guest,noperm,${options} ` +
        `"//$ADDRESS_${upper}/lab/$NAME" "$${upper}"`;
    }).join("\n"),
  };
}

function ninep(cache: string, group: Group): Configuration {
  const mount = "mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144";
  return {
    name: `9p-qemu-${cache}`,
    group,
    packages: [],
    options: `qemu, cache=${cache}`,
    server: "outside",
    mount: ["a", "b"].map((host) =>
      `${mount},cache=${cache} shared-${host} /mnt/9p-${host}\n` +
      `mount --bind "/mnt/9p-${host}/$NAME" "$${host.toUpperCase()}"`
    ).map((text, i) => `mkdir -p /mnt/9p-${"ab"[i]}\n${text}`).join("\n"),
  };
}

function virtiofs(locks: boolean): Configuration {
  const name = locks ? "virtiofs-locks" : "virtiofs";
  return {
    name,
    group: "quick",
    packages: ["qemu-system-common"],
    options: locks ? "virtiofsd -o flock -o posix_lock" : "virtiofsd",
    server: "outside",
    mount: `mount -t virtiofs ${name}-a "$A"\n` +
      `mount -t virtiofs ${name}-b "$B"`,
  };
}

/** A filesystem in user space that shows a directory of this host. */
function fuse(
  name: string,
  packages: readonly string[],
  command: (mountPoint: string) => string,
): Configuration {
  return {
    name,
    group: "here",
    packages,
    options: "",
    server: "beneath",
    mount: `${command('"$A"')}\n${command('"$B"')}`,
  };
}

const OVERLAY = 'mkdir "$1.upper" "$1.work"\nmount -t overlay -o ' +
  'lowerdir="$LOWER",upperdir="$1.upper",workdir="$1.work" overlay "$1"';

/** All of them. */
export const CONFIGURATIONS: readonly Configuration[] = [
  nfs("4.2", "", "quick"),
  nfs("3", "", "quick"),
  nfs("3", "nolock", "quick"),
  cifs("cifs", "vers=3.1.1", "quick"),
  cifs("cifs-nobrl", "vers=3.1.1,nobrl", "quick"),
  ninep("none", "quick"),
  virtiofs(false),
  virtiofs(true),
  nfs("4.0", "", "more"),
  nfs("4.1", "", "more"),
  nfs("4.2", "local_lock=all", "more"),
  nfs("4.2", "nolock", "more"),
  nfs("4.2", "soft", "more"),
  nfs("3", "local_lock=flock", "more"),
  nfs("3", "local_lock=posix", "more"),
  nfs("3", "local_lock=all", "more"),
  cifs("cifs-3.0", "vers=3.0", "more"),
  ninep("loose", "more"),
  {
    name: "9p-diod",
    group: "more",
    packages: ["diod"],
    service: "9p",
    options: "diod, cache=none",
    server: "here",
    mount: ["a", "b"].map((host) => {
      const upper = host.toUpperCase();
      return `on ${host} mount -t 9p -o trans=tcp,version=9p2000.L,` +
        `uname=root,access=user,cache=none,aname="$SERVER" ` +
        `"$ADDRESS_${upper}" "$${upper}"`;
    }).join("\n"),
  },
  {
    name: "overlay-nfs4.2",
    group: "more",
    packages: NFS_PACKAGES,
    service: "nfs",
    isApart: true,
    options: "lowerdir on NFS, upperdir local",
    server: "none",
    mount: `LOWER=/mnt/lower
mkdir -p "$LOWER"
on a mount -t nfs -o vers=4.2 "$ADDRESS_A:/$NAME" "$LOWER"
overlay() {
  ${OVERLAY.replaceAll("\n", "\n  ")}
}
overlay "$A"
overlay "$B"`,
  },
  fuse("bindfs", ["bindfs"], (at) => `bindfs "$SERVER" ${at}`),
  fuse(
    "mergerfs",
    ["mergerfs"],
    (at) => `mergerfs -o minfreespace=0 "$SERVER" ${at}`,
  ),
  fuse(
    "sshfs",
    ["sshfs", "openssh-sftp-server"],
    // No sshd: the program that it would start is started by itself.
    (at) =>
      `printf '#!/bin/sh\\nexec %s\\n' "$SFTP" >${at}.sftp
chmod +x ${at}.sftp
sshfs -o ssh_command=${at}.sftp lab:"$SERVER" ${at}`,
  ),
  {
    name: "overlay",
    group: "here",
    packages: [],
    isApart: true,
    options: "all layers local",
    server: "none",
    mount: `LOWER="$SERVER"
overlay() {
  ${OVERLAY.replaceAll("\n", "\n  ")}
}
overlay "$A"
overlay "$B"`,
  },
];
