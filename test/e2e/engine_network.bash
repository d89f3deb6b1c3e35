# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A container's network by Docker: networks of its own, names, ports, and changes while it runs. Read by docker.bash.
# shellcheck source=test/e2e/net.bash
source "$here/net.bash"

# NAME FLAGS...: a container that serves on port 7000, by the runtime under test unless the flags name another.
serve() {
  local name=$1
  shift
  expect_ok engine run -d --name "$name" --runtime "$RUNTIME" "$@" husk-net /net_tool serve 7000 /etc/passwd
}

passwd_sum() { "$here/net_tool" sum "$work/rootfs/etc/passwd"; }

expect_reaches() {  # FROM HOST SEEN_AS
  expect_ok engine exec "$1" /net_tool get "$2" 7000 + udp "$2" 7000 1000
  expect_match "^$(passwd_sum)"$'\n'"1000 bytes from ($3)\$" "$out" "TCP and UDP from $1 to $2"
}

# What another dockerd on the machine forbids to be forwarded, if bridges ask iptables, is allowed between these.
make_networks() {
  expect_ok engine network create --subnet 172.30.71.0/24 --opt com.docker.network.driver.mtu=1400 \
    --opt com.docker.network.bridge.name="$bridges-1" first
  expect_ok engine network create --subnet 172.30.72.0/24 --ipv6 --subnet fd00:72::/64 --opt com.docker.network.bridge.name="$bridges-2" second
}
bridges=husknet$run_id
allow_forwarding() {  # -I or -D
  local program
  for program in iptables ip6tables; do
    "$program" --wait "$1" FORWARD -i "$bridges+" -o "$bridges+" -j ACCEPT 2>/dev/null
  done
}

# Two by husk and one by runc, with all that an engine can say about a container's network.
named() {
  serve one --network first --ip 172.30.71.11 --mac-address 02:42:ac:1e:47:77 --hostname said --add-host added:192.0.2.7 \
    --dns 172.30.71.1 --sysctl net.ipv4.conf.eth0.log_martians=1 --network-alias other-one
  serve two --network first --dns 172.30.71.1
  serve plain --network first --runtime runc
  expect_reaches one two '172\.30\.71\.11'
  expect_reaches two other-one '172\.30\.71\.[0-9]+'
  expect_reaches one plain '172\.30\.71\.11'
  expect_reaches plain one '172\.30\.71\.[0-9]+'
  expect_ok engine exec one sh -c 'hostname; cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu /proc/sys/net/ipv4/conf/eth0/log_martians
    grep -c "192.0.2.7.added" /etc/hosts; ping -c 1 -w 10 172.30.71.1 | grep -c "1 packets received"'
  expect_equal "said 02:42:ac:1e:47:77 1400 1 1 1" "$(xargs <<<"$out")" "name, MAC, MTU, sysctl, host, gateway"
}

# The engine's names, and those of a server outside, which the engine asks from the container's namespace on the host.
names() {
  eventually 10 "$here/net_tool" ask 172.30.71.1 udp outside.test
  local protocol
  for protocol in udp tcp; do
    expect_ok engine exec two /net_tool ask 127.0.0.11 $protocol one + ask 127.0.0.11 $protocol outside.test + ask 127.0.0.11 $protocol missing.test
    expect_equal $'172.30.71.11\n192.0.2.99\nno such name' "$out" "a container's name, one outside, one that is not there, by $protocol"
  done
}

ports() {
  serve ported --network first -p 127.0.0.1:27801:7000/tcp -p 127.0.0.1:27801:7000/udp
  local address
  address=$(engine inspect -f '{{.NetworkSettings.Networks.first.IPAddress}}' ported)
  eventually 10 "$here/net_tool" get 127.0.0.1 27801
  expect_equal "$(passwd_sum)" "$("$here/net_tool" get 127.0.0.1 27801)" "a published port"
  expect_match '^1000 bytes from 172\.30\.71\.1$' "$("$here/net_tool" udp 127.0.0.1 27801 1000)" "a published port, UDP"
  expect_equal "$(passwd_sum)" "$("$here/net_tool" get "$address" 7000)" "the container's address, from the host"
  expect_ok engine rm -f ported
}

links_of() { engine exec "$1" ls /sys/class/net | xargs; }
has_links() { [[ $(links_of "$1") == "$2" ]]; }  # NAME LINKS

