# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Podman with a store, a configuration and a network of its own.

RUNTIME=$HUSK
# shellcheck source=test/e2e/engine_list.bash
source "$here/engine_list.bash"
# shellcheck source=test/e2e/engine_session.bash
source "$here/engine_session.bash"
# shellcheck source=test/e2e/engine_pod.bash
source "$here/engine_pod.bash"
# shellcheck source=test/e2e/engine_pool.bash
source "$here/engine_pool.bash"
# shellcheck source=test/e2e/podman_pod.bash
source "$here/podman_pod.bash"
# shellcheck source=test/e2e/podman_kube.bash
source "$here/podman_kube.bash"
# shellcheck source=test/e2e/net.bash
source "$here/net.bash"
engine_command() {
  # --runtime is a global flag of Podman; its run has none.
  local arguments=() word skip_next=""
  for word in "$@"; do
    if [[ -n $skip_next ]]; then skip_next=""; continue; fi
    if [[ $word == --runtime ]]; then skip_next=yes; continue; fi
    arguments+=("$word")
  done
  podman_of "$work"
  command=("${podman[@]}" --runtime "$runtime_program" "${arguments[@]}")
}

configure_podman() {
  mkdir -p "$work/networks" "$work/tmp"
  # The ulimits: Podman asks for its own, and without CAP_SYS_RESOURCE they cannot be raised to what it likes.
  cat >"$work/containers.conf" <<-END
	[containers]
	default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
	log_driver = "k8s-file"
	[engine]
	runtime_supports_json = ["husk", "runc", "crun"]
	END
  at_end 'engine rm --all --force --time 0; engine network prune --force; engine rmi --all --force; ip link del cni-podman0'
}

default_network_works() {
  # Whether this machine can do it at all is seen with runc.
  podman_of "$work"
  "${podman[@]}" --runtime runc run --rm husk-test true >"$work/network.log" 2>&1 </dev/null
}

# Podman asks for the capabilities that it has itself.
known_capabilities=$(capabilities_of cat /proc/self/status) status_of_missing=127

# "box" has a command that asks for /tmp/well. Without systemd nobody runs it but us.
health_checks() {
  expect_ok engine exec box touch /tmp/well
  expect_ok engine healthcheck run box
  expect_equal healthy "$(engine inspect -f '{{.State.Health.Status}}' box)" "health"
  expect_ok engine exec box rm /tmp/well
  run engine healthcheck run box
  expect_status 1
  expect_contains unhealthy "$out$err" "what the check says"
  expect_equal unhealthy "$(engine inspect -f '{{.State.Health.Status}}' box)" "health"
  expect_contains "not well" "$(engine inspect -f '{{json .State.Health.Log}}' box)" "the log of the checks"
  expect_ok engine exec box touch /tmp/well
  expect_ok engine healthcheck run box
  expect_equal healthy "$(engine inspect -f '{{.State.Health.Status}}' box)" "health"
}

from_a_pool() {
  make_pooled_runtime 1
  expect_ok pool fill
  container_of_pool
  expect_ok pool drain
}

text_of_a_failed_create() {
  run engine run --rm --network container:base --name failing husk-test no-such-command
  expect_status 127
  expect_contains "executable file not found" "$err" "Podman's own error"
}

# A container as Kubernetes' YAML, and back as a pod.
kubernetes() {
  expect_ok engine run -d --name played --network none husk-test /bin/sleep 1000  # played without a PATH
  expect_ok engine generate kube -f "$work/played.yaml" played
  expect_contains "image: localhost/husk-test:latest" "$(cat "$work/played.yaml")" "the YAML"
  expect_ok engine rm --force --time 0 played
  [[ -x $(command -v catatonit) || -x /usr/libexec/podman/catatonit ]] || skip "podman has no catatonit here, with which it makes a pod"
  expect_ok engine play kube --network none "$work/played.yaml"
  expect_ok engine exec played-pod-played /bin/true
  expect_ok engine play kube --down "$work/played.yaml"
  expect_equal "" "$(engine pod ps -q)" "pods left"
}

