# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Programs that people run in containers, doing some real work under Docker. $HUSK_PROGRAMS_IMAGE is the image's tar.gz
# (default: test/images/build makes it).

# shellcheck source=test/e2e/engine_docker.bash
source "$here/engine_docker.bash"

figure() { echo "$*" >>"$work/figures"; }

import_image() {
  local image=${HUSK_PROGRAMS_IMAGE:-}
  [[ -n $image ]] || image=$("$top/test/images/build" programs) || exit 1
  engine import "$image" programs >/dev/null || exit 1
}

begin() { expect_ok engine run -d --name "$1" --runtime "$RUNTIME" "${@:2}"; }  # NAME ARGUMENTS...
address_of() { engine inspect -f '{{.NetworkSettings.IPAddress}}' "$1"; }    # NAME
answers() { engine exec "$@" >/dev/null 2>&1; }                              # NAME COMMAND...

redis() {
  begin redis -m 300m programs redis-server --save '' --bind 0.0.0.0 --protected-mode no
  eventually 60 answers redis redis-cli ping
  expect_ok engine exec redis redis-benchmark -q -n 5000 -c 10 -t set,get
  figure "redis-benchmark, two CPUs of TCG: $(tr '\r' '\n' <<<"$out" | grep 'requests per second' | xargs)"
  expect_equal bar "$(engine exec redis sh -c 'redis-cli set foo bar >/dev/null; redis-cli get foo')" "a key"
  # What Redis warns of where the host was not prepared.
  ! engine logs redis 2>&1 | grep -q "WARNING Memory overcommit" || fail "Redis warns of overcommit"
  expect_ok engine rm -f redis
}

nginx_under_wrk() {
  begin nginx programs nginx -g 'daemon off;'
  eventually 60 answers nginx bash -c 'exec 3<>/dev/tcp/127.0.0.1/80'
  expect_ok engine exec nginx wrk -c 8 -t 2 -d 5s http://127.0.0.1/
  expect_contains "Requests/sec" "$out" "wrk"
  [[ $out != *"Non-2xx"* && $out != *"Socket errors"* ]] || fail "wrk: $out"
  figure "wrk: $(grep Requests/sec <<<"$out" | xargs)"
  expect_ok engine rm -f nginx
}

mariadb() {
  begin mariadb -m 1g programs sh -c 'mkdir -p /run/mysqld && chown mysql /run/mysqld && exec mariadbd --user=mysql'
  eventually 120 answers mariadb mariadb -e 'select 1'
  expect_ok engine exec mariadb mariadb -e 'create database d; use d; create table t (a int primary key, b text);
    insert into t select seq, repeat("x", 100) from seq_1_to_20000; delete from t where a % 2; select count(*) from t'
  expect_equal 10000 "$(tail -n 1 <<<"$out")" "rows"
  expect_ok engine rm -f mariadb
}

# More than the 8192 watches that a guest's kernel allows by itself. virtiofsd has each directory open: where the machine
# allows it 20,000 files, all 20,000 directories would be refused (docs/limitations.md).
directories=20000
(($(ulimit -Hn) > 30000)) || directories=15000
file_watcher() {
  begin watcher -m 800m programs node -e 'const fs = require("fs"); let seen = 0; fs.mkdirSync("/tmp/many");
    for (let i = 0; i < '$directories'; i++) { fs.mkdirSync(`/tmp/many/${i}`); fs.watch(`/tmp/many/${i}`, () => { seen++; console.log("seen " + i) }) }
    console.log("watching"); setInterval(() => {}, 1000)'
  eventually 400 watches_or_ended
  expect_equal true "$(engine inspect -f '{{.State.Running}}' watcher)" "whether node still runs, which says: $(engine logs watcher 2>&1)"
  expect_ok engine exec watcher touch "/tmp/many/$((directories - 1))/file"
  eventually 20 logs_contain watcher "seen $((directories - 1))"
  expect_ok engine rm -f watcher
}
watches_or_ended() { logs_contain watcher watching || [[ $(engine inspect -f '{{.State.Running}}' watcher) == false ]]; }

