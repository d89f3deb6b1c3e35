# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# containerd with its CRI plug-in, started for a topic alone: its own directories, socket, bridge and images. Pods are
# made as kubelet makes them, by test/cri/cri. Ids of pods and containers are in files, as each test has a shell of its own.
# shellcheck source=test/e2e/net.bash
source "$here/net.bash"
# shellcheck source=test/e2e/pod_cgroup.bash
source "$here/pod_cgroup.bash"

cri() { PYTHONPATH=$work/api PYTHONDONTWRITEBYTECODE=1 timeout $((180 * time_factor)) "$top/test/cri/cri" "$work/containerd.sock" "$@"; }
import_image() { ctr --address "$work/containerd.sock" --namespace k8s.io images import "$1"; }

cgroups=husk-e2e-cri-$run_id  # the parent of the pods' cgroups, which kubelet would make
bridge=huske2e$run_id

cri_is_here() {
  [[ -x $(command -v containerd) && -x $(command -v protoc) && -x /usr/lib/cni/bridge ]] &&
    /usr/bin/python3 -c 'import grpc, google.protobuf, websocket' 2>/dev/null
}

write_settings() {
  local restricted=false
  # runc cannot protect a process from the OOM killer where root lacks CAP_SYS_RESOURCE, as in many containers.
  is_husk || restricted=true
  mkdir -p "$work"/{cni,api,ids,logs,volume}
  # An address range of its own for each run: another bridge may have one of these.
  cat >"$work/cni/10-pods.conflist" <<-END
	{"cniVersion": "0.4.0", "name": "pods-$run_id", "plugins": [{"type": "bridge", "bridge": "$bridge", "isGateway": true,
	  "ipam": {"type": "host-local", "dataDir": "$work/addresses", "routes": [{"dst": "0.0.0.0/0"}],
	  "ranges": [[{"subnet": "172.29.$((RANDOM % 250)).0/24"}]]}}]}
	END
  cat >"$work/containerd.toml" <<-END
	version = 2
	root = "$work/root"
	state = "$work/state"
	[grpc]
	  address = "$work/containerd.sock"
	[plugins."io.containerd.internal.v1.opt"]
	  path = "$work/opt"
	[plugins."io.containerd.grpc.v1.cri"]
	  sandbox_image = "localhost/husk-pause:1"
	  restrict_oom_score_adj = $restricted
	  stream_server_address = "127.0.0.1"
	  [plugins."io.containerd.grpc.v1.cri".cni]
	    bin_dir = "/usr/lib/cni"
	    conf_dir = "$work/cni"
	  [plugins."io.containerd.grpc.v1.cri".containerd]
	    default_runtime_name = "under-test"
	    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.under-test]
	      runtime_type = "io.containerd.runc.v2"
	      privileged_without_host_devices = true
	      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.under-test.options]
	        BinaryName = "$HUSK"
	        Root = "$work/runtime"
	        SystemdCgroup = $(on_systemd && echo true || echo false)
	    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.pooled]
	      runtime_type = "io.containerd.runc.v2"
	      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.pooled.options]
	        BinaryName = "$work/pooled"
	        Root = "$work/runtime"
	        SystemdCgroup = $(on_systemd && echo true || echo false)
	END
  printf '#!/bin/sh\nexec %q --config %q "$@"\n' "$HUSK" "$work/config.toml" >"$work/pooled"
  chmod 0755 "$work/pooled"
  ip link add "$bridge" type bridge  # before it is needed: what is left of pods is easier to see
  protoc --proto_path="$top/test/cri" --python_out="$work/api" api.proto
}

