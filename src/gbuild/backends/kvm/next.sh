# The first process of a target, in its own root: lets SSH in, and ends the machine when gbuild is
# gone. The way in stays in this network, where nothing else runs; servers and all that they start
# live in a second one, which has a way out or nothing.
b=/run/gbuild/busybox
cd /
umask 022
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

if [ "${1-}" != inside ]; then
    # As many connections wait to be taken as there are l's. With "-ll" the fourth at once would be
    # lost, and tried again by the kernel for a minute.
    l=llllllllllllllll
    $b nc -$l$l$l$l -p 22 -e $b nsenter -n/proc/1/ns/net $b env -i PATH=$PATH ${persona:+$b $persona} \
        /usr/sbin/sshd -i -e -f /run/gbuild/sshd_config 3>&- 4>&- &
    door=$!
    export door
    until $b grep -qs ':0016 0*:0000 0A ' /proc/net/tcp /proc/net/tcp6; do
        $b usleep 10000
    done
    exec $b unshare -n $b sh /run/gbuild/init inside
fi

$b ip link set lo up
if [ "$network" = yes ]; then
    $b nsenter -n/proc/$door/ns/net $b ip link set eth0 netns 1
    $b ip address add 10.0.2.15/24 dev eth0
    $b ip link set eth0 up
    $b ip route add default via 10.0.2.2
fi

# Reading ends when gbuild lets go of its end of the channel, whatever the reason.
if [ "$keep" != yes ]; then
    ( $b cat <&3 >/dev/null; $b poweroff -f ) 4>&- &
fi
$b rm /run/gbuild/init /run/gbuild/setup
echo up >&3

while :; do # who loses their parent becomes our child
    wait
    $b sleep 1
done
