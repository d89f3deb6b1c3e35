# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What CRI-O makes for a pod: pinned namespaces, cgroups, config.json (seen with CRI-O 1.36.3 and the cgroupfs driver;
# systemd's from its source).
# A pod is called by a short name; what belongs to it is in $work/pods/NAME.

# An id of 64 hexadecimal digits, as CRI-O makes them.
id_of() { printf '%s' "$run_id $1" | sha256sum | cut -c1-64; }  # NAME
pod_of() { echo "${1%%/*}"; }  # POD/CONTAINER
directory_of() { echo "$work/pods/$1"; }  # POD or POD/CONTAINER
pinned() { echo "$work/run/$2ns/$(id_of "$1" | cut -c1-32)"; }  # POD net|ipc|uts
# shellcheck source=test/e2e/pod_cgroup.bash
source "$here/pod_cgroup.bash"
cgroup_parent() { pod_cgroup "husk-e2e-$run_id" "$1"; }  # POD
# Containers of a pod, and its conmons. Without an infra container CRI-O makes the cgroup that it would have had by
# cgroupfs, whatever the driver.
cgroup_of() { on_systemd && echo "$(cgroup_parent "$(pod_of "$1")")/crio-$(id_of "$1").scope" || infra_cgroup "$1"; }  # NAME
conmon_cgroup() { echo "$(cgroup_parent "$(pod_of "$1")")/crio-conmon-$(id_of "$1")$(! on_systemd || echo .scope)"; }  # NAME
infra_cgroup() { echo "$(cgroup_parent "$(pod_of "$1")")/crio-$(id_of "$1")"; }  # POD
cgroups_path() {  # NAME
  if on_systemd; then echo "$(basename "$(cgroup_parent "$(pod_of "$1")")"):crio:$(id_of "$1")"; else cgroup_of "$1"; fi
}

# What pinns does, and CNI after it: the pod's namespaces as files, with the pod's sysctls and host name in them.
pin_namespaces() {  # POD ADDRESS
  local kind
  mkdir -p "$work"/run/{net,ipc,uts}ns
  for kind in net ipc uts; do touch "$(pinned "$1" $kind)"; done
  unshare --net="$(pinned "$1" net)" --ipc="$(pinned "$1" ipc)" --uts="$(pinned "$1" uts)" sh -c '
    echo "20000 30000" >/proc/sys/net/ipv4/ip_local_port_range && echo 1 >/proc/sys/kernel/shm_rmid_forced &&
    hostname "$0" && ip link set lo up' "$1-host" || fail "pin the namespaces of $1"
  [[ -z ${2:-} ]] || wire "$1" "$2"
}
in_netns() { nsenter --net="$(pinned "$1" net)" "${@:2}"; }  # POD COMMAND...
wire() {  # POD ADDRESS
  ip link add name "eth-$1" netns "$peer" type veth peer name eth0 netns "$(pinned "$1" net)" &&
    ip -n "$peer" addr add 10.91.0.1/24 dev "eth-$1" && ip -n "$peer" link set "eth-$1" up &&
    in_netns "$1" ip addr add "$2/24" dev eth0 && in_netns "$1" ip link set eth0 up &&
    in_netns "$1" ip route add default via 10.91.0.1 || fail "wire $1"
}
# The namespaces that a pod with hostNetwork has: pinned copies of the host's.
pin_host_network() {  # POD
  mount --bind /proc/self/ns/net "$(pinned "$1" net)" || fail "pin the host's network"
}
unpin_namespaces() {  # POD
  local kind file
  for kind in net ipc uts; do
    file=$(pinned "$1" $kind)
    while mountpoint -q "$file"; do umount "$file" || return 1; done
    rm -f "$file"
  done
}

