# The first process of a machine, in the image's root: lets in whoever has the key. The way in stays
# in this network, where nothing else runs. What is built runs in a second network, the room, which
# has a loopback, and when gbuild gives it one the second network card.
b=/run/gbuild/busybox
cd /
umask 022
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

$b rmdir /lost+found
$b mkdir -p /run/sshd
$b mkdir -p -m 1777 /run/lock
$b chmod 0700 /run/gbuild/door
$b chmod 0600 /run/gbuild/door/host_key
$b ip link set lo up

# The card that leads in is told by its address, whatever the kernel calls it.
for card in /sys/class/net/*; do
    IFS= read -r address <"$card/address"
    if [ "$address" = 02:67:62:00:00:01 ]; then
        $b ip link set "${card##*/}" up
        $b ip address add 10.0.2.15/24 dev "${card##*/}"
    fi
done

: >/run/gbuild/room
$b unshare -n $b sh -c "$b ip link set lo up; $b mount --bind /proc/self/ns/net /run/gbuild/room"

$b cat >/run/gbuild/door/sshd_config <<END
HostKey /run/gbuild/door/host_key
AuthorizedKeysFile /run/gbuild/door/authorized_keys
AllowUsers root
AuthenticationMethods publickey
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
MaxStartups 100
DisableForwarding yes
PermitUserEnvironment no
PermitUserRC no
UseDNS no
PrintMotd no
LogLevel ERROR
PidFile none
END
(while :; do
    /usr/sbin/sshd -D -e -f /run/gbuild/door/sshd_config
    $b sleep 1
done) &
echo "gbuild: up"

while :; do # who loses their parent becomes our child
    wait
    $b sleep 1
done