# containerd 1.7 has a condition of its own beside these two.
is_ready() {
  [[ $(cri status 2>/dev/null | jq -c '[.status.conditions[] | select(.type | IN("RuntimeReady", "NetworkReady")).status]') == '[true,true]' ]]
}
# Reaped for, as its shims, which outlive it, become orphans.
start_containerd() {
  local i
  (reaping /usr/bin/containerd --config "$work/containerd.toml") >>"$work/containerd.log" 2>&1 </dev/null &
  echo $! >"$work/reaper.pid"
  disown
  for ((i = 0; i < 300 * time_factor; i++)); do
    ! is_ready || return 0
    [[ -d /proc/$(cat "$work/reaper.pid") ]] || break
    sleep 0.1
  done
  tail -n 30 "$work/containerd.log" >&2
  echo "containerd does not answer, or is not ready" >&2
  exit 1
}

containerd_pid() { pgrep -P "$(cat "$work/reaper.pid")" -x containerd; }

stop_containerd() {
  local pod
  for pod in $(cri list-pods | jq -r '.items[].id'); do
    cri stop-pod "$pod"
    cri remove-pod "$pod"
  done
  kill "$(cat "$work/reaper.pid")"
  wait_gone "$(cat "$work/reaper.pid")"
  # Shims that a failed test left; their command lines name the socket.
  pgrep -f -- "-address $work/containerd.sock" | xargs -r kill -KILL
  for pod in "$work"/runtime/k8s.io/*/; do
    [[ ! -d $pod ]] || "$HUSK" --root "$work/runtime/k8s.io" delete --force "$(basename "$pod")"
  done
}

# Docker's archive format, which needs no more than a layer's digest.
make_image() {  # NAME ROOTFS CONFIG
  local directory=$work/image
  mkdir -p "$directory"
  tar -C "$2" -c . >"$directory/layer.tar"
  jq -n --argjson config "$3" --arg layer "sha256:$(sha256sum <"$directory/layer.tar" | cut -d' ' -f1)" \
    '{architecture: "amd64", os: "linux", config: $config, rootfs: {type: "layers", diff_ids: [$layer]}}' >"$directory/config.json"
  jq -n --arg name "$1" '[{Config: "config.json", RepoTags: [$name], Layers: ["layer.tar"]}]' >"$directory/manifest.json"
  tar -C "$directory" -cf "$work/image.tar" manifest.json config.json layer.tar
  import_image "$work/image.tar" || { echo "ctr images import failed" >&2; exit 1; }
  eventually 30 eval "cri image-status '$1' | grep -F '\"$1\"'"
  rm -rf "$directory" "$work/image.tar"
}

# catatonit -P waits and reaps, as Kubernetes' own pause does.
make_images() {
  mkdir -p "$work/pause"
  cp "$(command -v catatonit || echo /usr/libexec/podman/catatonit)" "$work/pause/catatonit"
  make_rootfs "$work/rootfs"
  copy_program "$work/rootfs" /usr/bin/flock
  make_image localhost/husk-pause:1 "$work/pause" '{"Entrypoint": ["/catatonit", "-P"], "User": "65535:65535"}'
  make_image localhost/husk-test:1 "$work/rootfs" '{"Env": ["PATH=/bin:/usr/bin"]}'
}

# kubelet makes a pod's cgroup before the pod, in each hierarchy, and removes it afterwards.
hierarchies() { awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/self/mounts; }
make_pod_cgroup() {  # NAME
  local hierarchy directory file
  ! on_systemd || { make_cgroup "$(pod_cgroup "$cgroups" "$1")"; return; }
  for hierarchy in $(hierarchies); do
    for directory in "$hierarchy/$cgroups" "$hierarchy/$cgroups/$1"; do
      mkdir -p "$directory"
      # A new cpuset is empty in version 1.
      for file in cpuset.cpus cpuset.mems; do
        [[ $hierarchy != */cpuset ]] || cat "${directory%/*}/$file" >"$directory/$file"
      done
      # A cgroup of version 2 gives its children what it has.
      [[ $hierarchy != /sys/fs/cgroup ]] ||
        sed 's/\<[a-z]/+&/g' "$directory/cgroup.controllers" >"$directory/cgroup.subtree_control"
    done
  done
}

