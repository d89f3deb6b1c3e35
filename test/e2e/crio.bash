# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Pods of CRI-O, without CRI-O: its calls in its order, with its files, through conmon. Pod "plain" has no infra
# container, as is CRI-O's default; "shared" has one, as its containers share a pid namespace. The tests go on from one
# to the next.

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"
# shellcheck source=test/e2e/net.bash
source "$here/net.bash"
# shellcheck source=test/e2e/crio_pod.bash
source "$here/crio_pod.bash"
# shellcheck source=test/e2e/crio_calls.bash
source "$here/crio_calls.bash"

# Prints what the pod gave its containers: host name, a sysctl of the network and of ipc, and one that "init" sets.
show_pod='hostname; cd /proc/sys; echo $(cat net/ipv4/ip_local_port_range kernel/shm_rmid_forced net/core/somaxconn)'
show_namespaces='for type in net ipc uts pid; do readlink /proc/1/ns/$type; done'
log_of() { cut -d' ' -f4- "$(directory_of "$1")/log"; }  # NAME

init_container() {
  begin_pod plain 10.91.0.2
  drop_infra plain
  local vms
  vms=$(running_vms)
  run_member plain/init sh -c "echo 1234 >/proc/sys/net/core/somaxconn; $show_pod; echo from-init >/data/file; uname -r"
  await_end plain/init 0
  qemu_of plain >"$work/plain.qemu"
  expect_equal "plain-host 20000 30000 1 1234" "$(log_of plain/init | head -n 2 | xargs)" "host name and sysctls of the pod"
  expect_guest_kernel "$(log_of plain/init | sed -n 3p)"
  is_husk || return 0
  # Nothing runs in the pod now, and nothing says that it goes on.
  sleep 3
  expect_equal $((vms + 1)) "$(running_vms)" "VMs after the init container"
  expect_match '^[0-9]+$' "$(cat "$work/plain.qemu")" "QEMU in the cgroup that an infra container would have had"
}

two_containers() {
  local net ipc uts pid
  run_member plain/web sh -c "$show_pod; exec httpd -f -p 80 -h /data"
  run_member plain/side sh -c "$show_pod; trap 'exit 3' TERM; while :; do sleep 0.1; done"
  for name in web side; do
    eventually 10 eval "[[ \$(log_of plain/$name | wc -l) == 2 ]]"
    expect_equal "plain-host 20000 30000 1 1234" "$(log_of "plain/$name" | xargs)" "host name and sysctls in $name"
  done
  exec_sync plain/side wget -qO- http://127.0.0.1/file
  expect_equal "0 from-init" "$status $out" "localhost of the pod"
  expect_equal from-init "$(ip netns exec "$peer" busybox wget -qO- http://10.91.0.2/file)" "the pod's address"
  exec_sync plain/web sh -c "$show_namespaces; echo >/dev/shm/mine"
  read -r net ipc uts pid <<<"$(xargs <<<"$out")"
  exec_sync plain/side sh -c "$show_namespaces; ls /dev/shm"
  expect_equal "$net $ipc $uts mine" "$(sed 4d <<<"$out" | xargs)" "namespaces that are shared, and /dev/shm"
  [[ $(sed -n 4p <<<"$out") != "$pid" ]] || fail "the pid namespace is shared, too: $pid"
  ! is_husk || only_in_the_pods_cgroup
}

# QEMU is in no container's cgroup: a container's limit would end the pod, and its cgroup could not be removed.
only_in_the_pods_cgroup() {
  local name
  expect_equal "$(cat "$work/plain.qemu")" "$(qemu_of plain)" "the pod's QEMU"
  for name in init web side; do
    [[ $(programs_in "$(cgroup_of "plain/$name")") != *qemu* ]] || fail "QEMU is in the cgroup of $name"
  done
}

exec_and_update() {
  exec_sync plain/side sh -c 'echo words; exit 7'
  expect_equal "7 words" "$status $out" "ExecSync"
  run foreground_exec plain/side sh -c 'cat; echo complaint >&2; exit 9' <<<"typed"
  expect_equal "9 typed complaint" "$status $out $err" "a foreground exec"
  run husk update --resources - "$(id_of plain/web)" <<<'{"memory":{"limit":300000000,"swap":300000000},"cpu":{"quota":80000}}'
  expect_equal "0 " "$status $out$err" "update"
  ! is_husk || {
    exec_sync plain/web cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max
    expect_equal "299999232 80000 100000" "$(xargs <<<"$out")" "limits after update"
  }
}

