#!/bin/busybox sh
# The first process of a machine that was made from an image: reaches its disk, mounts the image's
# file system and goes on there with next.sh. What lies in /keys lets its owner in.
b=/bin/busybox

fail() {
    echo "gbuild: $*"
    $b sleep 5
    $b poweroff -f
}

umask 022
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
for module in /early/*.ko; do
    $b insmod "$module" || echo "gbuild: $module does not load"
done
tries=6000
until [ -b /dev/sda2 ]; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || fail "no disk"
    $b usleep 20000
done
$b mount -t ext4 -o nodev,noinit_itable /dev/sda2 /root || fail "the disk cannot be mounted"
cd /root || fail "no root"
$b mount -t proc -o nosuid,nodev,noexec proc proc
$b mount -t sysfs -o ro,nosuid,nodev,noexec sys sys
$b mount -t tmpfs -o nosuid,nodev,mode=755 run run
$b mount --move /dev dev || fail "the image has no /dev"
for link in fd:/proc/self/fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
    $b ln -s "${link#*:}" "dev/${link%%:*}"
done
$b mkdir -p dev/pts dev/shm run/gbuild run/gbuild/door
$b mount -t devpts -o nosuid,noexec,mode=620,ptmxmode=666 devpts dev/pts
$b rm -f dev/ptmx
$b ln -s pts/ptmx dev/ptmx
$b mount -t tmpfs -o nosuid,nodev,mode=1777 shm dev/shm
$b cp $b /next run/gbuild
$b mv run/gbuild/next run/gbuild/init
$b cp /keys/* run/gbuild/door
$b umount /sys
$b umount /proc
exec $b switch_root /root /run/gbuild/busybox sh /run/gbuild/init || fail "no way on"