# RunPodSandbox up to the infra container: files, namespaces, cgroups. kubelet has made the pod's cgroup.
begin_pod() {  # POD [ADDRESS]
  local files
  files=$(directory_of "$1")/userdata
  mkdir -p "$files/shm" "$work"/{exits,attach}
  mount -t tmpfs -o mode=1777,size=64m shm "$files/shm" || fail "mount $files/shm"
  echo "nameserver 192.0.2.53" >"$files/resolv.conf"
  echo "$1-host" >"$files/hostname"
  echo "127.0.0.1 localhost" >"$files/hosts"
  : >"$files/.containerenv"
  mkdir "$files/data"
  pin_namespaces "$@"
  make_cgroup "$(cgroup_parent "$1")"
}
drop_infra() { make_cgroup "$(infra_cgroup "$1")"; }  # POD

# The config.json of crio-dropped-c1.json and crio-infra-sandbox.json, without what only CRI-O itself reads.
# shellcheck disable=SC2016
config_filter='def bind($to; $from; $how): {destination: $to, type: "bind", source: ($files + "/" + $from), options: $how};
  ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
   "CAP_NET_BIND_SERVICE", "CAP_KILL"] as $capabilities |
  ($id == $sandbox) as $infra |
  { ociVersion: "1.3.0",
    process: {user: {uid: 0, gid: 0, additionalGids: [0]}, args: $command, cwd: "/",
              env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", "HOSTNAME=\($pod)-host"],
              capabilities: {bounding: $capabilities, effective: $capabilities, permitted: $capabilities},
              oomScoreAdj: (if $infra then $lowest_score else 990 end)},
    root: {path: $root, readonly: $infra},
    hostname: "\($pod)-host",
    mounts: ([
      {destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]},
      {destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"]},
      {destination: "/dev/pts", type: "devpts", source: "devpts", options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
      {destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]},
      {destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]},
      bind("/dev/shm"; "shm"; ["rw", "bind"]),
      bind("/etc/resolv.conf"; "resolv.conf"; [if $infra then "ro" else "rw" end, "bind", "nodev", "nosuid", "noexec"]),
      bind("/etc/hostname"; "hostname"; [if $infra then "ro" else "rw" end, "bind"])]
      + if $infra then [] else [
      {destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev", "relatime", "ro"]},
      bind("/run/.containerenv"; ".containerenv"; ["rw", "bind"]),
      bind("/data"; "data"; ["rbind", "rprivate", "rw", "bind"]),
      bind("/etc/hosts"; "hosts"; ["rbind", "rprivate", "rw", "bind"])] end),
    annotations: ({
      "io.container.manager": "cri-o", "io.kubernetes.container.name": (if $infra then "POD" else $name end),
      "io.kubernetes.cri-o.ContainerID": $id, "io.kubernetes.cri-o.ContainerType": (if $infra then "sandbox" else "container" end),
      "io.kubernetes.cri-o.SandboxID": $sandbox, "io.kubernetes.cri-o.SandboxName": "k8s_\($pod)_demo_0",
      "io.kubernetes.cri-o.Name": "k8s_\($name)_\($pod)_demo_0", "io.kubernetes.cri-o.MountPoint": $root,
      "io.kubernetes.cri-o.ResolvPath": "\($files)/resolv.conf", "io.kubernetes.cri-o.TTY": "false",
      "io.kubernetes.cri-o.Stdin": "false", "io.kubernetes.cri-o.StdinOnce": "false", "io.kubernetes.cri-o.SeccompProfilePath": "",
      "platform-runtime-path.crio.io": "", "example.org/note": "from the pod"}
      + if $infra then {
      "io.kubernetes.cri-o.CgroupParent": $parent, "io.kubernetes.cri-o.HostName": "\($pod)-host", "io.kubernetes.cri-o.HostNetwork": "false",
      "io.kubernetes.cri-o.KubeName": $pod, "io.kubernetes.cri-o.Namespace": "demo", "io.kubernetes.cri-o.PortMappings": "[]",
      "io.kubernetes.cri-o.RuntimeHandler": "husk", "io.kubernetes.cri-o.ShmPath": "\($files)/shm",
      "io.kubernetes.cri-o.HostnamePath": "\($files)/hostname", "pod-linux-overhead.crio.io": "null", "pod-linux-resources.crio.io": "null"}
      else {} end
      + if $systemd then {"org.systemd.property.CollectMode": "\u0027inactive-or-failed\u0027"}
      + if $infra then {} else {"org.systemd.property.DefaultDependencies": "true", "org.systemd.property.TimeoutStopUSec": "uint64 30000000",
      "org.systemd.property.After": "[\u0027crio.service\u0027]"} end else {} end),
    linux: ({
      resources: ({devices: [{allow: false, access: "rwm"}], cpu: {shares: 2}}
        + if $infra then {} else {memory: {limit: 268435456, swap: 268435456}, cpu: {shares: 256, quota: 100000, period: 100000}, pids: {limit: -1}} end),
      cgroupsPath: $cgroup,
      namespaces: [{type: "pid"}, {type: "network", path: $net}, {type: "ipc", path: $ipc}, {type: "uts", path: $uts}, {type: "mount"}]}
      + if $infra then {sysctl: {"kernel.shm_rmid_forced": "1", "net.ipv4.ip_local_port_range": "20000 30000"}} else {} end)}'

