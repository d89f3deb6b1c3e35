# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Pods of Kubernetes: containerd's CRI plug-in, called as kubelet calls it. The pod "pod" with the members "a" and "b"
# is shared by the tests until it is removed.
# shellcheck source=test/e2e/cri_containerd.bash
source "$here/cri_containerd.bash"
# shellcheck source=test/e2e/cri_volumes.bash
source "$here/cri_volumes.bash"
# shellcheck source=test/e2e/pooled.bash
source "$here/pooled.bash"

shared_pod() {
  new_pod pod '.linux.sysctls = {"net.ipv4.ip_local_port_range": "20000 30000", "kernel.shm_rmid_forced": "1"}
    | .dns_config = {servers: ["192.0.2.1"], searches: ["cluster.local"]}'
  local volume=".mounts = [{container_path: \"/volume\", host_path: \"$work/volume\"}]"
  new_member pod a "$volume" sh -c 'echo first line; echo to-stderr >&2; nc -ll -p 7000 -e cat & exec sleep 1111'
  new_member pod b "$volume" sleep 2222
  expect_equal SANDBOX_READY "$(pod_state pod)" "the pod's state"
  expect_equal "CONTAINER_RUNNING 0" "$(status_of a)" "state of a"
  expect_equal "CONTAINER_RUNNING 0" "$(status_of b)" "state of b"
  expect_ok in_member a uname -r
  expect_guest_kernel "$out"
  expect_equal "$(in_member a cat /proc/sys/kernel/random/boot_id)" "$(in_member b cat /proc/sys/kernel/random/boot_id)" "the kernel"
}

pod_network() {
  local address
  address=$(pod_address pod)
  expect_match '^172\.29\.[0-9]+\.[0-9]+$' "$address" "address"
  expect_contains "inet $address/24" "$(in_member b ip addr show eth0)" "the address in the pod"
  expect_equal hi "$(in_member b sh -c 'echo hi | nc 127.0.0.1 7000')" "b to a, over localhost"
  expect_equal hi "$(in_member b sh -c "echo hi | nc $address 7000")" "b to a, over the pod's address"
  expect_equal hi "$(echo hi | busybox nc "$address" 7000)" "the host to a"
  expect_contains "nameserver 192.0.2.1" "$(in_member a cat /etc/resolv.conf)" "resolv.conf"
}

volumes() {
  expect_ok in_member a sh -c 'echo of-a >/volume/file; echo shm-of-a >/dev/shm/file'
  expect_equal of-a "$(in_member b cat /volume/file)" "a's file, read by b"
  expect_equal of-a "$(cat "$work/volume/file")" "a's file, read on the host"
  expect_equal shm-of-a "$(in_member b cat /dev/shm/file)" "a file of /dev/shm"
}

# As two processes of a database do on its file.
locks_on_a_volume() {
  in_member a flock /volume/lock sh -c 'touch /volume/held; while [ ! -e /volume/enough ]; do sleep 0.1; done' >"$work/flock" 2>&1 &
  eventually 20 test -e "$work/volume/held"
  expect_equal "$(in_member a stat -c %d:%i /volume/lock)" "$(in_member b stat -c %d:%i /volume/lock)" "the file's identity"
  run in_member b flock -n /volume/lock true
  expect_status 1
  touch "$work/volume/enough"
  expect_ok in_member b flock -w 30 /volume/lock true
  wait $!
}

namespaces_of() {  # NAME TYPE...
  local name=$1
  shift
  in_member "$name" sh -c 'for type; do readlink "/proc/self/ns/$type"; done' - "$@"
}
first_process() { in_member "$1" cat /proc/1/cmdline | tr '\0' ' ' | sed 's/ $//'; }  # NAME

name_and_sysctls() {
  local name
  expect_equal "$(namespaces_of a net ipc uts)" "$(namespaces_of b net ipc uts)" "namespaces of the members"
  [[ $(namespaces_of a mnt) != "$(namespaces_of b mnt)" ]] || fail "the mount namespace is shared"
  for name in a b; do
    expect_equal pod "$(in_member "$name" hostname)" "host name in $name"
    expect_equal pod "$(in_member "$name" cat /etc/hostname)" "/etc/hostname of $name"
    expect_equal "20000 30000" "$(in_member "$name" cat /proc/sys/net/ipv4/ip_local_port_range | xargs)" "a network sysctl in $name"
    expect_equal 1 "$(in_member "$name" cat /proc/sys/kernel/shm_rmid_forced)" "an ipc sysctl in $name"
  done
}