# CRI-O shows OOMKilled if the file "oom" is in the bundle when conmon tells the exit status.
out_of_memory() {
  make_member plain/greedy sh -c 'exec dd if=/dev/zero of=/dev/null bs=200M count=1'
  edit_member plain/greedy '.linux.resources.memory = {limit: 50331648, swap: 50331648}'
  create_member plain/greedy
  start_member plain/greedy
  eventually 30 has_ended plain/greedy
  local files
  files=$(ls "$(directory_of plain/greedy)")
  await_end plain/greedy 137
  remove_member plain/greedy
  grep -qx oom <<<"$files" || fail "there is no file oom in the bundle: $files"
  exec_sync plain/web true
  expect_equal 0 "$status" "an exec in the rest of the pod"
  [[ ! -e $(directory_of plain/web)/oom && ! -e $(directory_of plain/init)/oom ]] || fail "another container has a file oom"
}

# What a buggy or hostile client of the CRI could send. Each is refused before anything enters a VM.
annotate() {  # NAME KEY VALUE
  edit_member "$1" '.annotations["io.kubernetes.cri-o." + $key] = $value' --arg key "$2" --arg value "$3"
}
contradictions() {
  local vms name value
  is_husk || skip "is about VMs"
  vms=$(running_vms)
  begin_pod other 10.91.0.3
  drop_infra other
  make_member plain/astray true
  set_namespace plain/astray network "$(pinned other net)"
  refused_member plain/astray "SandboxID|$(pinned other net)|$(pinned plain ipc)"
  make_member other/thief true
  set_namespace other/thief network "$(pinned plain net)"
  refused_member other/thief "SandboxID|$(pinned plain net)"
  make_member other/guest true
  annotate other/guest SandboxID "$(id_of plain)"
  refused_member other/guest "SandboxID|$(pinned other net)"
  make_member other/kind true
  annotate other/kind ContainerType machine
  refused_member other/kind 'ContainerType.*machine'
  make_member other/self true
  annotate other/self ContainerType sandbox  # whose SandboxID is that of another
  refused_member other/self 'ContainerType|SandboxID'
  for value in "" ../../etc $'a\nb' "$(printf 'a%.0s' {1..5000})"; do
    make_member other/named true
    annotate other/named SandboxID "$value"
    refused_member other/named SandboxID
  done
  # The namespaces of a pod that has been stopped, and a file where one was.
  unwire other
  unpin_namespaces other || fail "unmount"
  make_member other/late true
  refused_member other/late "$(pinned other net)"
  touch "$(pinned other net)"
  make_member other/later true
  refused_member other/later "$(pinned other net)"
  rm "$(pinned other net)"
  remove_cgroup "$(infra_cgroup other)" || fail "rmdir of crio-SANDBOX"
  end_pod other
  expect_equal "$vms" "$(running_vms)" "VMs"
  for name in web side; do
    exec_sync "plain/$name" hostname
    expect_equal "0 plain-host" "$status $out" "$name, after all"
  done
}

host_network() {
  local vms
  is_husk || skip "is about VMs"
  vms=$(running_vms)
  begin_pod host
  pin_host_network host
  make_member host true
  refused_member host "network.*host's"
  make_member host/dropped true
  edit_member host/dropped '.linux.namespaces |= map(select(.type != "network"))'
  refused_member host/dropped "host's network"
  expect_equal "$vms" "$(running_vms)" "VMs"
  unpin_namespaces host || fail "unmount"
  end_pod host
}

