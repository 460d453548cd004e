/**
 * Two hosts in one machine.
 *
 * Each is a network namespace with a name and /run of its own, so that a server
 * takes them for two. What they mount is seen by all: only /run isn't shared.
 * In the room without a machine there are no hosts.
 *
 * @module
 */

/** For bash: `on a COMMAND…` and `on b COMMAND…`. */
export const HOSTS = `PATH=$PATH:\${PACKAGES-}/usr/bin
SFTP=/usr/lib/openssh/sftp-server
[ -x "$SFTP" ] || SFTP=\${PACKAGES-}$SFTP
on() {
  local host=$1
  shift
  nsenter --net="/run/netns/$host" \\
    unshare --uts --mount --propagation unchanged sh -euc '
      hostname "$0"
      mount --make-private /run
      mount --bind "/run/$0" /run
      exec "$@"
    ' "host-$host" "$@"
}`;