# kubelet's default, shareProcessNamespace, and `kubectl debug --target`.
pid_namespaces() {
  expect_equal "sleep 1111" "$(first_process a)" "process 1 of a"
  expect_equal "sleep 2222" "$(first_process b)" "process 1 of b"
  [[ $(namespaces_of a pid) != "$(namespaces_of b pid)" ]] || fail "a and b share a pid namespace"
  new_member pod debug ".linux.security_context.namespace_options = {pid: \"TARGET\", target_id: \"$(id_of a)\"}" sleep 3333
  expect_equal "$(namespaces_of a pid)" "$(namespaces_of debug pid)" "the pid namespace of TARGET"
  expect_equal "sleep 1111" "$(first_process debug)" "process 1, as the debugger sees it"
  expect_contains "sleep 3333" "$(in_member a ps -o args)" "processes that a sees"
  new_member pod c '.linux.security_context.namespace_options.pid = "POD"' sleep 4444
  new_member pod d '.linux.security_context.namespace_options.pid = "POD"' sh -c 'trap "exit 5" TERM; while :; do sleep 0.1; done'
  expect_equal "$(namespaces_of c pid)" "$(namespaces_of d pid)" "the pid namespace of POD"
  expect_equal "/catatonit -P" "$(first_process c)" "process 1 of the pod"
  expect_contains "sleep 4444" "$(in_member d ps -o args)" "processes that d sees"
  # An orphan goes to the pause process, which reaps.
  expect_ok in_member c sh -c '(sleep 0.2 &) ; sleep 1; ! ps -o stat,args | grep "^Z"'
  expect_ok cri stop "$(id_of d)" 20
  expect_equal "CONTAINER_EXITED 5" "$(status_of d)" "d, after a stop"
  expect_equal "CONTAINER_RUNNING 0" "$(status_of c)" "c, after d's stop"
  for name in debug c d; do
    expect_ok cri stop "$(id_of $name)" 0
    expect_ok cri remove "$(id_of $name)"
  done
  expect_equal "CONTAINER_RUNNING 0" "$(status_of a)" "a, after its debugger's end"
}

exec_sync() {
  run in_member a sh -c 'echo to-stdout; echo to-stderr >&2; exit 7'
  expect_status 7
  expect_equal "to-stdout to-stderr" "$out $err" "stdout and stderr"
  expect_failure 125 "DEADLINE_EXCEEDED" cri exec-sync --timeout 2 "$(id_of a)" sleep 5555
  eventually 20 eval '! in_member a ps -o args | grep -v grep | grep "sleep 5555"'
  run in_member a no-such-command
  expect_status 125
  expect_contains "no-such-command" "$err" "a command that is not there"
}

exec_stream() {
  run cri exec "$(id_of b)" sh -c 'echo to-stdout; echo to-stderr >&2; exit 9'
  expect_status 9
  expect_equal "to-stdout to-stderr" "$out $err" "stdout and stderr"
  run cri exec --stdin "$(id_of b)" head -n 1 < <(echo typed; sleep 30)
  expect_status 0
  expect_equal typed "$out" "stdin, and back"
  expect_equal "$(printf %s 3000001)" "$(cri exec "$(id_of b)" head -c 3000001 /dev/zero | wc -c)" "bytes of a long output"
}

exec_on_terminal() {
  run cri exec --tty --stdin --resize 40x100 "$(id_of b)" sh -c 'sleep 1; tty; stty size; read line; echo "got $line"; exit 11' < <(printf 'typed\n'; sleep 30)
  expect_status 11
  expect_contains "/dev/pts/0" "$out" "the terminal"
  expect_contains "40 100" "$out" "the size"
  expect_contains "got typed" "$out" "what was typed"
}

