# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What a run left whose shell was ended by SIGKILL, or with the machine it ran on: it cannot tear down, and its
# bridges and VMs would be in the way of the next run.

started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }  # PID

# Each run's directory names the shell it belongs to: "PID START_TIME". Only our own are believed, as everybody can
# make such a name in /tmp.
sweep_killed_runs() {
  local directory pid started
  for directory in /tmp/husk-e2e.*; do
    [[ ! -L $directory && -O $directory && -s $directory/runner ]] || continue
    read -r pid started <"$directory/runner"
    [[ $pid =~ ^[1-9][0-9]*$ ]] || continue
    is_gone "$pid" || [[ $started != "$(started_at "$pid")" ]] || continue
    echo "sweeping what was left by a run that was killed: $directory"
    sweep_run "$directory" $((pid % 100000))
  done >&2
}

sweep_run() {  # DIRECTORY RUN_ID
  local directory=$1 vm link file
  local -a vms cgroups=(-path "*/husk-e2e-$2*" -o -path "*/husk-e2e-cri-$2*")
  mapfile -t vms < <(vms_of "$directory")
  # Engines before what they would start anew or tear down; and what the tests' shells had in the background.
  pgrep -f -- "$directory/" | xargs -r kill -KILL
  for file in /proc/[0-9]*/fd/1; do
    [[ $(readlink "$file") != "$directory"/* ]] || kill -KILL "$(cut -d/ -f3 <<<"$file")"
  done
  for vm in "${vms[@]}"; do
    end_vm "/run/husk-vm/$vm"
  done
  sweep_podman "$directory"
  sweep_pods "$directory"
  awk -v w="$directory/" 'index($5, w) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r -n 1 umount -l
  for link in "huske2e$2" "husknet$2-1" "husknet$2-2"; do
    [[ ! -e /sys/class/net/$link ]] || ip link del "$link"
  done
  for file in "/run/netns/huske2e-$2-"*; do
    [[ ! -e $file ]] || ip netns del "${file##*/}"
  done
  for file in iptables ip6tables; do
    "$file" --wait -D FORWARD -i "husknet$2+" -o "husknet$2+" -j ACCEPT 2>/dev/null
  done
  for file in /run/husk/*/state.json; do
    [[ ! -e $file || $(jq -r .bundle "$file") != "$directory"/* ]] || rm -rf "${file%/*}"
  done
  rm -rf --one-file-system "$directory"
  sleep 2  # what was killed is in its cgroup for a moment, and libvirt's helpers write why they ended
  find /sys/fs/cgroup -depth -type d \( "${cgroups[@]}" \) -exec rmdir {} + 2>/dev/null
  for vm in "${vms[@]}"; do
    # The next libvirtd would find the VM gone, and write that into a new log.
    libvirt_listens || rm -f /run/libvirt/qemu/*husk-"$vm"*
    rm -f /var/log/libvirt/qemu/husk-"$vm"*
  done
}

# Its CNI plug-ins alone know which bridges, namespaces, addresses and rules belong to which container.
sweep_podman() {  # DIRECTORY
  local -a podman
  [[ -e $1/containers.conf ]] || return 0
  podman_of "$1"
  # The first call finds out that conmon is gone, and fails for it.
  timeout 60 "${podman[@]}" --runtime "$HUSK" rm --all --force --time 0 ||
    timeout 60 "${podman[@]}" --runtime "$HUSK" rm --all --force --time 0
  timeout 30 "${podman[@]}" network prune --force
} >/dev/null 2>&1

# The network namespaces of containerd's pods, which its CNI plug-ins made.
sweep_pods() {  # DIRECTORY
  local file
  for file in "$1"/state/io.containerd.runtime.v2.task/k8s.io/*/config.json; do
    [[ ! -e $file ]] || jq -r '.linux.namespaces[].path // empty' "$file"
  done | sed -n 's|.*/netns/\(cni-[0-9a-f-]*\)$|\1|p' | sort -u | xargs -r -n 1 ip netns del
}

# Podman with everything of its own in DIRECTORY, as the words of a command in $podman.
podman_of() {  # DIRECTORY
  podman=(env "CONTAINERS_CONF=$1/containers.conf" podman --root "$1/store" --runroot "$1/runroot" --storage-driver overlay
    --cgroup-manager cgroupfs --events-backend file --network-config-dir "$1/networks" --tmpdir "$1/tmp")
}

# The ones whose containers' root file systems are in DIRECTORY, as bind mounts or as an overlay's layers.
vms_of() {  # DIRECTORY
  grep -F "$1/" /proc/self/mountinfo | grep -oE ' /run/husk-vm/[^/ ]+' | cut -d/ -f4 | sort -u
}

# Adds its cgroups, and those of an engine's containers, whose ids no other cgroup has in its name, to $cgroups.
end_vm() {  # ITS_DIRECTORY
  local pid started container
  cgroups+=(-o -path "*/qemu-*-husk-${1##*/}.*")
  for container in "$1"/shared/*/rootfs; do
    container=${container%/rootfs}
    [[ ! ${container##*/} =~ ^[0-9a-f]{64}$ ]] || cgroups+=(-o -path "*/*${container##*/}*")
  done
  read -r pid started < <(jq -r '.process | "\(.pid) \(.startTime)"' "$1/vm.json" 2>/dev/null)
  [[ -z $started || $started != "$(started_at "$pid")" ]] || kill -KILL "$pid"
  while umount -l "$1" 2>/dev/null; do :; done  # its tmpfs, with all below
  rmdir "$1"
  rm -f "$1.console.log"*
}
