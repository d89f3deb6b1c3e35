# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The network with the host's own engines: dockerd as systemd runs it, with its packet filter rules; Podman with
# netavark and aardvark-dns.

# shellcheck source=test/e2e/net.bash
source "$here/net.bash"

make_image_root() {
  local applet
  mkdir -p "$1"/{bin,proc,sys,dev,tmp,etc}
  cp /bin/busybox "$1/bin/"
  for applet in sh ip ping nc cat sleep nslookup md5sum ls echo wget head; do ln -sf busybox "$1/bin/$applet"; done
  copy_net_tool "$1"
}

# Had Docker to switch forwarding on itself, it would drop all that is forwarded and not its own: containers of a
# Podman network then do not reach each other, whatever their runtime.
start_engines() {
  sysctl -q -w net.ipv4.ip_forward=1
  mkdir -p /etc/docker
  printf '{"runtimes": {"husk": {"path": "%s"}}}\n' "$HUSK" >/etc/docker/daemon.json
  systemctl start docker || exit 1
  at_end 'docker ps -aq | xargs -r docker rm -f; docker network rm -f both; systemctl stop docker docker.socket; ip link del docker0'
  at_end 'podman rm --all --force --time 0; podman network rm -f named; podman rmi --all --force'
  make_image_root "$work/image" || exit 1
  tar -C "$work/image" -c . | docker import - box >/dev/null || exit 1
  tar -C "$work/image" -c . | podman import - box >/dev/null || exit 1
}

docker_husk() { docker "$1" --runtime husk "${@:2}"; }
podman_husk() { podman --runtime "$HUSK" "$@"; }

# Answers each line on TCP port 7 with itself.
echo_server='while true; do nc -l -p 7 -e cat; done'

docker_default() {
  expect_ok docker_husk run --rm box ip -4 addr show dev eth0
  expect_contains "inet 172.17.0." "$out" "the address"
  docker_husk run -d --name published -p 8080:80 box sh -c 'while true; do echo hello | nc -l -p 80; done' >/dev/null
  eventually 20 eval '[[ $(timeout 5 busybox nc 127.0.0.1 8080 </dev/null) == hello ]]'
  expect_ok docker exec published ping -c 1 172.17.0.1
  # As kubectl port-forward ends up doing.
  expect_equal hello "$(nsenter -t "$(docker inspect -f '{{.State.Pid}}' published)" -n timeout 20 busybox nc 127.0.0.1 80 </dev/null)" "localhost, from the host"
  docker rm -f published >/dev/null
  expect_ok docker_husk run --rm --network none box ls /sys/class/net
  expect_equal lo "$out" "the devices without a network"
}

docker_names() {
  docker network create both >/dev/null
  docker_husk run -d --network both --name one box sh -c "$echo_server" >/dev/null
  docker run -d --network both --name plain box sh -c "$echo_server" >/dev/null
  expect_ok docker_husk run --rm --network both box sh -c 'echo to-one | nc one 7; echo to-plain | nc plain 7'
  expect_equal $'to-one\nto-plain' "$out" "what the others answer"
  expect_ok docker exec plain sh -c 'echo back | nc one 7'
  expect_equal back "$out" "what husk's answers"
  docker network connect bridge one
  eventually 20 docker exec one ls /sys/class/net/eth1
  docker network disconnect bridge one
  eventually 20 eval '! docker exec one ls /sys/class/net/eth1'
  docker rm -f one plain >/dev/null
}

# In one VM, whoever of them stays. virtiofsd has to see files that came when it ran already.
joined() {  # ENGINE
  local engine=$1
  "${engine}_husk" run -d --name one box sh -c "$echo_server" >/dev/null
  "${engine}_husk" run -d --name joined --network container:one box sleep 1000 >/dev/null
  expect_equal "$("$engine" exec one cat /proc/sys/kernel/random/boot_id)" "$("$engine" exec joined cat /proc/sys/kernel/random/boot_id)" "the kernel"
  expect_ok "$engine" exec joined sh -c 'echo to-one | nc 127.0.0.1 7; echo written >/file'
  expect_equal to-one "$out" "what the other answers on localhost"
  "$engine" restart -t 0 joined >/dev/null
  expect_ok "$engine" exec joined sh -c 'cat /file; echo again | nc 127.0.0.1 7'
  expect_equal $'written\nagain' "$out" "after a restart"
}