# Two containers, each in its VM, with a tunnel between them.
wireguard() {
  local name
  for name in here there; do
    begin "$name" --cap-add NET_ADMIN programs sleep 100000
    expect_ok engine exec "$name" sh -c 'umask 077; wg genkey >/key; wg pubkey </key >/public; ip link add wg0 type wireguard; wg set wg0 private-key /key listen-port 51820'
  done
  expect_ok engine exec here sh -c "ip addr add 10.99.0.1/24 dev wg0; ip link set wg0 up; wg set wg0 peer $(engine exec there cat /public) allowed-ips 10.99.0.2/32 endpoint $(address_of there):51820"
  expect_ok engine exec there sh -c "ip addr add 10.99.0.2/24 dev wg0; ip link set wg0 up; wg set wg0 peer $(engine exec here cat /public) allowed-ips 10.99.0.1/32 endpoint $(address_of here):51820"
  eventually 20 answers here ping -c 1 -W 2 10.99.0.2
  expect_match "latest handshake" "$(engine exec there wg show wg0)" "the other's view"
  expect_ok engine rm -f here there
}

# Modules of nearly each kind that a firewall names. iptables is the command.
filter_packets() {  # IPTABLES
  begin router --cap-add NET_ADMIN programs sleep 100000
  expect_ok engine exec -e iptables="$1" router sh -ec '
    $iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE
    $iptables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    $iptables -A INPUT -p tcp -m multiport --dports 80,443 -m limit --limit 5/s -m comment --comment web -j ACCEPT
    $iptables -A INPUT -p tcp --dport 22 -m recent --set -j LOG --log-prefix ssh
    $iptables -t mangle -A POSTROUTING -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
    $iptables -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.1:80
    $iptables -S | grep -c recent'
  expect_equal 1 "$out" "rules that name recent"
}

iptables_and_nft() {
  filter_packets iptables-nft
  expect_ok engine exec router sh -ec '
    nft add table inet own; nft add chain inet own input "{ type filter hook input priority 0; }"
    nft add set inet own bad "{ type ipv4_addr; flags interval; }"; nft add element inet own bad "{ 10.0.0.0/8 }"
    nft add rule inet own input ip saddr @bad ct state new counter reject; nft list ruleset | grep -c counter'
  expect_ok engine rm -f router
}

iptables_of_old() {
  filter_packets iptables-legacy
  expect_ok engine rm -f router
}

# A packet that netem holds back for 300 ms.
traffic_control() {
  begin slow --cap-add NET_ADMIN programs sleep 100000
  expect_ok engine exec slow tc qdisc add dev lo root netem delay 150ms
  expect_ok engine exec slow ping -c 2 -i 0.3 127.0.0.1
  [[ $(grep -oE 'min/avg[^=]*= [0-9]+' <<<"$out" | grep -oE '[0-9]+$') -ge 300 ]] || fail "netem delays nothing: $out"
  expect_ok engine exec slow sh -ec 'tc qdisc add dev eth0 root handle 1: htb default 10; tc class add dev eth0 parent 1: classid 1:10 htb rate 10mbit'
  expect_ok engine rm -f slow
}

loop_devices() {
  begin looped --privileged programs sleep 100000
  expect_ok engine exec looped sh -ec 'truncate -s 32M /tmp/image; mkfs.ext4 -q /tmp/image; mkdir -p /m; modprobe loop 2>/dev/null || :
    [ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237; for i in 0 1 2 3; do [ -e /dev/loop$i ] || mknod /dev/loop$i b 7 $i; done
    mount -o loop /tmp/image /m; echo kept >/m/file; umount /m; mount -o loop,ro /tmp/image /m; cat /m/file; umount /m'
  expect_equal kept "$out" "a file in an image"
  expect_ok engine rm -f looped
}

systemd_as_pid_1() {
  begin host --privileged --tmpfs /run --tmpfs /run/lock -e container=docker programs /lib/systemd/systemd
  eventually 300 eval '[[ $(engine exec host systemctl is-system-running 2>/dev/null) =~ ^(running|degraded)$ ]]'
  expect_equal active "$(engine exec host systemctl is-active multi-user.target)" "multi-user.target"
  expect_ok engine exec host sh -ec 'systemctl restart nginx; systemctl is-active nginx'
  expect_ok engine stop -t 60 host
  expect_ok engine rm host
}

begin_docker || { report "not ok" "there is no Docker (scripts/install-deps test)" ""; end_topic; }
import_image
it "Redis and its benchmark" redis 200
it "nginx under wrk" nginx_under_wrk 200
it "MariaDB" mariadb 300
it "node watches $directories directories" file_watcher 500
it "a WireGuard tunnel between two containers" wireguard 200
it "iptables by nft, and nft" iptables_and_nft 200
it "iptables of old" iptables_of_old 200
it "tc: netem and htb" traffic_control 120
it "a file system in a loop device" loop_devices 120
it "systemd as PID 1 reaches multi-user.target" systemd_as_pid_1 450
[[ ! -s $work/figures ]] || sed 's/^/       /' "$work/figures"
