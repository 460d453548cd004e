# Runs in the machine of nfs_vm.sh: serves NFS 4.2 and is two of its clients.
# Each case prints "CASE NAME EXITCODE", and before that its output.
export NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
mkdir -p /srv/shared /mnt/a /mnt/b /var/lib/nfs/v4recovery
mount -t tmpfs tmpfs /srv/shared
mount -t tmpfs tmpfs /tmp
mount -t nfsd nfsd /proc/fs/nfsd
echo "/srv/shared *(rw,sync,no_subtree_check,no_root_squash,fsid=0)" >/etc/exports
exportfs -ra
rpc.nfsd -N 3 4
rpc.mountd -N 3
# Each mount is a client of its own.
mount -t nfs -o vers=4.2,nosharecache 127.0.0.1:/ /mnt/a || exit
mount -t nfs -o vers=4.2,nosharecache 127.0.0.1:/ /mnt/b || exit

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
holdfast() {
  deno run -A --quiet --no-check cli/main.ts "$@"
}
# case NAME COMMAND…
case_() {
  local name=$1
  shift
  "$@" 2>&1
  echo "CASE $name $?"
}

touch /mnt/a/lock
case_ refused holdfast run /mnt/a/lock -- true
case_ both holdfast run --kind both /mnt/a/lock -- true
case_ doctor holdfast doctor /mnt/a/lock
case_ doctor-server holdfast doctor /srv/shared/lock
case_ free holdfast who /mnt/b/lock

exec 9>>/mnt/a/lock
flock 9
case_ flock-other-client holdfast run --allow-remote -n /mnt/b/lock -- true
case_ ofd-other-client holdfast run --kind ofd -n /mnt/b/lock -- true
case_ flock-server holdfast run -n --allow-remote /srv/shared/lock -- true
case_ ofd-server holdfast run --kind ofd -n /srv/shared/lock -- true
case_ who-client holdfast who /mnt/a/lock
case_ who-other-client holdfast who /mnt/b/lock
case_ who-server holdfast who /srv/shared/lock
case_ test-other-client holdfast test /mnt/b/lock
# A call that sleeps for a lock of the server's is called back.
case_ timed deno eval --no-config "
  import { acquireRecordLock } from '$PWD/mod.ts';
  const start = performance.now();
  const name = await acquireRecordLock('/mnt/b/lock', { timeoutMs: 500 })
    .catch((error) => error.name);
  console.log(name, performance.now() - start < 5000);
"
flock -u 9

touch /mnt/a/free.lock
exec 8>>/mnt/a/held.lock
flock 8
case_ gc-other-client holdfast gc --allow-remote /mnt/b
touch /mnt/a/free.lock
case_ gc-client holdfast gc --allow-remote /mnt/a
flock -u 8
case_ gc-server holdfast gc --allow-remote /srv/shared

case_ link holdfast run --kind link /mnt/a/link -- \
  deno run -A --quiet --no-check cli/main.ts run --kind link -n /mnt/b/link -- true
echo 0 >/mnt/a/count
for client in a b a b; do
  for _ in 1 2 3 4 5; do
    holdfast run --kind link -q "/mnt/$client/link" -- \
      sh -c 'n=$(cat "$0"); echo $((n + 1)) >"$0"' "/mnt/$client/count"
  done &
done
wait
case_ link-count cat /mnt/a/count