# pid mode POD: the infra container's process is pid 1 of all.
shared_pids() {
  begin_pod shared 10.91.0.4
  run_member shared sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done'
  local infra
  infra=$(cat "$(directory_of shared)/pidfile")
  for name in one two; do
    make_member "shared/$name" sleep 1000
    set_namespace "shared/$name" pid "/proc/$infra/ns/pid"
    create_member "shared/$name"
    start_member "shared/$name"
  done
  exec_sync shared/one sh -c "tr '\0' ' ' </proc/1/cmdline; ps -o args | grep -c '^sleep 1000'; $show_pod"
  expect_match '^sh -c trap "exit 0" TERM.*done '$'\n''2'$'\n''shared-host'$'\n''20000 30000 1 ' "$out" "pid 1, both containers' processes, host name and sysctls"
  # As it is not pid 1, a process without a handler ends.
  expect_ok husk kill "$(id_of shared/one)" 15
  await_end shared/one 143
  remove_member shared/one
  exec_sync shared/two true
  expect_equal 0 "$status" "an exec in the rest of the pod"
  ! is_husk || expect_match '^[0-9]+$' "$(qemu_of shared)" "QEMU in the infra container's cgroup"
}

# The pod "shared" loses its VM; "plain" goes on.
dead_vm() {
  is_husk || skip "is about VMs"
  touch "$work/run/pidns"
  mount --bind "/proc/$(cat "$(directory_of shared)/pidfile")/ns/pid" "$work/run/pidns"
  at_dead_vm || { umount "$work/run/pidns"; exit 1; }
  umount "$work/run/pidns"
}
at_dead_vm() (
  kill -KILL "$(qemu_of shared)"
  # At once, and again when everybody knows.
  make_member shared/early true
  refused_member shared/early "VM|$(id_of shared)"
  await_end shared 255
  await_end shared/two 255
  make_member shared/late true
  refused_member shared/late "VM|$(id_of shared)"
  make_member shared/later true
  set_namespace shared/later pid "$work/run/pidns"
  refused_member shared/later "VM|$(id_of shared)|$work/run/pidns"
  exec_sync plain/web hostname
  expect_equal "0 plain-host" "$status $out" "another pod"
  # StopPodSandbox signals nothing that has ended.
  unwire shared
  unpin_namespaces shared || fail "unmount"
  remove_member shared/two
  remove_member shared
  end_pod shared
)

# StopPodSandbox takes the network away first, and RemovePodSandbox removes the cgroup right after the last container.
end_without_infra() {
  local name
  unwire plain
  expect_ok husk kill "$(id_of plain/web)" 15  # pid 1 without a handler: ignored
  expect_ok husk kill "$(id_of plain/side)" 15
  await_end plain/side 3
  expect_equal running "$(state plain/web)" "state of web after its network went and it ignored the signal"
  expect_ok husk kill "$(id_of plain/web)" KILL
  await_end plain/web 137
  unpin_namespaces plain || fail "unmount"
  for name in init web side; do
    expect_ok husk delete --force "$(id_of "plain/$name")"
  done
  remove_cgroup "$(infra_cgroup plain)" ||
    fail "the pod's cgroup is busy after the last delete: $(programs_in "$(infra_cgroup plain)")"
  for name in init web side; do
    forget_member "plain/$name"
  done
  end_pod plain
  is_husk || return 0
  expect_match '^[0-9]+$' "$(cat "$work/plain.qemu")" "QEMU of the init container's VM"
  is_gone "$(cat "$work/plain.qemu")" || fail "the pod's QEMU lives"
}

[[ -x $(command -v conmon) ]] || { report skip "conmon is not installed" ""; return 0; }
at_end drop_pods
! is_husk || start_libvirt
at_end drop_namespaces
at_end delete_all
peer=$namespaces-peer
new_namespace "$peer"

it "without infra: an init container's pod stays when it has ended, with its sysctls and host name" init_container 150
it "without infra: containers share network, ipc and host name, and QEMU is in none's cgroup" two_containers 120
it "ExecSync by conmon, exec in the foreground, update" exec_and_update 90
it "a container that is killed for want of memory has a file oom in its bundle" out_of_memory 90
it "contradictory annotations and paths are refused, and the pod goes on" contradictions 120
it "a pod in the host's network is refused in clear words" host_network 60
it "with infra: containers share its pid namespace" shared_pids 150
it "a pod whose VM was killed takes no container, ends in order, and disturbs no other" dead_vm 90
it "without infra: the end leaves the pod's cgroup empty at once" end_without_infra 90
