# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A container's network: what the caller wires in a namespace is what the container has.

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"
# shellcheck source=test/e2e/net.bash
source "$here/net.bash"
# Enters the namespace that is the other side of all links.
at_peer() { ip netns exec "$peer" "$@"; }

vms_and_ids() { running_vms && ls "$work/root" 2>/dev/null; }
join_namespace() {  # BUNDLE PATH
  edit_config "$1" '.linux.namespaces |= map(if .type == "network" then .path = $path else . end)' --arg path "$2"
}

# All that husk carries, in $wired.
wire_richly() {
  local n
  new_namespace "$wired"
  for n in 0 1 2; do
    add_link "$wired" "eth$n" $((n == 0 ? 1500 : n == 1 ? 1400 : 9000)) "$peer" "p$n"
    ip -n "$peer" addr add "10.90.$n.1/24" dev "p$n"
    ip -n "$peer" addr add "fd8$n::1/64" dev "p$n" nodad
    ip -n "$wired" addr add "fd8$n::2/64" dev "eth$n" nodad
  done
  ip -n "$wired" -batch - <<-'LINES'
	link set eth0 address 02:42:0a:5a:00:02
	link set eth1 txqueuelen 555
	link set eth2 multicast off
	link set eth0 up
	link set eth1 up
	link set eth2 up
	addr add 10.99.0.1/32 dev lo
	addr add 10.90.0.2/24 brd + dev eth0
	addr add 10.90.0.3/24 dev eth0
	addr add 10.95.0.2/16 brd 10.95.255.255 label eth0:more dev eth0
	addr add fd99::3/128 dev eth0 nodad
	addr add 10.90.1.2/24 dev eth1 noprefixroute
	addr add 10.90.2.2 peer 10.90.2.1/32 dev eth2
	route add 10.90.1.0/24 dev eth1 src 10.90.1.2 metric 70
	route add default via 10.90.0.1 dev eth0
	route add default via fd80::1 dev eth0
	route add 192.0.2.0/24 via 10.90.1.1 dev eth1 metric 50 mtu 1300 advmss 1200
	route add 203.0.113.0/24 nexthop via 10.90.0.1 dev eth0 weight 3 nexthop via 10.90.1.1 dev eth1
	route add blackhole 198.51.100.0/24
	route add unreachable 2001:db8:dead::/48 metric 7
	route add default via 10.90.2.1 dev eth2 onlink table 77
	route add default via fd82::1 dev eth2 pref high table 1078
	rule add from 10.90.2.2 lookup 77 priority 100
	rule add fwmark 0x10/0xf0 ipproto tcp dport 80-90 lookup 77 priority 101
	rule add to 198.18.0.0/15 iif eth1 prohibit priority 102
	rule add lookup main suppress_prefixlength 0 priority 103
	rule add not from 10.0.0.0/8 lookup 77 priority 40000
	neigh add 10.90.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent
	neigh add fd81::77 lladdr 02:00:00:00:00:78 dev eth1 nud permanent
	neigh add proxy 10.90.0.88 dev eth0
	LINES
  ip -n "$wired" -6 rule add from fd82::2 lookup 1078 priority 200
}

same_as_namespace() {
  wire_richly || fail "wiring"
  eventually 10 eval '! ip -n "$wired" addr | grep tentative'
  surroundings env >"$work/host.before"
  surroundings ip netns exec "$wired" >"$work/wired.before"
  make_bundle "$work/box" /net_tool serve 7000 /file
  cp "$work/file" "$work/box/rootfs/file"
  join_namespace "$work/box" "/run/netns/$wired"
  edit_config "$work/box" '.hostname = "box-name" | .process.capabilities |= map_values(. + ["CAP_NET_RAW", "CAP_NET_ADMIN"])
    | .linux.sysctl = {"net.ipv4.conf.eth0.log_martians": "1", "net.ipv4.conf.eth1.rp_filter": "2", "net.core.somaxconn": "1234",
                       "net.ipv4.ip_unprivileged_port_start": "77"}'
  husk run --detach --bundle "$work/box" box >"$work/box.out" 2>&1 </dev/null || fail "run: $(cat "$work/box.out")"
  picture ip netns exec "$wired" >"$work/picture"
  for part in '"ifname":"eth2"' '"dst":"2001:db8:dead::/48"' '"label":"eth0:more"' '"priority":200' '"10.90.0.88"'; do
    expect_contains "$part" "$(cat "$work/picture")" "what the test wired"
  done
  # All of it at once, but that a link runs: of the second and third one that may be a second late (limitations.md).
  diff "$work/picture" <(picture husk exec box | sed 's/"NO-CARRIER",//') || fail "the guest (>) has another network than the namespace (<)"
  eventually 2 same_picture "$wired" box
}

