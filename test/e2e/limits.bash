# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A container's limits, in its guest: those of config.json, `update`, and what `events` tells.

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"

limit() {  # CONTAINER FILE
  husk exec "$1" cat "/sys/fs/cgroup/$2"
}

updating() {
  make_bundle "$work/updating" sleep 1000
  edit_config "$work/updating" '.linux.resources += {memory: {limit: 100003840, swap: 100003840}, pids: {limit: 77}}'
  expect_ok husk create --bundle "$work/updating" updating
  expect_ok husk update --pids-limit 78 updating  # while it waits for start
  expect_ok husk start updating
  expect_equal "100003840 78 0" "$(limit updating memory.max) $(limit updating pids.max) $(limit updating memory.swap.max)" "limits from the start"
  expect_ok husk update --memory 64m --memory-swap 64m --pids-limit 50 --cpu-quota 50000 updating
  expect_equal "" "$out$err" "what update prints"
  expect_equal "67108864 50 50000 100000" "$(limit updating memory.max) $(limit updating pids.max) $(limit updating cpu.max)" "limits after update"
  expect_ok husk update --cpu-period 20000 updating
  expect_equal "50000 20000" "$(limit updating cpu.max)" "a quota of another period"
  # As containerd says it, and Podman.
  run husk update --resources=- updating <<<'{"memory":{"limit":50331648,"swap":-1},"cpu":{"shares":1024}}'
  expect_status 0
  echo '{"pids":{"limit":-1},"cpu":{"cpus":"0","mems":"0"},"blockIO":{"weight":100}}' >"$work/limits.json"
  expect_ok husk update --resources "$work/limits.json" updating
  expect_equal "50331648 max 39 max" "$(limit updating memory.max) $(limit updating memory.swap.max) $(limit updating cpu.weight) $(limit updating pids.max)" "limits from JSON"
  # What is refused changes nothing.
  expect_failure 1 '--memory: "much" is not a valid size' husk update --memory much updating
  expect_failure 1 'linux.resources: no.such' husk update --resources - updating <<<'{"memory":{"limit":4096000},"unified":{"no.such":"1"}}'
  expect_failure 1 "is less than the memory limit" husk update --memory 40m --memory-swap 30m updating
  expect_failure 1 "memory.limit: expected a number" husk update -r - updating <<<'{"memory":{"limit":"1"}}'
  expect_failure 1 "no such file" husk update -r /no/such/file updating
  expect_equal "50331648 max" "$(limit updating memory.max) $(limit updating memory.swap.max)" "limits after failures"
  expect_ok husk pause updating
  expect_ok husk update --memory 44m updating
  expect_ok husk resume updating
  expect_equal "46137344" "$(limit updating memory.max)" "what a paused container was told"
  expect_ok husk kill updating KILL
  eventually 20 is_state updating stopped
  expect_failure 1 "container not running" husk update --memory 64m updating
  expect_ok husk delete updating
  expect_failure 1 "container does not exist" husk update --memory 64m updating
}

guest_memory_mib() {  # CONTAINER
  husk exec "$1" awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo
}
has_memory_mib() {  # CONTAINER LEAST MOST
  local mib
  mib=$(guest_memory_mib "$1")
  [[ $mib -ge $2 && $mib -le $3 ]]
}
cpus_of() { husk exec "$1" grep -c '^processor' /proc/cpuinfo; }  # CONTAINER

# Of the cgroup on the host that QEMU is in.
host_limit() {  # CONTAINER V1_CONTROLLER V1_FILE V2_FILE
  local vm pid path
  vm=$(jq -r .vmId "$work/root/$1/state.json")
  pid=$(jq -r .process.pid "/run/husk-vm/$vm/vm.json")
  if path=$(grep -oP "^[0-9]+:([^:]*,)?$2(,[^:]*)?:\\K.*" "/proc/$pid/cgroup"); then
    cat "/sys/fs/cgroup/$2$path/$3"
  else
    cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")/$4"
  fi
}
host_memory_mib() { echo $(($(host_limit "$1" memory memory.limit_in_bytes memory.max) >> 20)); }  # CONTAINER
host_quota() { host_limit "$1" cpu cpu.cfs_quota_us cpu.max | cut -d ' ' -f 1; }                  # CONTAINER

