#!/bin/busybox sh
# The first process of a target: reaches its devices, says "ready" on the channel to gbuild, waits
# for the order, and becomes the target's init. Nothing in here is secret or belongs to one target:
# a machine may be saved while it waits, and restored many times.
b=/bin/busybox

fail() {
    echo "failed: $*" >&3
    echo "gbuild: $*"
    $b sleep 1
    $b poweroff -f
}

# Wait until something succeeds, two minutes and more.
await() {
    tries=12000
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        $b usleep 10000
    done
}

# A port has its node a moment before it can be opened.
opens() {
    [ -c "$1" ] && (: <>"$1") 2>/dev/null
}

devices() {
    $b mount -t devtmpfs dev /dev
    $b mount -t proc proc /proc
    $b mount -t sysfs sys /sys
    for module in /early/*.ko; do
        $b insmod "$module" || echo "gbuild: $module does not load"
    done
    await opens /dev/vport0p1
    exec 3<>/dev/vport0p1
    await test -b /dev/vda || fail "no disk"
}

# The way in is the first interface, and leads nowhere else.
door() {
    $b ip link set lo up
    $b ip link set eth0 name ssh0
    $b ip address add 169.254.200.15/24 dev ssh0
    $b ip link set ssh0 up
}

# What every target's root gets, made before the machine is saved.
furniture() {
    $b mkdir -p /new/proc /new/sys /new/run /new/dev
    $b mount -t proc -o nosuid,nodev,noexec proc /new/proc
    $b mount -t sysfs -o ro,nosuid,nodev,noexec sys /new/sys
    $b mount -t tmpfs -o nosuid,nodev,mode=755 run /new/run
    $b mkdir -p /new/run/gbuild /new/run/sshd
    $b mkdir -m 1777 /new/run/lock
    $b cp $b /next /new/run/gbuild
    $b mv /new/run/gbuild/next /new/run/gbuild/init
    $b mount -t tmpfs -o nosuid,noexec,mode=755,size=64k dev /new/dev
    cd /new/dev || fail "no devices"
    umask 000
    $b mknod null c 1 3
    $b mknod zero c 1 5
    $b mknod full c 1 7
    $b mknod random c 1 8
    $b mknod urandom c 1 9
    $b mknod tty c 5 0
    umask 022
    $b ln -s /proc/self/fd fd
    $b ln -s fd/0 stdin
    $b ln -s fd/1 stdout
    $b ln -s fd/2 stderr
    $b ln -s pts/ptmx ptmx
    $b mkdir pts shm
    $b mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=666,mode=620 devpts pts
    $b mount -t tmpfs -o nosuid,nodev,mode=1777 shm shm
    cd /
}

# One "name=value" a line; "go" ends them. Without a listener the channel reads as empty.
order() {
    while :; do
        if IFS= read -r line <&3; then
            case $line in
                go) return ;;
                date=* | seed=* | bytes=* | root=* | room=* | files=* | tasks=* | keep=* | persona=* | network=*)
                    eval "${line%%=*}=\${line#*=}" ;;
                *) fail "an order that is not known here: $line" ;;
            esac
        else
            $b usleep 10000
        fi
    done
}

# The random pool was as empty as at a cold start until now: what is restored twice differs here.
awaken() {
    $b date -u -s "@$date" >/dev/null
    $b hwclock -u -w || echo "gbuild: there is no clock of hardware"
    echo "$seed" >/dev/urandom
    for module in /late/*.ko; do
        $b insmod "$module"
    done
    [ "$network" = no ] || await test -e /sys/class/net/eth0 || fail "no way out"
}

root() {
    $b mount -t ext4 -o "$root,noinit_itable" /dev/vda /root || fail "the disk cannot be mounted"
    $b rmdir /root/lost+found
    for place in proc sys run dev; do
        $b mount --move /new/$place /root/$place || fail "the image has no /$place"
    done
}

# What may be written: the rest of the disk is held by a file that has no name.
room() {
    [ -n "$room" ] || return
    set -- $($b stat -f -c '%a %S' /root)
    fill=$(($1 * $2 - room))
    [ $fill -gt 0 ] || return
    exec 4>/root/.room
    $b rm /root/.room
    $b fallocate -l "$fill" /proc/self/fd/4 || fail "the disk cannot be limited"
}

# How many threads the kernel itself has, with some room for more.
running() {
    set -- /proc/[0-9]*
    echo $(($# + 20))
}

guest() {
    $b head -c "$bytes" <&3 >/guest.tar
    $b tar -x -p -f /guest.tar -C /root || fail "the guest's files cannot be unpacked"
    $b chroot /root /bin/sh /run/gbuild/setup || fail "the guest's account cannot be made"
    [ -x /root/usr/sbin/sshd ] || fail "the image has no SSH server"
    $b hostname -F /root/etc/hostname
    [ -z "$tasks" ] || echo $((tasks + $(running))) >/proc/sys/kernel/threads-max
    [ -z "$files" ] || ulimit -n "$files"
}

# Go on from the target's own root, with nothing of this one left.
leave() {
    $b umount /sys
    $b umount /proc
    $b umount -l /dev
    export keep persona network
    exec $b switch_root /root /run/gbuild/busybox sh /run/gbuild/init
}

umask 022
devices
door
furniture
echo ready >&3
order
for step in awaken root room guest; do
    echo "gbuild: $step" >/dev/console
    $step
done
leave