sysctls() {
  expect_ok husk exec box sh -c 'cd /proc/sys/net && cat ipv4/conf/eth0/log_martians ipv4/conf/eth1/rp_filter core/somaxconn ipv4/ip_unprivileged_port_start; hostname'
  expect_equal "1 2 1234 77 box-name" "$(xargs <<<"$out")" "sysctls and hostname"
}

host_untouched() {
  diff "$work/host.before" <(surroundings env) || fail "the host's own network changed"
}

# From the container (exec) to the peer, and from the peer to the container.
packets() {
  local sum
  sum=$("$here/net_tool" sum "$work/file")
  expect_ok husk exec box /net_tool get 10.90.0.1 7000 + put fd80::1 7000 /file
  expect_equal "$sum"$'\n'"$sum" "$out" "from the container: IPv4 get, IPv6 put"
  expect_ok at_peer "$here/net_tool" get fd81::2 7000 + put 10.90.1.2 7000 "$work/file"
  expect_equal "$sum"$'\n'"$sum" "$out" "from the peer: IPv6 get, IPv4 put"
  # The largest that go in one frame, then what goes in fragments.
  datagrams 2 1 husk exec box /net_tool
  datagrams 1 2 at_peer "$here/net_tool"
}

datagrams() {  # FROM TO NET_TOOL...
  local from=$1 to=$2
  shift 2
  expect_ok "$@" udp "10.90.0.$to" 7000 1472 + udp "10.90.1.$to" 7000 1372 + udp "10.90.2.$to" 7000 8972 + udp "fd80::$to" 7000 1452 + \
    udp "fd81::$to" 7000 1352 + udp "fd82::$to" 7000 8952 + udp "10.90.0.$to" 7000 20000 + udp "fd80::$to" 7000 20000
  expect_equal "1472 bytes from 10.90.0.$from, 1372 bytes from 10.90.1.$from, 8972 bytes from 10.90.2.$from, 1452 bytes from fd80::$from, \
1352 bytes from fd81::$from, 8952 bytes from fd82::$from, 20000 bytes from 10.90.0.$from, 20000 bytes from fd80::$from" \
    "$(paste -sd, "$run_out" | sed 's/,/, /g')" "datagrams to $to"
}

foreign_names() {
  local own=02:42:0a:5a:00:02 foreign=02:66:66:66:66:66 listener
  at_peer "$here/net_tool" hear p0 last >"$work/heard" 2>&1 &
  listener=$!
  eventually 10 grep -q ready "$work/heard"
  expect_ok husk exec box sh -c "/net_tool send eth0 $foreign spoofed && /usr/sbin/ip link set eth0 address $foreign &&
    /net_tool send eth0 $foreign changed && /usr/sbin/ip link set eth0 address $own && /net_tool send eth0 $own last"
  wait "$listener"
  if is_husk; then
    expect_equal "ready $own last" "$(xargs <"$work/heard")" "frames that arrived"
  else
    expect_contains "$foreign spoofed" "$(cat "$work/heard")" "frames that arrived"
  fi
  expect_equal "1000 bytes from 10.90.0.2" "$(husk exec box /net_tool udp 10.90.0.1 7000 1000)" "a datagram afterwards"
}

# Nothing of it is for the stack of the namespace on the host, which has the same addresses.
flood() {
  local before
  before=$(received_by_stack)
  expect_ok husk exec box /net_tool flood 10.90.0.1 7000 3 + flood 10.90.0.1 61440 1 + udp 10.90.0.1 7000 1000
  expect_equal "1000 bytes from 10.90.0.2" "$out" "a datagram afterwards"
  ! is_husk || expect_equal "$before" "$(received_by_stack)" "packets that the namespace's stack on the host took"
}
received_by_stack() { ip netns exec "$wired" awk '$1 == "Ip:" { packets = $4 } END { print packets }' /proc/net/snmp; }