attach() {
  new_member pod typing '.stdin = true' sh -c 'while read line; do echo "got $line"; done'
  run cri attach --stdin --until 'got one' "$(id_of typing)" < <(echo one; sleep 30)
  expect_contains "got one" "$out" "what the container says"
  run cri attach --stdin --until 'got two' "$(id_of typing)" < <(echo two; sleep 30)
  expect_contains "got two" "$out" "what it says to the next"
  expect_ok cri stop "$(id_of typing)" 0
  new_member pod terminal '.stdin = true | .tty = true' sh -c 'while read line; do echo "got $line $(stty size)"; done'
  run cri attach --stdin --tty --resize 40x100 --until 'got three 40 100' "$(id_of terminal)" < <(sleep 1; echo three; sleep 30)
  expect_contains "got three 40 100" "$out" "what the container says on its terminal"
  expect_ok cri stop "$(id_of terminal)" 0
}

port_forward() {
  run cri port-forward --until forwarded "$(id_of pod)" 7000 < <(echo forwarded; sleep 30)
  expect_equal forwarded "$out" "what a's server echoes"
  run cri port-forward "$(id_of pod)" 7999 < <(echo to-nobody; sleep 30)
  [[ $status != 0 || -z $out ]] || fail "nobody listens at the port, and yet: $out"
}

statistics() {
  local stats
  expect_ok cri stats "$(id_of a)"
  stats=$out
  expect_equal true "$(jq '.stats.attributes.metadata.name == "a" and (.stats.cpu.usage_core_nano_seconds.value | tonumber) > 0
    and (.stats.memory.working_set_bytes.value | tonumber) > 0' <<<"$stats")" "CPU and memory of a: $stats"
  expect_ok cri pod-stats "$(id_of pod)"
  stats=$out
  expect_equal true "$(jq '.stats.linux | (.cpu.usage_core_nano_seconds.value | tonumber) > 0
    and (.memory.working_set_bytes.value | tonumber) > 0 and (.network.default_interface.rx_bytes.value | tonumber) > 0
    and ([.containers[].attributes.metadata.name] | contains(["a", "b"]))' <<<"$stats")" "statistics of the pod: $stats"
}

update_resources() {
  expect_ok cri update "$(id_of a)" '{"cpu_shares": 512, "cpu_quota": 50000, "cpu_period": 100000, "memory_limit_in_bytes": 67108864}'
  expect_ok in_member a true
  # The limit holds in the guest, and for a alone: dd has a buffer of one block.
  run in_member a dd if=/dev/zero of=/dev/null bs=100M count=1
  expect_status 137
  expect_ok in_member b dd if=/dev/zero of=/dev/null bs=100M count=1
  expect_equal "CONTAINER_RUNNING 0" "$(status_of a)" "a, after its process ran out of memory"
}

logs() {
  expect_match '^[0-9T:.Z+-]+ stdout F first line$' "$(grep first "$work/logs/pod/a.log")" "a line of the log"
  expect_match '^[0-9T:.Z+-]+ stderr F to-stderr$' "$(grep to-stderr "$work/logs/pod/a.log")" "a line of stderr in the log"
  new_member pod ticking . sh -c 'i=0; while :; do echo tick $((i += 1)); sleep 0.1; done'
  eventually 20 grep -q 'tick 3$' "$work/logs/pod/ticking.log"
  mv "$work/logs/pod/ticking.log" "$work/logs/pod/rotated.log"
  expect_ok cri reopen-log "$(id_of ticking)"
  eventually 20 grep -q 'stdout F tick ' "$work/logs/pod/ticking.log"
  expect_ok cri stop "$(id_of ticking)" 0
  # Each tick is in one of both, once.
  expect_equal "" "$(cat "$work"/logs/pod/{rotated,ticking}.log | awk '$NF != ++n { print "wanted " n ", got " $0 }' | head -n 3)" "ticks"
  expect_ok cri remove "$(id_of ticking)"
}

# The work of one that ends is there for those after it.
init_container() {
  new_member pod init ".mounts = [{container_path: \"/volume\", host_path: \"$work/volume\"}]" \
    sh -c 'echo initialised >/volume/init'
  becomes init "CONTAINER_EXITED 0"
  expect_ok cri remove "$(id_of init)"
  expect_equal initialised "$(in_member a cat /volume/init)" "what the init container wrote"
}

