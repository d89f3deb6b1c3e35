# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Programs that ask for the size of their machine or take all of it, under Docker: what they see beside runc, limits
# that change under load, hogs beside another container, statistics beside the guest's own. What was measured is
# shown at the end. $HUSK_SIZES_IMAGE is the image's tar.gz (default: test/images/build makes it).

# shellcheck source=test/e2e/engine_docker.bash
source "$here/engine_docker.bash"

figure() { echo "$*" >>"$work/figures"; }

import_image() {
  local image=${HUSK_SIZES_IMAGE:-}
  [[ -n $image ]] || image=$("$top/test/images/build" sizes) || exit 1
  engine import "$image" sizes >/dev/null || exit 1
}

sized() { engine run --rm --network none --runtime "$RUNTIME" "$@"; }
sized_by_runc() { engine run --rm --network none --runtime runc "$@"; }

# Without its limit of swap: of cgroup v2, in the guest, JVM 17 says "Unlimited" whatever the limit is.
java_view='java -XshowSettings:system -version 2>&1 | grep -E "Effective CPU Count|Memory Limit:"
  java -XX:+PrintFlagsFinal -version 2>/dev/null | awk "/ MaxHeapSize/ { print \$2, \$4 }"'

# JVMs take a quarter of the limit, and count CPUs by the quota.
heap_of_java() {
  local flags wanted
  for flags in "-m 300m --cpus 0.5" "-m 1g --cpus 1.5" "-m 3g --cpus 2"; do
    # shellcheck disable=SC2086  # several words
    wanted=$(sized_by_runc $flags sizes sh -c "$java_view") || fail "runc: $wanted"
    expect_contains MaxHeapSize "$wanted" "what java says under runc"
    # shellcheck disable=SC2086
    expect_equal "$wanted" "$(sized $flags sizes sh -c "$java_view")" "java with $flags"
  done
}