# Only a real guest takes memory and switches CPUs. The first process sees all of both, and uses them.
sized_vm() {
  local two=$(($(nproc) < 2 ? 1 : 2))  # no more than the host has
  make_bundle "$work/sized" sh -c 'grep -c ^processor /proc/cpuinfo; dd if=/dev/zero of=/dev/null bs=600M count=1 2>&1; exec sleep 1000'
  edit_config "$work/sized" '.linux.resources += {memory: {limit: 838860800}, cpu: {quota: 150000, period: 100000}}'
  husk run --detach --bundle "$work/sized" sized >"$work/sized.out" 2>&1 || fail "run: $(cat "$work/sized.out")"
  eventually 90 grep -q "records out" "$work/sized.out"
  expect_equal "$two" "$(head -1 "$work/sized.out")" "CPUs that the first process sees"
  has_memory_mib sized 800 1050 || fail "memory: $(guest_memory_mib sized) MiB"
  local at_start
  at_start=$(host_memory_mib sized)
  [[ $at_start -gt 1050 && $at_start -lt 3700 ]] || fail "the host's limit of memory: $at_start MiB"
  expect_equal 250000 "$(host_quota sized)" "the host's limit of CPU time"
  expect_ok husk update --memory 200m --memory-swap 200m --cpu-quota 50000 sized
  expect_equal 1 "$(cpus_of sized)" "CPUs after an update"
  eventually 30 has_memory_mib sized 200 750  # a block of 128 MiB may stay
  expect_equal 150000 "$(host_quota sized)" "the host's limit of CPU time after an update"
  expect_ok husk update --memory 1500m --memory-swap 1500m --cpu-quota 200000 sized
  expect_equal "$two" "$(cpus_of sized)" "CPUs after another update"
  has_memory_mib sized 1500 1800 || fail "memory: $(guest_memory_mib sized) MiB"
  [[ $(host_memory_mib sized) -gt $((at_start + 600)) ]] || fail "the host's limit of memory: $(host_memory_mib sized) MiB"
  # More than there can be: one line, and nothing changes.
  expect_failure 1 "not enough memory for the VM: linux.resources.memory.limit is 9536744 MiB, this host has" husk update --memory 10000000000000 --memory-swap -1 sized
  has_memory_mib sized 1500 1800 || fail "memory: $(guest_memory_mib sized) MiB"
  expect_equal 1572864000 "$(limit sized memory.max)" "the limit"
  expect_ok husk delete --force sized
  edit_config "$work/sized" '.linux.resources.memory.limit = 10000000000000'
  expect_failure 1 "not enough memory for the VM: linux.resources.memory.limit is 9536744 MiB, this host has" husk run --bundle "$work/sized" sized
}

# dd's buffer is more than the limit allows.
memory_hog="dd if=/dev/zero of=/dev/null bs=200M count=1"