# What systemd learns from a container that says when it is ready: its words, and of pids conmon's own alone.
says_that_it_is_ready() {
  "$here/net_tool" hear_notify "$work/notify.sock" >"$work/notified" 2>&1 &
  local listener=$!
  eventually 10 test -S "$work/notify.sock"
  NOTIFY_SOCKET=$work/notify.sock expect_ok engine run -d --name ready --network none --sdnotify container husk-net \
    sh -c '/net_tool notify STATUS=warming-up + notify READY=1 MAINPID=4242 STATUS=serving; exec sleep 1000'
  eventually 30 grep -q '^READY=1' "$work/notified"
  ! grep -q 4242 "$work/notified" || fail "a pid of the guest's was told: $(cat "$work/notified")"
  kill "$listener"
  expect_ok engine rm --force --time 0 ready
}

# Buildah calls the runtime in a mount namespace of its own, which libvirtd is not in. The volume shows that what is
# mounted there alone reaches the VM.
builds_an_image() {
  local vms
  vms=$(running_vms)
  mkdir -p "$work/built" "$work/volume"
  echo of-the-host >"$work/volume/file"
  cat >"$work/built/Containerfile" <<-'END'
	FROM husk-test
	RUN uname -r >/kernel && cat /volume/file >/from-volume
	RUN cat /kernel >/again
	END
  expect_ok engine build --isolation oci --network none --volume "$work/volume:/volume" -t built "$work/built"
  expect_equal "$vms" "$(running_vms)" "VMs after the build"
  expect_ok in_base built cat /again /from-volume
  expect_guest_kernel "${out%%$'\n'*}"
  expect_equal of-the-host "${out#*$'\n'}" "the volume's file"
  expect_ok engine rmi built
}

# Podman hands over mounts of type overlay, which the host has to make: the guest sees one directory.
overlays() {
  mkdir -p "$work/below"
  echo below >"$work/below/file"
  expect_ok engine run -d --name over --network none -v "$work/below:/over:O" husk-test sleep 1000
  expect_ok engine exec over sh -c 'cat /over/file && echo above >/over/file && rm /over/file && echo new >/over/file'
  expect_equal below "$out" "the file at first"
  expect_equal new "$(engine exec over cat /over/file)" "the file as the container changed it"
  expect_equal below "$(cat "$work/below/file")" "the host's file"
  expect_ok engine restart --time 0 over  # which drops the changes (podman-run(1), "Overlay Volume Mounts")
  expect_equal below "$(engine exec over cat /over/file)" "the file after a restart"
  expect_ok engine rm --force --time 0 over
  expect_equal "$(cat "$work/rootfs/etc/passwd")" \
    "$(in_base --mount type=image,source=husk-test,destination=/image husk-test cat /image/etc/passwd)" "a file of an image"
  run in_base --mount type=image,source=husk-test,destination=/image husk-test touch /image/file
  expect_contains "Read-only file system" "$err" "what writing to the image says"
}

address_in() { engine inspect -f "{{(index .NetworkSettings.Networks \"$2\").IPAddress}}" "$1"; }  # NAME NETWORK
reaches() {  # FROM ADDRESS
  expect_ok engine exec "$1" /net_tool get "$2" 7000 + udp "$2" 7000 1000
  expect_match "^$("$here/net_tool" sum "$work/rootfs/etc/passwd")"$'\n''1000 bytes from [0-9.]+$' "$out" "TCP and UDP from $1 to $2"
}