missing_command() {
  out=$(new_member pod missing . no-such-command 2>&1) && fail "it started"
  expect_contains '"no-such-command": executable file not found in $PATH' "$out" "the call's error"
  expect_equal "CONTAINER_EXITED 128" "$(status_of missing)" "the container"
  expect_equal StartError "$(cri container-status "$(id_of missing)" | jq -r .status.reason)" "the reason"
  expect_ok cri remove "$(id_of missing)"
}

# The node's kernel counts no kill of the guest's; husk has it count one.
out_of_memory() {
  new_member pod greedy '.linux.resources = {memory_limit_in_bytes: 67108864}' dd if=/dev/zero of=/dev/null bs=200M count=1
  becomes greedy "CONTAINER_EXITED 137"
  expect_equal OOMKilled "$(cri container-status "$(id_of greedy)" | jq -r .status.reason)" "the reason"
  expect_equal "CONTAINER_RUNNING 0" "$(status_of a)" "a, after another's end"
  expect_ok cri remove "$(id_of greedy)"
}

# As kubelet does for a member that crashes: a new container with the same name and another attempt.
crash_loop() {
  local attempt vms
  vms=$(running_vms)
  for ((attempt = 0; attempt < 10; attempt++)); do
    new_member pod crashing ".metadata.attempt = $attempt" sh -c "echo attempt $attempt; exit 3"
    becomes crashing "CONTAINER_EXITED 3"
    expect_contains "attempt $attempt" "$(cat "$work/logs/pod/crashing.log")" "the log"
    expect_ok cri remove "$(id_of crashing)"
  done
  expect_equal "CONTAINER_RUNNING 0" "$(status_of a)" "a, after another's crashes"
  expect_equal "$vms" "$(running_vms)" "VMs"
  expect_ok in_member b true
}

containerd_restarts() {
  local killed boot
  boot=$(in_member a cat /proc/sys/kernel/random/boot_id)
  killed=$(containerd_pid)
  kill -KILL "$killed"
  wait_gone "$killed"
  start_containerd
  expect_equal SANDBOX_READY "$(pod_state pod)" "the pod's state"
  expect_equal "CONTAINER_RUNNING 0" "$(status_of a)" "state of a"
  expect_equal "$boot" "$(in_member a cat /proc/sys/kernel/random/boot_id)" "the kernel"
  run cri exec --stdin "$(id_of b)" head -n 1 < <(echo typed; sleep 30)
  expect_equal typed "$out" "a stream"
  new_member pod later . sh -c 'exit 4'
  becomes later "CONTAINER_EXITED 4"
  expect_ok cri stop "$(id_of a)" 1
  expect_equal "CONTAINER_EXITED 137" "$(status_of a)" "a, which ignores SIGTERM as process 1"
}

stop_and_remove() {
  expect_ok cri stop-pod "$(id_of pod)"
  expect_equal SANDBOX_NOTREADY "$(pod_state pod)" "the pod's state"
  expect_equal "CONTAINER_EXITED 137" "$(status_of b)" "b, after the pod's stop"
  expect_ok cri stop-pod "$(id_of pod)"
  remove_pod pod
  expect_ok cri remove-pod "$(id_of pod)"
  expect_equal "0 0" "$(cri list-pods | jq '.items | length') $(cri list | jq '.containers | length')" "pods and containers left"
  expect_nothing_left
}

# kubelet gives such a pod no host name of its own.
host_network() {
  out=$(new_pod hostly 'del(.hostname) | .linux.security_context.namespace_options.network = "NODE"' 2>&1) && fail "it runs"
  expect_contains "the host's network namespace cannot be used" "$out" "the call's error"
  expect_equal 0 "$(cri list-pods | jq '.items | length')" pods
  expect_ok remove_cgroup "$(pod_cgroup "$cgroups" hostly)"
  expect_nothing_left
}

vm_dies() {
  local vm pid
  new_pod dying
  new_member dying e . sleep 1000
  new_member dying f '.linux.security_context.namespace_options.pid = "POD"' sleep 1000
  vm=$(vm_directory dying)
  [[ -n $vm ]] || fail "no VM has the pod"
  pid=$(jq .process.pid "$vm/vm.json")
  kill -KILL "$pid"
  becomes e "CONTAINER_EXITED 255"
  becomes f "CONTAINER_EXITED 255"
  eventually 30 eval '[[ $(pod_state dying) == SANDBOX_NOTREADY ]]'
  run in_member e true
  [[ $status == 125 ]] || fail "exec in a container whose VM is gone: $status"
  expect_ok cri remove "$(id_of e)"
  remove_pod dying
  expect_nothing_left
}