id_of() { cat "$work/ids/$1"; }  # NAME of a pod or a container

# A pod and its configuration, which each of its containers is made with again.
new_pod() {  # NAME [JQ_FILTER [RUNTIME_HANDLER]]
  mkdir -p "$work/logs/$1"
  jq -nc --arg name "$1" --arg logs "$work/logs/$1" --arg parent "$(pod_cgroup "$cgroups" "$1")" '{
    metadata: {name: $name, uid: "uid-\($name)", namespace: "default"}, hostname: $name, log_directory: $logs,
    linux: {cgroup_parent: $parent, security_context: {namespace_options: {pid: "CONTAINER"}}}}' |
    jq -c "${2:-.}" >"$work/$1.pod" || fail "jq"
  make_pod_cgroup "$1"
  expect_ok cri run-pod "$(cat "$work/$1.pod")" "${3:-}"
  echo "$out" >"$work/ids/$1"
}

# A container in the pod, created and started. Its pid namespace is its own: kubelet says so for both.
new_member() {  # POD NAME JQ_FILTER COMMAND...
  local pod=$1 name=$2 filter=$3 config
  shift 3
  config=$(jq -n --arg name "$name" '{metadata: {name: $name, attempt: 0}, image: {image: "localhost/husk-test:1"},
    command: $ARGS.positional, log_path: "\($name).log",
    linux: {security_context: {namespace_options: {pid: "CONTAINER"}}, resources: {}}}' --args -- "$@" | jq -c "$filter") || fail "jq"
  expect_ok cri create "$(id_of "$pod")" "$config" "$(cat "$work/$pod.pod")"
  echo "$out" >"$work/ids/$name"
  expect_ok cri start "$(id_of "$name")"
}

in_member() { local name=$1; shift; cri exec-sync "$(id_of "$name")" "$@"; }  # NAME COMMAND...
status_of() { cri container-status "$(id_of "$1")" | jq -r '.status | "\(.state) \(.exit_code)"'; }  # NAME
is_status() { [[ $(status_of "$1") == "$2" ]]; }
becomes() {  # NAME STATUS
  local i
  for ((i = 0; i < 60 * time_factor; i++)); do
    ! is_status "$1" "$2" || return 0
    sleep 0.2
  done
  fail "$1 is $(status_of "$1"), wanted $2"
}
pod_state() { cri pod-status "$(id_of "$1")" | jq -r .status.state; }  # NAME
pod_address() { cri pod-status "$(id_of "$1")" | jq -r .status.network.ip; }  # NAME

remove_pod() {  # NAME
  expect_ok cri stop-pod "$(id_of "$1")"
  expect_ok cri remove-pod "$(id_of "$1")"
  expect_ok remove_cgroup "$(pod_cgroup "$cgroups" "$1")"
}

# What a pod makes on the host: everything of husk's, cgroups, addresses and the runtime's state.
pods_leave() {
  snapshot_machine | grep -vE "/$cgroups(\.slice)?\$|husk-test-"  # of unit tests, which may run beside
  find "$work/runtime" "$work/addresses" -mindepth 2 -maxdepth 2 ! -name lock ! -name 'last_reserved*' -printf 'file %p\n' 2>/dev/null
}
nothing_is_left() { [[ -z $(comm -13 "$work/idle" <(pods_leave | LC_ALL=C sort)) ]]; }
expect_nothing_left() {
  local end=$((SECONDS + 20 * time_factor))
  until nothing_is_left; do
    ((SECONDS < end)) || break
    sleep 0.2
  done
  nothing_is_left || fail "left: $(comm -13 "$work/idle" <(pods_leave | LC_ALL=C sort))"
}

vm_directory() {  # POD_NAME
  local directory
  for directory in /run/husk-vm/*/; do
    [[ ! -e $directory/shared/$(id_of "$1") ]] || echo "$directory"
  done
}