# Podman's plug-ins wire the namespace before create, two networks at once.
networks() {
  local serve=(husk-net /net_tool serve 7000 /etc/passwd)
  expect_ok engine network create named
  expect_ok engine network create other
  expect_ok engine run -d --name one --network named,other -p 127.0.0.1:27802:7000/tcp "${serve[@]}"
  expect_ok engine run -d --name two --network other "${serve[@]}"
  expect_equal "eth0 eth1 lo" "$(engine exec one ls /sys/class/net | xargs)" "links of a container in two networks"
  reaches one "$(address_in two other)"
  reaches two "$(address_in one other)"
  reaches one "$(address_in one named)"
  eventually 20 "$here/net_tool" get 127.0.0.1 27802
  expect_equal "$("$here/net_tool" sum "$work/rootfs/etc/passwd")" "$("$here/net_tool" get 127.0.0.1 27802)" "a published port"
  expect_equal lo "$(engine run --rm --network none husk-net ls /sys/class/net)" "links with --network none"
  # Names need a plug-in, dnsname, or netavark with aardvark-dns.
  if engine network inspect named | grep -E '"dns_enabled": true' >/dev/null; then
    expect_equal "$(address_in two other)" "$(engine exec one nslookup two | awk '/^Address/ { print $NF }' | tail -n 1)" "a name"
  else
    echo "no names: neither dnsname nor aardvark-dns is here"
  fi
  joined_network
  expect_ok engine rm --force --time 0 one two
  expect_ok engine network rm named other
}

# Also where it has no network but its loopback, and so no card.
joined_network() {
  local other vms
  expect_ok engine run -d --name alone --network none husk-net /net_tool serve 7000 /etc/passwd
  vms=$(running_vms)
  for other in one alone; do
    expect_ok engine run -d --name joined --network "container:$other" husk-net sleep 1000
    expect_equal "$vms" "$(running_vms)" "VMs"
    expect_ok engine exec joined /net_tool get 127.0.0.1 7000
    expect_equal "$(engine exec "$other" ls /sys/class/net | xargs)" "$(engine exec joined ls /sys/class/net | xargs)" "links"
    expect_ok engine restart --time 0 joined
    expect_ok engine exec joined /net_tool get 127.0.0.1 7000
    expect_ok engine rm --force --time 0 joined
    expect_equal "$vms" "$(running_vms)" "VMs afterwards"
  done
  expect_ok engine rm --force --time 0 alone
  reaches two "$(address_in one other)"
}

import_net_image() {
  cp -a "$work/rootfs" "$work/netfs" && copy_net_tool "$work/netfs" && tar -C "$work/netfs" -c . | engine import - husk-net >/dev/null 2>&1
}

if command -v podman >/dev/null; then
  ! is_husk || start_libvirt
  configure_podman
  make_rootfs "$work/rootfs"
  tar -C "$work/rootfs" -c . | engine import - husk-test >/dev/null 2>"$work/import.log" ||
    { cat "$work/import.log" >&2; echo "podman import failed" >&2; exit 1; }
  begin_base
  engine_process_list none --network none
  if default_network_works; then
    engine_list default
    import_net_image || echo "podman import failed" >&2
    it "a pod with a published port: shown, paused, stopped, a member and its infra container killed" pod_with_a_port 180
    it "play kube: an init container, volumes, a probe, a restart" kube_pod 120
    it "a pod that shares its network alone, with settings of the pod" pod_that_shares_net
    it "two networks, published ports, none, --network container:X" networks 240
  else
    engine_list none --network none
    report skip "Podman's default network does not work here, not with runc either" "" "$work/network.log"
  fi
  engine_session
  engine_exec_list --health-cmd 'ls /tmp/well || { echo not well; exit 1; }' --health-interval disable --health-retries 1
  it "--sdnotify=container: what the container says arrives, but for its pid" says_that_it_is_ready 120
  it "podman build: RUN in a VM" builds_an_image 120
  it "overlays: a volume with option O, an image as a mount" overlays 120
  it "containers that share pid, ipc and network namespaces" shared_namespaces 120
  it "another's pid namespace without its network is refused" refused_without_the_network
  it "a pod with shared pid namespace: made, used, restarted, removed" pod_of_podman 180
  it "a pod with a container that fails and is restarted" pod_without_pid 120
  it "a pod without an infra container" pod_without_infra
  ! is_husk || it "pods whose members have the host's network, or their own, are refused" pods_that_a_vm_cannot_have
  it "generate kube and play kube" kubernetes 120
  ! is_husk || it "a container gets a VM of the pool" from_a_pool 120
  it "podman shows the runtime's text when a command is missing" text_of_a_failed_create
else
  report skip "no podman here (scripts/install-deps test)" ""
fi