# As CRI-O and containerd do for `kubectl port-forward`, and a person with nsenter.
to_localhost() {
  local sum before
  sum=$("$here/net_tool" sum "$work/file")
  for address in 127.0.0.1 ::1; do
    expect_ok ip netns exec "$wired" "$here/net_tool" get $address 7000 + put $address 7000 "$work/file"
    expect_equal "$sum"$'\n'"$sum" "$out" "a file from and to $address"
  done
  expect_failure 1 "$(is_husk && echo 'reset by peer' || echo 'refused')" ip netns exec "$wired" "$here/net_tool" get 127.0.0.1 7001
  expect_ok husk exec --detach box /net_tool serve 7002 /etc/passwd
  eventually 20 ip netns exec "$wired" "$here/net_tool" get 127.0.0.1 7002
  # More at once than there are processes for it.
  expect_ok ip netns exec "$wired" sh -c 'for n in $(seq 80); do "$0" get 127.0.0.1 7002 & done; wait' "$here/net_tool"
  expect_equal 80 "$(grep -c "^$("$here/net_tool" sum "$work/box/rootfs/etc/passwd")\$" "$run_out")" "answers"
  eventually 20 eval '! pgrep -x husk-forward'
}

follows() {  # WHAT, and lines for ip on stdin; one look at all of them, as that takes seconds where VMs are emulated
  ip -n "$wired" -batch - || fail "$1"
  eventually 10 same_picture "$wired" box
  echo "followed: $1"
}

changes() {
  add_link "$wired" eth3 1500 "$peer" p3 && ip -n "$peer" addr add 10.90.3.1/24 dev p3 || fail "a link"
  ip -n "$wired" addr add 10.90.3.2/24 dev eth3
  follows "a link" <<<"link set eth3 up"
  expect_equal "1000 bytes from 10.90.3.2" "$(husk exec box /net_tool udp 10.90.3.1 7000 1000)" "a datagram over it"
  follows "addresses, a route, a rule, an MTU" <<-'LINES'
	addr add 10.90.3.9/24 dev eth3
	addr add fd83::2/64 dev eth3
	route change default via 10.90.3.1
	rule add from 10.90.3.9 lookup 77
	link set eth3 mtu 1300
	LINES
  expect_contains 'via 10.90.3.1 dev eth3' "$(husk exec box /usr/sbin/ip route show default)" "the default route"
  follows "another name, one address less, no rule" <<-'LINES'
	link set eth3 down
	link set eth3 name other3
	addr del 10.90.3.9/24 dev other3
	rule del from 10.90.3.9 lookup 77
	LINES
  follows "no link, the route of before" <<-'LINES'
	link del other3
	route add default via 10.90.0.1 dev eth0
	LINES
  ! husk exec box test -e /sys/class/net/other3 || fail "the guest still has it"
}

