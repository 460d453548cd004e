# The first program of the lab's machine that has its whole root: makes two
# hosts with networks of their own, starts the file servers, and runs what it
# is told to. What that prints goes to the second serial line.
#
#   guest.sh NAME[=ARGUMENT]… -- COMMAND…
set -eu
trap 'echo "guest.sh: line $LINENO: exit code $?" >&2' ERR
export NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
export ADDRESS_A=10.0.1.1 ADDRESS_B=10.0.2.1
served=/srv/lab
mkdir -p $served /mnt/lab /run/netns /run/rpcbind /run/host-a /run/host-b
mount -t tmpfs tmpfs $served
mkdir $served/nfs $served/smb $served/9p
mount -t tmpfs tmpfs /mnt/lab
mount --make-rshared /
stty -F /dev/ttyS1 raw
echo "up after $(cut -d' ' -f1 /proc/uptime) s, Linux $(uname -r)" >/dev/ttyS1

make_host() {
  ip netns add "$1"
  ip link add "to-$1" type veth peer name eth0 netns "$1"
  ip address add "$2/24" dev "to-$1"
  ip link set "to-$1" up
  ip -n "$1" address add "${2%.1}.2/24" dev eth0
  ip -n "$1" link set eth0 up
  ip -n "$1" link set lo up
}

# Nobody is to be asked for names: statd looks for those of its peers.
printf '127.0.0.1 localhost\n%s host-a\n%s host-b\n' 10.0.1.2 10.0.2.2 >/etc/hosts
echo 'hosts: files' >/etc/nsswitch.conf

# What NFSv3 needs beside its client: each host has its own. The kernel looks
# for rpcbind in /run of whoever mounts; see `on` in agent.ts.
start_statd() {
  mkdir -p "/run/host-$1/rpcbind"
  nsenter --net="/run/netns/$1" unshare --mount --uts sh -euc '
    hostname "$0"
    mount --bind "/run/$0" /run
    mount -t tmpfs tmpfs /var/lib/nfs
    mkdir /var/lib/nfs/sm /var/lib/nfs/sm.bak
    rpcbind
    rpc.statd --no-notify
  ' "host-$1"
}

serve_nfs() {
  mkdir -p /var/lib/nfs/v4recovery
  mount -t nfsd nfsd /proc/fs/nfsd
  echo "$served/nfs *(rw,sync,no_subtree_check,no_root_squash,fsid=0)" >/etc/exports
  rpcbind
  rpc.statd --no-notify
  exportfs -ra
  rpc.nfsd --lease-time "$lease" --grace-time "$lease" 4
  rpc.mountd
  start_statd a
  start_statd b
}

serve_smb() {
  mkdir -p /etc/samba /run/samba /var/lib/samba/private /var/cache/samba \
    /var/log/samba
  cat >/etc/samba/smb.conf <<END
[global]
  server role = standalone server
  map to guest = bad user
  guest account = root
  load printers = no
  disable spoolss = yes
[lab]
  path = $served/smb
  guest ok = yes
  force user = root
  read only = no
END
  smbd --daemon
}

serve_9p() {
  diod --listen 0.0.0.0:564 --no-auth --export $served/9p
}

lease=10
for module in fuse veth; do modprobe $module; done
make_host a $ADDRESS_A
make_host b $ADDRESS_B
while [ "$1" != -- ]; do
  case $1 in
    nfs)
      # Its grace time would be 50 s.
      modprobe lockd nlm_grace_period=$lease
      modprobe -a nfsd nfs nfsv3 nfsv4
      serve_nfs
      ;;
    smb) modprobe cifs; serve_smb ;;
    9p) modprobe -a 9p 9pnet_fd; serve_9p ;;
    virtiofs) modprobe virtiofs ;;
  esac >&2
  shift
done
shift
exec "$@" >/dev/ttyS1