connected_while_it_runs() {
  expect_ok engine network connect --ip 172.30.72.11 second one
  eventually 10 has_links one "eth0 eth1 lo"
  serve third --network second
  eventually 10 engine exec one /net_tool udp third 7000 10
  expect_reaches one third '172\.30\.72\.11|fd00:72::[0-9a-f]+'
  expect_reaches third one '172\.30\.72\.[0-9]+|fd00:72::[0-9a-f]+'
  local address
  address=$(engine inspect -f '{{.NetworkSettings.Networks.second.GlobalIPv6Address}}' one)
  expect_match '^1000 bytes from fd00:72::[0-9a-f]+$' "$(engine exec third /net_tool udp "$address" 7000 1000)" "UDP over IPv6"
  expect_reaches one two '172\.30\.71\.11'
  expect_ok engine network disconnect second one
  eventually 10 has_links one "eth0 lo"
  expect_reaches one two '172\.30\.71\.11'
  expect_ok engine rm -f third
}

connected_before_start() {
  expect_ok engine create --name both --runtime "$RUNTIME" --network first husk-net /net_tool serve 7000 /etc/passwd
  expect_ok engine network connect second both
  expect_ok engine start both
  expect_equal "eth0 eth1 lo" "$(links_of both)" "links of a container in two networks"
  expect_reaches both one '172\.30\.71\.[0-9]+'
  expect_ok engine restart -t 0 both
  expect_equal "eth0 eth1 lo" "$(links_of both)" "links after a restart"
  expect_reaches both one '172\.30\.71\.[0-9]+'
  expect_ok engine rm -f both
}

without_network() {
  expect_ok engine run --rm --runtime "$RUNTIME" --network none husk-net sh -c 'ls /sys/class/net; /usr/sbin/ip -o -4 addr show up'
  expect_match '^lo'$'\n''1: +lo +inet 127.0.0.1/8' "$out" "what a container without network has"
}

# In one VM, so that "localhost" is one place and the engine's resolver answers both.
joined_network() {
  local vms
  vms=$(running_vms)
  expect_ok engine run -d --name joined --runtime "$RUNTIME" --network container:one husk-net sleep 1000
  expect_equal "$vms" "$(running_vms)" "VMs"
  expect_ok engine exec joined sh -c '/net_tool get 127.0.0.1 7000 + udp two 7000 1000 + ask 127.0.0.11 udp two >/out && cat /out; hostname; ls /sys/class/net | xargs'
  expect_match "^$(passwd_sum) 1000 bytes from 172\.30\.71\.[0-9]+ 172\.30\.71\.[0-9]+ said eth0 lo\$" "$(xargs <<<"$out")" "server of the other, name, links"
  expect_ok engine exec -d joined /net_tool serve 7005 /etc/passwd
  eventually 20 engine exec two /net_tool get one 7005
  expect_ok engine restart -t 0 joined
  expect_ok engine exec joined /net_tool get 127.0.0.1 7000
  expect_ok engine rm -f joined
  expect_equal "$vms" "$(running_vms)" "VMs afterwards"
  expect_reaches two one '172\.30\.71\.[0-9]+'
  expect_reaches one two '172\.30\.71\.11'
  # The network cannot be that of a container without a VM.
  run engine run --rm --runtime "$RUNTIME" --network container:plain husk-net true
  ! is_husk || expect_contains "is used by another container" "$out$err" "--network container:plain"
}

refused_networks() {
  local before
  before=$(engine ps -aq; running_vms)
  run engine run --rm --runtime "$RUNTIME" --network host husk-net true
  [[ $status != 0 ]] || fail "--network host worked"
  expect_match "is the host's, which a VM cannot join|the host's network namespace cannot be used" "$out$err" "--network host"
  expect_equal "$before" "$(engine ps -aq; running_vms)" "containers and VMs afterwards"
  expect_reaches two one '172\.30\.71\.[0-9]+'
}

engine_network_list() {
  mkdir "$work/netfs" && cp -a "$work/rootfs/." "$work/netfs" && copy_program "$work/netfs" /usr/sbin/ip && copy_net_tool "$work/netfs"
  tar -C "$work/netfs" -c . | engine import - husk-net >/dev/null || { echo "docker import failed" >&2; exit 1; }
  at_end 'engine ps -aq | xargs -r -n 1 "$docker" --host "unix://$work/docker.sock" rm -f; engine network prune --force'
  allow_forwarding -I
  at_end allow_forwarding -D
  it "networks" make_networks
  "$here/net_tool" dns 172.30.71.1 outside.test 192.0.2.99 >"$work/dns.log" 2>&1 </dev/null &
  at_end "kill $!"
  disown
  it "names, addresses, and what else an engine says" named 180
  it "names by the engine's resolver, UDP and TCP, and of a server outside" names 120
  it "published ports, TCP and UDP" ports 120
  it "network connect and disconnect while it runs" connected_while_it_runs 180
  it "network connect before the start, and a restart" connected_before_start 180
  it "--network none: loopback only" without_network
  it "--network container:X: in one VM, with one localhost" joined_network 240
  ! is_husk || it "--network host is refused" refused_networks 120
  engine rm -f one two plain >/dev/null 2>&1
}
