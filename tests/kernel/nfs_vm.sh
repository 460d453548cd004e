#!/bin/bash
# Runs a script in a virtual machine with a kernel of its own, which can serve
# and mount NFS, on this machine's root filesystem; its changes are forgotten.
#
#   nfs_vm.sh KERNEL SCRIPT
#
# KERNEL is an unpacked Debian package linux-image-*: boot/vmlinuz-* and
# lib/modules/*. Needs qemu-system-x86_64, a static busybox and kmod. What the
# script prints comes out between two lines "@@@".
set -euo pipefail
kernel=$(realpath "$1")
script=$(realpath "$2")
version=$(basename "$kernel"/lib/modules/*)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/root/{bin,mods,proc,sys,dev,host,changes,new}
cp "$(command -v busybox)" "$work/root/bin/busybox"

depmod -b "$kernel" "$version"
number=100
for module in 9p 9pnet_virtio virtio_pci overlay nfsd nfs nfsv4; do
  modprobe -d "$kernel" -S "$version" --show-depends "$module"
done | while read -r action path _; do
  [ "$action" = insmod ] || continue
  [ ! -e "$work/seen.$(basename "$path")" ] || continue
  touch "$work/seen.$(basename "$path")"
  cp "$path" "$work/root/mods/$((number++)).ko"
done

cat >"$work/root/init" <<END
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /mods/*; do insmod \$module; done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose host /host
mount -t tmpfs tmpfs /changes
mkdir /changes/upper /changes/work
mount -t overlay -o lowerdir=/host,upperdir=/changes/upper,workdir=/changes/work overlay /new
mount --bind /proc /new/proc
mount --bind /sys /new/sys
mount --bind /dev /new/dev
mount -t tmpfs tmpfs /new/run
ip link set lo up
echo @@@
HOME=$HOME PATH=$PATH chroot /new /bin/bash $script
echo @@@
poweroff -f
END
chmod +x "$work/root/init"
(cd "$work/root" && find . | busybox cpio -o -H newc 2>/dev/null) |
  gzip -1 >"$work/initrd.gz"

# Emulated: where this machine is virtual itself, KVM can't be relied on.
qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 3072 \
  -nographic -no-reboot -net none \
  -kernel "$kernel"/boot/vmlinuz-* -initrd "$work/initrd.gz" \
  -append "console=ttyS0 quiet loglevel=3 panic=-1" \
  -virtfs "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap" \
  </dev/null