whole_life() {  # NUMBER
  new_pod "many$1"
  new_member "many$1" "member$1" . sh -c "echo said-$1; exec sleep 1000"
  expect_equal "many$1" "$(in_member "member$1" hostname)" "host name of pod $1"
  eventually 30 grep -q "said-$1" "$work/logs/many$1/member$1.log"
  remove_pod "many$1"
}

# Fewer where ten starts take longer than kubelet waits for one: $HUSK_TEST_PODS.
many_pods=${HUSK_TEST_PODS:-10}
pods_at_once() {
  local n pids=() wrong=''
  for ((n = 0; n < many_pods; n++)); do
    (whole_life "$n") >"$work/many.$n" 2>&1 </dev/null &
    pids[n]=$!
  done
  for ((n = 0; n < many_pods; n++)); do
    wait "${pids[n]}" || { echo "pod $n:"; grep -v "at line" "$work/many.$n"; wrong+=" $n"; }
  done
  [[ -z $wrong ]] || fail "pods that failed:$wrong"
  expect_nothing_left
}

# The runtime handler "pooled" is husk with that configuration.
from_a_pool() {
  local spare
  printf '[pool]\nsize = 1\npods = true\n' >"$work/config.toml"
  fill
  spare=$(spares ready)
  new_pod warm . pooled
  expect_equal "$(id_of warm)" "$(jq -r .pod.sandbox "/run/husk-vm/$spare/vm.json")" "the pod of the VM"
  new_member warm in-warm . sleep 1000
  expect_equal "$(id_of warm) $(id_of in-warm)" "$(jq -r '.members | map(.id) | join(" ")' "/run/husk-vm/$spare/vm.json")" "the VM's containers"
  expect_contains "inet $(pod_address warm)/24" "$(in_member in-warm ip addr show eth0)" "the address in the pod"
  remove_pod warm
  [[ ! -e /run/husk-vm/$spare ]] || fail "the VM outlives its pod"
  expect_ok pooled pool drain
  expect_nothing_left
}

if cri_is_here; then
  ! is_husk || start_libvirt
  write_settings
  at_end remove_cgroups "$cgroups"
  at_end "ip link del $bridge"
  at_end stop_containerd
  ! is_husk || at_end "[[ ! -e $work/config.toml ]] || pooled pool drain"
  start_containerd
  make_images
  ! on_systemd || make_cgroup "$(slice_path "$cgroups.slice")"
  pods_leave | LC_ALL=C sort >"$work/idle"
  it "a pod with two containers, in one VM" shared_pod 120
  it "the pod's network: from the host, between its containers" pod_network
  it "a volume and /dev/shm of two containers" volumes
  it "flock(2) between two containers, on a volume" locks_on_a_volume
  it "the pod's host name, sysctls and namespaces in its containers" name_and_sysctls
  it "pid namespaces: CONTAINER, POD, TARGET" pid_namespaces 120
  it "ExecSync: exit status, streams, time limit" exec_sync
  it "Exec: streams, exit status" exec_stream
  it "Exec on a terminal" exec_on_terminal
  it "Attach, with and without a terminal" attach
  it "PortForward" port_forward
  it "ContainerStats and PodSandboxStats" statistics
  it "UpdateContainerResources" update_resources
  it "logs, and their rotation" logs
  it "an init container" init_container
  it "a container whose command is missing" missing_command
  it "a container that takes too much memory" out_of_memory
  it "a container that crashes and is made anew, ten times" crash_loop 180
  it "kill -9 of containerd, and its return" containerd_restarts 120
  it "StopPodSandbox and RemovePodSandbox leave nothing" stop_and_remove 120
  test_volumes
  if is_husk; then
    it "a pod in the host's network is refused" host_network
    it "a pod whose VM is killed" vm_dies 120
    it "a pod gets a VM of the pool" from_a_pool 180
  fi
  it "$many_pods pods at once" pods_at_once 300
else
  report skip "no containerd, CNI plug-ins, protoc or Python's grpc here (scripts/install-deps test)" ""
fi