docker_joined() {
  local pid
  joined docker
  docker rm -f one >/dev/null
  expect_ok docker exec joined cat /file
  pid=$(pgrep -f '^[^ ]*qemu-system-x86_64 .*guest=husk-')
  expect_contains "docker-$(docker inspect -f '{{.Id}}' joined).scope" "$(cat "/proc/$pid/cgroup")" "cgroup of QEMU"
  docker rm -f joined >/dev/null
}

podman_joined() {
  joined podman
  # One after the other: Podman removes none that others depend on.
  podman rm -f --time 0 joined >/dev/null
  podman rm -f --time 0 one >/dev/null
}

podman_default() {
  expect_ok podman_husk run --rm box ip -4 addr show dev eth0
  expect_contains "inet 10.88.0." "$out" "the address"
  podman_husk run -d --name published -p 8081:80 box sh -c 'while true; do echo hello | nc -l -p 80; done' >/dev/null
  eventually 20 eval '[[ $(timeout 5 busybox nc 127.0.0.1 8081 </dev/null) == hello ]]'
  podman rm -f --time 0 published >/dev/null
}

podman_reaches() {  # FROM TO
  local v4 v6
  v4=$(podman inspect -f '{{.NetworkSettings.Networks.named.IPAddress}}' "$2")
  v6=$(podman inspect -f '{{.NetworkSettings.Networks.named.GlobalIPv6Address}}' "$2")
  expect_ok podman exec "$1" /net_tool get "$2" 7000 + udp "$2" 7000 1000 + get "$v4" 7000 + udp "$v4" 7000 1000 + \
    get "$v6" 7000 + udp "$v6" 7000 1000
  expect_match "^$served"$'\n''1000 bytes from [0-9a-f.:]+'$'\n'"$served"$'\n''1000 bytes from 10\.97\.0\.[0-9]+'$'\n'"$served"$'\n''1000 bytes from fd97::[0-9a-f]+$' \
    "$out" "TCP and UDP, by the name, over IPv4 and over IPv6, from $1 to $2"
}

podman_names() {
  local serve=(--network named box /net_tool serve 7000 /bin/busybox) served
  served=$("$here/net_tool" sum /bin/busybox)
  podman network create --ipv6 --subnet 10.97.0.0/24 --subnet fd97::/64 named >/dev/null
  podman_husk run -d --name one -p 8082:7000/tcp -p 8082:7000/udp "${serve[@]}" >/dev/null
  podman_husk run -d --name two --cap-add NET_RAW "${serve[@]}" >/dev/null  # for its ping
  podman run -d --name plain "${serve[@]}" >/dev/null
  podman_reaches one two
  podman_reaches two one
  podman_reaches one plain
  podman_reaches plain one
  expect_ok podman exec two ping -c 1 10.97.0.1
  expect_ok podman exec two ping -c 1 fd97::1
  expect_ok "$here/net_tool" get 127.0.0.1 8082 + udp 127.0.0.1 8082 1000
  expect_match "^$served"$'\n''1000 bytes from [0-9.]+$' "$out" "the published port"
  podman rm -f --time 0 one two plain >/dev/null
}

vhost_net() {
  docker_husk run -d --name fast box sleep 1000 >/dev/null
  expect_contains vhost-net "$(ps -e -o comm=; lsof /dev/vhost-net 2>/dev/null; for q in /proc/[0-9]*/fd/*; do readlink "$q"; done)" "what the machine has open"
  docker rm -f fast >/dev/null
  expect_equal "" "$(journalctl -b -k --no-pager | grep 'apparmor="DENIED"' | grep libvirt-)" "what AppArmor denied"
}

start_engines
it "docker: the default bridge, a published port, none" docker_default 120
it "docker: names in a network of the user's, connect and disconnect" docker_names 180
it "docker: --network container:X" docker_joined 180
it "podman: the default network, a published port" podman_default 120
it "podman: names in a network of the user's" podman_names 240
it "podman: --network container:X" podman_joined 180
it "vhost-net is used, and nothing denied" vhost_net 60