# With runc the caller's score counts, which this machine may not let anybody lower.
is_husk && lowest_score=-998 || lowest_score=0
as_json() { for word in "$@"; do printf %s "$word" | jq -Rs .; done | jq -s .; }  # WORD...

# The bundle of POD/CONTAINER, or of POD's infra container ("POD"). The image is a directory outside of it.
make_member() {  # NAME COMMAND...
  local name=$1 pod bundle
  shift
  pod=$(pod_of "$name")
  bundle=$(directory_of "$name")
  [[ -d $work/rootfs ]] || make_rootfs "$work/rootfs"
  mkdir -p "$bundle" "$work/storage"
  cp -a "$work/rootfs" "$work/storage/$(id_of "$name")"
  mkdir -p "$work/storage/$(id_of "$name")"/{data,run}
  jq -n "$config_filter" --argjson command "$(as_json "$@")" --argjson lowest_score "$lowest_score" --arg pod "$pod" --arg name "${name##*/}" --arg id "$(id_of "$name")" \
    --arg sandbox "$(id_of "$pod")" --arg root "$work/storage/$(id_of "$name")" --arg files "$(directory_of "$pod")/userdata" \
    --arg parent "$(cgroup_parent "$pod")" --arg cgroup "$(cgroups_path "$name")" --argjson systemd "$(on_systemd && echo true || echo false)" --arg net "$(pinned "$pod" net)" --arg ipc "$(pinned "$pod" ipc)" \
    --arg uts "$(pinned "$pod" uts)" >"$bundle/config.json" || fail "config.json of $name"
}
edit_member() { edit_config "$(directory_of "$1")" "${@:2}"; }  # NAME JQ_FILTER JQ_ARGUMENTS...
set_namespace() {  # NAME TYPE PATH
  edit_member "$1" '.linux.namespaces |= map(if .type == $type then .path = $path else . end)' --arg type "$2" --arg path "$3"
}

# CNI DEL.
unwire() { ip -n "$peer" link del "eth-$1"; }  # POD
end_pod() {  # POD
  umount "$(directory_of "$1")/userdata/shm"
  expect_ok remove_cgroup "$(cgroup_parent "$1")"
}
# What a failed test leaves is in nobody's way.
drop_pods() {
  local file
  for file in "$work"/run/*ns/*; do while umount "$file"; do :; done; done
  remove_cgroups "husk-e2e-$run_id"
} 2>/dev/null

# The pid of QEMU where it must be: in the cgroup of the pod's infra container, be it that there is none.
qemu_of() {  # POD
  local pid
  for pid in $(pids_in "$(infra_cgroup "$1")") $(! on_systemd || pids_in "$(cgroup_of "$1")"); do
    [[ $(readlink "/proc/$pid/exe") != */qemu-system-* ]] || echo "$pid"
  done
}