out_of_memory() {
  make_bundle "$work/short" sh -c "while [ ! -e /now ]; do sleep 0.1; done; exec $memory_hog"
  edit_config "$work/short" '.linux.resources += {memory: {limit: 50331648}}'
  expect_ok husk run --detach --bundle "$work/short" short
  expect_failure 1 'not a valid duration' husk events --interval often short
  expect_failure 1 'not a valid duration' husk events --interval nans short
  expect_failure 1 "duration interval must be greater than 0" husk events --interval -1s short
  expect_failure 1 "duration interval must be greater than 0" husk events --interval 0s short
  expect_ok husk events --stats short
  expect_equal "1" "$(wc -l <<<"$out")" "lines of --stats"
  expect_equal "stats short 50331648 true true true" "$(jq -r '"\(.type) \(.id) \(.data.memory.usage.limit) \(.data.cpu.usage.total > 0) \(.data.pids.current > 0) \(.data.memory.usage.usage > 0)"' <<<"$out")" "statistics"
  expect_equal "true true 1" "$(jq -r '.data.vm | "\(.memory > 50000000) \(.cpu > 100000000) \(.containers)"' <<<"$out")" "what the VM costs the host"
  husk events --interval 0.3s short >"$work/short.events" 2>"$work/short.errors" &
  local watcher=$!
  eventually 20 grep -q '"type":"stats"' "$work/short.events"
  # One of several processes, then the container's first.
  run husk exec short sh -c "$memory_hog"
  expect_status 137
  eventually 10 grep -q '"type":"oom"' "$work/short.events"
  expect_equal running "$(state_of short)" "state after an exec was killed"
  touch "$work/short/rootfs/now"
  eventually 20 is_state short stopped
  wait "$watcher" || fail "events ended with $?: $(cat "$work/short.errors")"
  expect_equal 2 "$(grep -c '"type":"oom"' "$work/short.events")" "kills told"
  expect_equal "" "$(jq -r 'select(.id != "short")' "$work/short.events")" "events of others"
  expect_failure 1 "container with id short is not running" husk events --stats short
  expect_failure 1 "container with id short is not running" husk events short
  expect_ok husk delete short
}

# `events` must not keep a VM, nor hang, when that is gone.
vm_gone() {
  make_bundle "$work/gone" sleep 1000
  expect_ok husk run --detach --bundle "$work/gone" gone
  husk events --interval 200ms gone >"$work/gone.events" 2>&1 &
  local watcher=$!
  eventually 20 grep -q stats "$work/gone.events"
  expect_ok husk delete --force gone
  wait "$watcher" || fail "events ended with $?: $(cat "$work/gone.events")"
}

has_processes() { [[ $(husk events --stats "$1" | jq .data.pids.current) -ge $2 ]]; }  # CONTAINER NUMBER

# Neither container has limits. Files in memory that no process's death gives back, and then as many processes as the guest
# lets containers have: the agent must still be able to start, kill and remove what is in the VM.
exhausted_guest() {
  local tasks
  make_bundle "$work/greedy" sleep 1000
  edit_config "$work/greedy" '.mounts += ["/fill1", "/fill2" | {destination: ., type: "tmpfs", source: "tmpfs"}]'
  expect_ok husk run --detach --bundle "$work/greedy" greedy
  make_bundle "$work/beside" sleep 1000
  edit_config "$work/beside" '.linux.namespaces |= map(if .type == "network" then .path = $path else . end)' \
    --arg path "/proc/$(husk state greedy | jq .pid)/ns/net"
  expect_ok husk run --detach --bundle "$work/beside" beside
  expect_equal "$(husk exec greedy cat /proc/sys/kernel/random/boot_id)" "$(husk exec beside cat /proc/sys/kernel/random/boot_id)" "the VM of both"

  # Ends for want of room, or killed for want of memory.
  run husk exec greedy sh -c 'dd if=/dev/zero of=/fill1/all bs=1M; dd if=/dev/zero of=/fill2/all bs=1M'
  [[ $status != 0 ]] || fail "more memory was filled than the VM has"
  expect_ok husk exec beside echo "still there"
  expect_ok husk exec greedy rm /fill2/all

  tasks=$(($(guest_memory_mib beside) * 4 * 9 / 10))
  husk exec --detach greedy sh -c 'bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 1000'
  eventually 60 has_processes greedy "$tasks"
  expect_ok husk exec beside echo "still there"
  expect_ok husk exec greedy echo "and here"
  expect_ok husk kill beside KILL
  eventually 20 is_state beside stopped
  expect_ok husk delete beside
  expect_ok husk kill greedy KILL
  eventually 20 is_state greedy stopped
  expect_ok husk delete greedy
}

! is_husk || start_libvirt
at_end delete_all

it "limits of config.json and of update hold in the guest" updating 150
it "the VM has what its container's limits say, from the start and after update" sized_vm 200
it "events tells what is used, and of kills for want of memory" out_of_memory 150
it "events ends with the virtual machine" vm_gone 90
it "full memory and a fork bomb in a container without limits leave another of its VM working" exhausted_guest 240