# As an engine's --network container:box, which names the other's namespace by its pid.
begin_in_network_of() {  # OTHER ID COMMAND...
  local other=$1 id=$2
  shift 2
  make_bundle "$work/$id" "$@"
  echo "$id ${turn-}" >"$work/$id/rootfs/whose"
  join_namespace "$work/$id" "/proc/$(husk state "$other" | jq .pid)/ns/net"
  husk run --detach --bundle "$work/$id" "$id" >"$work/$id.out" 2>&1 </dev/null || fail "run $id: $(cat "$work/$id.out")"
}
kernel_of() { husk exec "$1" cat /proc/sys/kernel/random/boot_id; }
has_own_traces() { grep -l "/$1" /proc/self/mountinfo /run/husk-vm/*/vm.json; }

joined() {
  local vms turn
  vms=$(running_vms)
  for turn in one two; do
    begin_in_network_of box joined sleep 1000
    expect_equal "$vms" "$(running_vms)" "VMs"
    ! is_husk || expect_equal "$(kernel_of box)" "$(kernel_of joined)" "the kernel"
    same_picture "$wired" joined || fail "the second (>) has another network than the namespace (<)"
    expect_ok husk exec joined /net_tool get 127.0.0.1 7000 + udp 10.90.0.1 7000 1000
    expect_equal "$("$here/net_tool" sum "$work/file")"$'\n'"1000 bytes from 10.90.0.2" "$out" "the first one's server, and the peer"
    expect_ok husk exec joined sh -c 'tr "\0" " " </proc/1/cmdline; cat /whose; echo "$0" >/written' $turn
    expect_equal "sleep 1000 joined $turn" "$(xargs <<<"$out")" "its own processes and files"
    expect_equal $turn "$(cat "$work/joined/rootfs/written")" "what it wrote"
    rm -r "$work/joined.out"
    expect_ok husk delete --force joined
    ! has_own_traces joined || fail "something of it is left in the VM"
    mv "$work/joined" "$work/joined-$turn"
  done
  expect_equal "$vms" "$(running_vms)" "VMs"
  same_picture "$wired" box || fail "the first (>) has another network than the namespace (<)"
}

# The container whose network it was goes first.
stays_behind() {
  begin_in_network_of box second sleep 1000
  begin_in_network_of second third sh -c 'exit 3'
  eventually 20 is_state third stopped
  expect_ok husk delete --force box
  expect_equal running "$(state_of second)" "the second container"
  follows_in second
  begin_in_network_of second fourth sleep 1000
  expect_ok husk exec fourth /net_tool udp 10.90.0.1 7000 1000 + udp 10.90.1.1 7000 1000
  if is_husk; then
    local cgroup pid
    cgroup=$(cut -d: -f3 "/proc/$(husk state second | jq .pid)/cgroup" | tail -1)
    pid=$(jq .process.pid "/run/husk-vm/$(jq -r .vmId "$work/root/second/state.json")/vm.json")
    expect_equal "$cgroup" "$(cut -d: -f3 "/proc/$pid/cgroup" | tail -1)" "cgroup of the VM"
  fi
  expect_ok husk delete --force fourth
  expect_ok husk kill second KILL
  eventually 20 eval '! is_husk || [[ $(running_vms) == 0 ]]'
  expect_ok husk delete second
  expect_ok husk delete third
  namespace_as_before
}
follows_in() {
  ip -n "$wired" addr add 10.90.0.44/24 dev eth0 || fail "an address"
  eventually 10 same_picture "$wired" "$1"
  ip -n "$wired" addr del 10.90.0.44/24 dev eth0 || fail "an address"
  eventually 10 same_picture "$wired" "$1"
}

# A create that is refused leaves nothing, and nothing is done to what it named.
refused() {  # TEXT PATH
  local before
  rm -rf "$work/refused"
  make_bundle "$work/refused" true
  join_namespace "$work/refused" "$2"
  before=$(vms_and_ids)
  expect_failure 1 "$1" husk create --bundle "$work/refused" refused
  ! is_husk || expect_contains "$2" "$err" "stderr"
  expect_equal "$before" "$(vms_and_ids)" "VMs and containers there are"
}

no_namespaces() {
  echo text >"$work/text"
  refused "" "$work/text"
  refused "no such file or directory" "$work/missing"
}

not_for_a_vm() {
  # In a sandbox even root may not look at pid 1.
  [[ ! -e /proc/1/ns/net ]] || refused "is the host's, which a VM cannot join" /proc/1/ns/net
  refused "is the host's, which a VM cannot join" /proc/self/ns/net
  unshare --net sleep 1000 &
  local process=$!
  eventually 10 eval "[[ \$(readlink /proc/$process/ns/net) != \$(readlink /proc/self/ns/net) ]]"
  refused "is used by another container" "/proc/$process/ns/net"
  kill $process
  expect_equal "1000 bytes from 10.90.0.2" "$(husk exec box /net_tool udp 10.90.0.1 7000 1000)" "a datagram of the other container"
}

# This may be the only kind without Ethernet frames that the kernel has.
no_ethernet() {
  local ns=$wired-tun
  new_namespace "$ns"
  ip -n "$ns" tuntap add t0 mode tun && ip -n "$ns" link set t0 up || skip "this kernel has no tun"
  refused_by_interface "$ns" "network interface t0: tun carries no Ethernet frames"
}
refused_by_interface() {  # NAMESPACE TEXT
  local before
  make_bundle "$work/nocard" true
  join_namespace "$work/nocard" "/run/netns/$1"
  before=$(vms_and_ids)
  expect_failure 1 "$2" husk create --bundle "$work/nocard" nocard
  expect_equal "$before" "$(vms_and_ids)" "VMs and containers there are"
}

# As of dockerd 26: the namespace is new, and wired through the pid.
between_create_and_start() {
  local pid
  make_bundle "$work/late" sh -c 'ls /sys/class/net | xargs; /net_tool udp 10.91.0.1 7000 10 + get fd91::1 7000; /usr/sbin/ip -o -4 addr show eth0'
  husk create --bundle "$work/late" --pid-file "$work/late.pid" late >"$work/late.out" 2>&1 </dev/null || fail "create: $(cat "$work/late.out")"
  pid=$(cat "$work/late.pid")
  wire_simply "$pid" 91 || fail wiring
  expect_ok husk start late
  eventually 40 is_state late stopped
  expect_equal "eth0 lo" "$(sed -n 1p "$work/late.out")" "the container's links"
  expect_equal "10 bytes from 10.91.0.2" "$(sed -n 2p "$work/late.out")" "a datagram"
  expect_equal "$("$here/net_tool" sum "$work/file")" "$(sed -n 3p "$work/late.out")" "a file"
  expect_contains "inet 10.91.0.2/24" "$(sed -n 4p "$work/late.out")" "its address"
  expect_ok husk delete late
}

wire_simply() {  # PID NUMBER
  add_link "$1" "w$2" 1500 "$peer" "q$2" || return
  ip -n "$peer" addr add "10.$2.0.1/24" dev "q$2"
  ip -n "$peer" addr add "fd$2::1/64" dev "q$2" nodad
  nsenter -t "$1" -n ip -batch - <<-LINES
	link set w$2 name eth0
	link set eth0 address 02:42:0a:$2:00:02
	addr add 10.$2.0.2/24 dev eth0
	addr add fd$2::2/64 dev eth0 nodad
	link set eth0 up
	route add default via 10.$2.0.1
	LINES
}

# As of dockerd 20, and with more links than one.
by_a_hook() {
  cat >"$work/hook" <<-HOOK
	#!/bin/bash
	here=$here peer=$peer
	source "$here/net.bash"
	$(declare -f wire_simply)
	pid=\$(jq .pid)
	wire_simply \$pid 92 && nsenter -t \$pid -n ip link set eth0 down && nsenter -t \$pid -n ip link set eth0 name first && wire_simply \$pid 93 &&
	  nsenter -t \$pid -n ip link set first up
	HOOK
  chmod +x "$work/hook"
  make_bundle "$work/hooked" sh -c 'ls /sys/class/net | xargs; /net_tool udp 10.92.0.1 7000 10 + udp fd93::1 7000 10'
  edit_config "$work/hooked" '.hooks.prestart = [{path: $hook}]' --arg hook "$work/hook"
  expect_ok husk run --bundle "$work/hooked" hooked
  expect_equal $'eth0 first lo\n10 bytes from 10.92.0.2\n10 bytes from fd93::2' "$out" "what the container has"
}

nothing_wired() {
  make_bundle "$work/alone" sh -c 'ls /sys/class/net | xargs; /usr/sbin/ip -j addr show lo; /usr/sbin/ip route; /net_tool serve 7000 /etc/passwd & /net_tool udp 127.0.0.1 7000 10 + udp ::1 7000 10'
  expect_ok husk run --bundle "$work/alone" alone
  expect_equal lo "$(sed -n 1p <<<"$out")" "the container's links"
  expect_equal "true 127.0.0.1 ::1" "$(sed -n 2p <<<"$out" | jq -r '.[] | [(.flags | contains(["UP", "LOOPBACK"])), .addr_info[].local] | join(" ")')" "loopback"
  expect_equal $'10 bytes from 127.0.0.1\n10 bytes from ::1' "$(sed -n '3,$p' <<<"$out")" "no routes, and datagrams over loopback"
}

# Another's qdisc on the second link: what was done at the first is undone. As after every start that fails, the
# container has ended; the next one can be in that namespace.
failing_plug() {
  local ns=$wired-plug
  new_namespace "$ns"
  add_link "$ns" eth0 1500 "$peer" s0 && add_link "$ns" eth1 1500 "$peer" s1 && ip -n "$peer" addr add 10.94.0.1/24 dev s1 || fail "links"
  ip -n "$ns" link set eth0 up && ip -n "$ns" link set eth1 up && ip -n "$ns" addr add 10.94.0.2/24 dev eth1
  tc -n "$ns" qdisc add dev eth1 clsact || fail "a qdisc"
  make_bundle "$work/plug" /net_tool udp 10.94.0.1 7000 10
  join_namespace "$work/plug" "/run/netns/$ns"
  husk create --bundle "$work/plug" plug >"$work/plug.out" 2>&1 </dev/null || fail "create: $(cat "$work/plug.out")"
  expect_failure 1 'network interface eth1: has a qdisc "clsact" that husk did not create' husk start plug
  expect_equal stopped "$(state_of plug)" "the container after the failed start"
  expect_equal clsact "$(tc -n "$ns" qdisc | grep -oE 'ingress|clsact' | xargs)" "qdiscs after the failed start"
  expect_ok husk delete plug
  tc -n "$ns" qdisc del dev eth1 clsact
  expect_ok husk run --bundle "$work/plug" plug
  expect_equal "10 bytes from 10.94.0.2" "$out" "a datagram"
  expect_equal "" "$(tc -n "$ns" qdisc | grep -oE 'ingress|clsact')" "qdiscs after the end"
}

# Its range of ports too (lib/network/reserved_ports.hpp), which no picture shows.
namespace_as_before() {
  expect_equal "$(cat /proc/sys/net/ipv4/ip_local_port_range)" \
    "$(ip netns exec "$wired" cat /proc/sys/net/ipv4/ip_local_port_range)" "the range of ports"
  diff "$work/wired.before" <(surroundings ip netns exec "$wired") || fail "the caller's namespace changed"
}

ended() {
  stays_behind
  host_untouched
}

cycles() {
  local i before
  make_bundle "$work/again" sleep 1000
  join_namespace "$work/again" "/run/netns/$wired"
  before=$(snapshot_machine)
  for ((i = 0; i < ${HUSK_TEST_CYCLES:-5}; i++)); do
    expect_ok husk run --detach --bundle "$work/again" again
    expect_contains 10.90.0.2/24 "$(husk exec again /usr/sbin/ip -o addr show eth0)" "the address in cycle $i"
    if ((i % 2)); then
      expect_ok husk delete --force again
    else
      expect_ok husk kill again KILL
      eventually 20 is_state again stopped
      expect_ok husk delete again
    fi
    namespace_as_before
  done
  eventually 20 eval '[[ -z $(comm -13 <(echo "$before") <(snapshot_machine)) ]]'
  host_untouched
}

peer=$namespaces-peer wired=$namespaces-wired
! is_husk || start_libvirt
at_end drop_namespaces
at_end delete_all
make_rootfs "$work/rootfs"
copy_program "$work/rootfs" /usr/sbin/ip
copy_net_tool "$work/rootfs"
head -c $((64 << 20)) /dev/urandom >"$work/file"
new_namespace "$peer"
ip netns exec "$peer" "$here/net_tool" serve 7000 "$work/file" >"$work/serve.log" 2>&1 </dev/null &
at_end "kill $!"
disown

it "a wired namespace: the container has the same links, addresses, routes, rules, neighbours" same_as_namespace
it "sysctls of the spec, and its hostname" sysctls
it "the host's own namespace is not touched while it runs" host_untouched
it "TCP and UDP, IPv4 and IPv6, both ways, whole frames and fragments" packets 120
it "no frame with a foreign MAC address arrives" foreign_names
it "a flood of datagrams reaches the peer alone" flood
it "localhost in the namespace on the host is the container's" to_localhost 180
it "what changes while it runs is followed" changes 120
it "what is no network namespace is refused" no_namespaces
if is_husk; then
  it "the host's and others' namespaces are refused" not_for_a_vm
  it "an interface without Ethernet frames is refused" no_ethernet
fi
it "another container in its network is in its VM, and leaves it as it was" joined 180
it "those in its network stay when it goes; afterwards the namespace, and the host's, are as before" ended 180
it "a new namespace that is wired between create and start" between_create_and_start
it "a new namespace that a prestart hook wires, with two links" by_a_hook
it "a new namespace that nobody wires: loopback only" nothing_wired
! is_husk || it "a start that fails at a link undoes what it did at others" failing_plug
it "again and again: nothing is left, nothing is changed" cycles 300