heap_of_node() {
  local memory wanted got script='console.log(v8.getHeapStatistics().heap_size_limit / 2 ** 20 | 0, os.availableParallelism?.() ?? os.cpus().length)'
  for memory in 300m 3g; do
    wanted=$(sized_by_runc -m $memory sizes node -e "$script") || fail "runc: $wanted"
    got=$(sized -m $memory --cpus 2 sizes node -e "$script") || fail "$got"
    figure "node, heap limit in MiB and CPUs, -m $memory: runc $wanted, husk $got"
    # node takes a share of the machine's memory, which in a VM is the limit and what the guest itself needs.
    [[ ${got% *} -ge 250 && ${got% *} -le $((${wanted% *} * 11 / 10)) && ${got#* } == 2 ]] || fail "node with $memory: $got, with runc $wanted"
  done
}

flags_of_cpus() {
  expect_equal 1 "$(sized --cpus 0.5 sizes nproc)" "--cpus 0.5"
  expect_equal 2 "$(sized --cpus 2 sizes nproc)" "--cpus 2"
  expect_equal 1 "$(sized --cpuset-cpus 1 sizes nproc)" "--cpuset-cpus 1"
  [[ $(nproc) -ge 4 ]] || return 0  # dockerd refuses more than the host has
  expect_equal 4 "$(sized --cpus 4 sizes nproc)" "--cpus 4"
}

oom_kill_disable() {
  # tail keeps all of it: killed, as the guest has cgroup v2, whose kernel knows no such flag.
  run sized -m 100m --memory-swap 100m --oom-kill-disable sizes sh -c 'head -c 200M /dev/zero | tail | wc -c'
  expect_equal 0 "$out" "bytes that came through"
  expect_status 0
}

# The program's work has no errors, whatever size the VM is given meanwhile.
resize() {  # NAME SECONDS
  local end=$((SECONDS + $2 * time_factor)) flags
  while ((SECONDS < end)); do
    for flags in "-m 1200m --memory-swap 1200m --cpus 2" "-m 700m --memory-swap 700m --cpus 0.8"; do
      # shellcheck disable=SC2086  # several words
      expect_ok engine update $flags "$1"
      sleep "$time_factor"
    done
    updates=$((updates + 2))
  done
}

memory_under_load() {
  local updates=0
  # Each byte is written, read and compared.
  expect_ok engine run -d --name busy -m 700m --cpus 2 --network none --runtime "$RUNTIME" sizes \
    stress-ng --vm 2 --vm-bytes 300m --vm-keep --cpu 1 --hdd 1 --hdd-bytes 20m --temp-path /tmp --verify --timeout $((60 * time_factor)) --metrics-brief
  resize busy 50
  expect_equal 0 "$(engine wait busy)" "exit status of stress-ng: $(engine logs busy 2>&1 | tail)"
  expect_contains "successful run completed" "$(engine logs busy 2>&1)" "stress-ng"
  figure "stress-ng --verify: $updates updates of memory and CPUs, no error"
  expect_ok engine rm busy
}

pgbench_script='set -e; pg=$(echo /usr/lib/postgresql/*/bin); export PATH=$pg:$PATH
  initdb -D /tmp/data -A trust >/tmp/init.log; pg_ctl -D /tmp/data -l /tmp/log -o "-c listen_addresses= -k /tmp" -w -t 300 start >/dev/null
  pgbench -h /tmp -i -s 2 postgres >/tmp/load.log 2>&1; echo loaded; pgbench -h /tmp -c 4 -j 2 -T "$1" postgres; grep -c -E "ERROR|PANIC" /tmp/log || :'
database_under_load() {
  local updates=0 said
  expect_ok engine run -d --name base -m 700m --cpus 2 --user postgres --network none --runtime "$RUNTIME" sizes \
    bash -c "$pgbench_script" - $((40 * time_factor))
  eventually 200 logs_contain base loaded
  resize base 35
  expect_equal 0 "$(engine wait base)" "exit status of pgbench: $(engine logs base 2>&1 | tail)"
  said=$(engine logs base 2>&1)
  expect_contains "number of failed transactions: 0 " "$said" "pgbench"
  expect_equal 0 "${said##*$'\n'}" "errors in the server's log"
  figure "pgbench: $updates updates of memory and CPUs, $(sed -n 's/^number of transactions actually processed: //p' <<<"$said") transactions, none failed"
  expect_ok engine rm base
}

# Of 20 execs, the middle one in milliseconds.
measure_latency() {  # sets $latency
  local i before times=()
  for ((i = 0; i < 20; i++)); do
    before=$(date +%s%N)
    expect_ok engine exec quiet true
    times+=($((($(date +%s%N) - before) / 1000000)))
  done
  latency=$(printf '%s\n' "${times[@]}" | sort -n | sed -n 10p)
}

# The cgroup of a container's VM on the host.
cgroup_file() {  # NAME V1_CONTROLLER V1_FILE V2_FILE
  local pid path
  pid=$(engine inspect -f '{{.State.Pid}}' "$1")
  if path=$(grep -oP "^[0-9]+:([^:]*,)?$2(,[^:]*)?:\\K.*" "/proc/$pid/cgroup"); then
    cat "/sys/fs/cgroup/$2$path/$3"
  else
    cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")/$4"
  fi
}

beside_hogs() {
  local alone latency
  expect_ok engine run -d --name quiet -m 200m --cpus 1 --network none --runtime "$RUNTIME" sizes sleep 100000
  measure_latency
  alone=$latency
  expect_ok engine run -d --name hog -m 200m --cpus 1 --network none --runtime "$RUNTIME" sizes stress-ng --cpu 8 --timeout 10000
  measure_latency
  figure "exec in a container: $alone ms; beside a CPU hog (--cpus 1): $latency ms"
  expect_ok engine rm -f hog
  # Killed again and again, and started again by stress-ng.
  expect_ok engine run -d --name hog -m 300m --memory-swap 300m --cpus 1 --network none --runtime "$RUNTIME" sizes stress-ng --vm 4 --vm-bytes 4g --vm-keep --timeout 10000
  measure_latency
  figure "beside a memory hog (-m 300m --cpus 1): $latency ms; the hog's cgroup on the host: $(($(cgroup_file hog memory memory.max_usage_in_bytes memory.peak) >> 20)) MiB at most"
  expect_equal true "$(engine inspect -f '{{.State.Running}}' hog)" "the hog runs"
  expect_ok engine exec hog true
  expect_ok engine rm -f hog
  fork_bomb --pids-limit 200 -m 200m --cpus 1
  fork_bomb
  expect_ok engine rm -f quiet
}

# With the guest's own limits alone, too, its agent answers: the container can be removed. A process of exec has a share
# of the CPU as small as each of the bomb's thousands.
fork_bomb() {  # FLAGS...
  expect_ok engine run -d --name bomb "$@" --network none --runtime "$RUNTIME" sizes bash -c 'bomb() { bomb | bomb & }; bomb; sleep 100000'
  sleep $((5 * time_factor))
  measure_latency
  figure "beside a fork bomb (${*:-no limits}): $latency ms; processes and threads on the host: $(cgroup_file bomb pids pids.current pids.current)"
  local command
  engine_command rm -f bomb
  expect_ok timeout $((60 * time_factor)) "${command[@]}"
}

# One answer of dockerd's: CPU time in ns, memory without what is cached, processes, bytes received.
stats_of() {  # NAME
  perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new($ARGV[0]) or die; print $s "GET $ARGV[1] HTTP/1.0\r\n\r\n"; undef $/; $_ = <$s>; s/.*?\r\n\r\n//s; print' \
    "$work/docker.sock" "/containers/$1/stats?stream=false&one-shot=true" |
    jq -r '"\(.cpu_stats.cpu_usage.total_usage) \(.memory_stats.usage - (.memory_stats.stats.total_inactive_file // .memory_stats.stats.inactive_file)) \(.pids_stats.current) \([.networks[]?.rx_bytes] | add // 0)"'
}
# The same read in the guest, in the same order.
guest_stats='awk "/^usage_usec/ { printf \"%d000 \", \$2 }" /sys/fs/cgroup/cpu.stat
  awk "/^inactive_file/ { cached = \$2 } FILENAME ~ /current/ { used = \$1 } END { printf \"%d \", used - cached }" /sys/fs/cgroup/memory.current /sys/fs/cgroup/memory.stat
  cat /sys/fs/cgroup/pids.current | tr "\n" " "; cat /sys/class/net/eth0/statistics/rx_bytes'
in_guest_stats() { engine exec "$1" sh -c "$guest_stats"; }  # NAME

within_ten_percent() {  # A B WHAT
  (($1 * 10 >= $2 * 9 && $1 * 10 <= $2 * 11)) || fail "$3: docker stats says $1, the guest $2"
}

statistics() {
  local address before before_inside after after_inside
  declare -g server
  address=$(ip -4 -o addr show dev "$bridge" | grep -oP 'inet \K[0-9.]+')
  head -c 30000000 /dev/urandom >"$work/thirty"
  timeout 900 perl -MIO::Socket::INET -e '$l = IO::Socket::INET->new(LocalAddr => $ARGV[0], LocalPort => 9099, Listen => 1, ReuseAddr => 1) or die;
    while ($c = $l->accept) { open $f, "<", $ARGV[1]; print $c $_ while <$f>; close $c }' "$address" "$work/thirty" &
  server=$!
  trap 'kill "$server"' EXIT
  expect_ok engine run -d --name busy -m 1500m --cpus 2 --runtime "$RUNTIME" sizes \
    stress-ng --cpu 1 --vm 1 --vm-bytes 1000m --vm-keep --vm-method zero-one --timeout 10000
  sleep $((20 * time_factor))
  before=$(stats_of busy) before_inside=$(in_guest_stats busy)
  expect_equal 30000000 "$(engine exec busy bash -c "cat </dev/tcp/$address/9099 | wc -c")" "bytes received"
  sleep $((20 * time_factor))
  after=$(stats_of busy) after_inside=$(in_guest_stats busy)
  figure "docker stats (CPU ns, memory, pids, bytes received): before $before, after $after"
  figure "read in the guest: before $before_inside, after $after_inside"
  read -r -a before <<<"$before"; read -r -a after <<<"$after"
  read -r -a before_inside <<<"$before_inside"; read -r -a after_inside <<<"$after_inside"
  within_ten_percent $((after[0] - before[0])) $((after_inside[0] - before_inside[0])) "CPU time"
  within_ten_percent $((after[3] - before[3])) $((after_inside[3] - before_inside[3])) "bytes received"
  # QEMU and virtiofsd have memory of their own.
  [[ ${after[1]} -gt ${after_inside[1]} && ${after[1]} -lt $((after_inside[1] + (400 << 20))) ]] || fail "memory: docker stats says ${after[1]}, the guest ${after_inside[1]}"
  expect_ok engine rm -f busy
}

begin_docker || { report "not ok" "there is no Docker (scripts/install-deps test)" ""; end_topic; }
import_image
it "a JVM sees the CPUs and the memory that it sees under runc" heap_of_java 300
it "node's heap follows the limit" heap_of_node 200
it "CPUs by --cpus and --cpuset-cpus" flags_of_cpus 200
it "--oom-kill-disable" oom_kill_disable
it "memory and CPUs change under stress-ng --verify" memory_under_load 300
it "memory and CPUs change under pgbench" database_under_load 400
it "hogs of CPU, memory and processes beside another container" beside_hogs 400
it "docker stats beside what the guest says" statistics 200
[[ ! -s $work/figures ]] || sed 's/^/       /' "$work/figures"
