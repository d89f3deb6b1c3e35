# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The machine as the tests need it: what is on it (for the leak check), libvirt's daemons, bundles, images.

# Everything that belongs to husk and could be left, one line each, in a stable order. What an engine alone
# makes, on its first run perhaps, and keeps (Podman's libpod_parent/conmon, bridges, chains) is not in it.
# libvirt's domains are looked up in its own files, so that no daemon needs to run.
snapshot_machine() {
  {
    running_programs
    find /run/libvirt/qemu /etc/libvirt/qemu -maxdepth 1 -name '*.xml' -printf 'domain %p\n' 2>/dev/null
    find /run/libvirt/ch -maxdepth 1 -name 'husk-*' -printf 'domain %p\n' 2>/dev/null
    awk '$5 ~ "^/run/husk" || $0 ~ /virtiofs/ { print "mount " $5 }' /proc/self/mountinfo
    ip -o link show | awk -F': ' '{ sub(/@.*/, "", $2) } $2 ~ /^(vnet|tap|husk|veth)/ { print "link " $2 }'
    awk '$8 ~ /husk/ { print "socket " $8 }' /proc/net/unix
    find /run/husk /run/husk-vm /run/netns /run/docker/netns -mindepth 1 -maxdepth 2 -printf 'file %p\n' 2>/dev/null
    find /var/log/libvirt/qemu /var/log/libvirt/ch -name 'husk-*' -printf 'log %p\n' 2>/dev/null
    container_cgroups
  } | LC_ALL=C sort
}

# husk's own, and an engine's that wait for a container. One process looks at all: on a busy host each takes its time. What
# was built anew meanwhile is "(deleted)".
running_programs() {
  find /proc/[0-9]*/exe -maxdepth 0 -printf '%l\n' 2>/dev/null | sed -nE \
    's/ \(deleted\)$//; s,.*/((husk|qemu-system-|virtiofsd|vhost-device-|containerd-shim)[^/]*|conmon)$,process \1,p'
}

# Cgroups of containers, by every engine's and driver's names, and libvirt's of machines.
container_cgroups() {
  find /sys/fs/cgroup -mindepth 1 -type d -printf '%P\n' 2>/dev/null | grep -E \
    '(^|/)(husk($|/)|husk-(test|e2e)|husk-[^/]*\.scope|docker/[0-9a-f]{12}|docker-[0-9a-f]{12}|libpod-[0-9a-f]{12}|crio-|machine-qemu|[^/]*\.libvirt-(qemu|ch))' |
    sed 's/^/cgroup /'
}

libvirt_listens() { [[ -S /run/libvirt/libvirt-sock ]] && timeout $((10 * time_factor)) virsh -q -c qemu:///system version >/dev/null 2>&1; }

# Where /dev/kvm is there but cannot be used, libvirt tries it out anew for each VM: most of a minute. husk keeps
# the daemon that it starts itself from it in the same way (lib/hypervisor/daemon_cgroup.cpp).
keep_from_useless_kvm() {
  local cgroup=/sys/fs/cgroup/devices/husk-libvirt
  ! grep -qwE 'vmx|svm' /proc/cpuinfo && [[ -c /dev/kvm && -w /sys/fs/cgroup/devices/devices.deny ]] || return 0
  mkdir -p "$cgroup"
  echo 'c 10:232 rw' >"$cgroup/devices.deny"
  echo "$BASHPID" >"$cgroup/cgroup.procs"
}

# Runs a daemon and reaps for it: its VMs become orphans, and libvirt waits until those it ends are reaped, which
# pid 1 of a container may do late or never. (The number is prctl's, PR_SET_CHILD_SUBREAPER.)
reaping() {
  exec perl -e 'syscall(157, 36, 1, 0, 0, 0); my $daemon = fork; if (!$daemon) { setpgrp; exec @ARGV; exit 127 }
    $SIG{TERM} = sub { kill "TERM", $daemon }; 1 while wait > 0 || $!{EINTR}' "$@"
}

# libvirt as a host has it: running. (One started on demand by husk inside of podman would be waited for by
# conmon, which waits for all that descends from it.)
start_libvirt() {
  libvirt_listens && return
  if [[ -d /run/systemd/system ]]; then
    systemctl start virtlogd.socket libvirtd.socket && libvirt_listens && return
    echo "systemd does not start libvirtd" >&2
    exit 1
  fi
  local daemon
  for daemon in virtlogd libvirtd; do
    (
      keep_from_useless_kvm
      reaping "/usr/sbin/$daemon"
    ) >"$work/$daemon.log" 2>&1 </dev/null &
    at_end "kill $! ; wait_gone $!"
    disown
  done
  at_end await_libvirt
  local i
  for ((i = 0; i < 100; i++)); do
    libvirt_listens && return
    sleep 0.1
  done
  cat "$work"/{virtlogd,libvirtd}.log >&2
  echo "libvirtd does not answer" >&2
  exit 1
}

# What was deleted last, husk does not wait for libvirt to notice.
await_libvirt() {
  local i
  for ((i = 0; i < 50; i++)); do
    compgen -G '/run/libvirt/qemu/husk-*.xml' >/dev/null || return 0
    sleep 0.1
  done
}

# PID: ended, be it that whoever adopted it has not reaped it yet.
is_gone() { [[ ! -d /proc/$1 || $(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null) == Z ]]; }

wait_gone() {  # PID
  local i
  for ((i = 0; i < 150; i++)); do
    ! is_gone "$1" || return 0
    sleep 0.1
  done
  kill -KILL "$1"
}

make_rootfs() {  # DIRECTORY: Debian's busybox with all its applets
  local applet busybox
  busybox=$(command -v busybox)
  mkdir -p "$1"/{bin,dev,etc,proc,root,sys,tmp,mnt}
  chmod 1777 "$1/tmp"
  cp "$busybox" "$1/bin/busybox"
  for applet in $("$busybox" --list); do
    [[ $applet == busybox ]] || ln -s busybox "$1/bin/$applet"
  done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
  echo 'root:x:0:' >"$1/etc/group"
}

# A bundle whose container runs COMMAND without a terminal and without a network of the caller's.
make_bundle() {  # DIRECTORY COMMAND...
  local directory=$1
  shift
  mkdir -p "$directory"
  [[ -d $work/rootfs ]] || make_rootfs "$work/rootfs"
  cp -a "$work/rootfs" "$directory/rootfs"
  "$HUSK" spec --bundle "$directory" || fail "husk spec"
  edit_config "$directory" '.process.terminal = false | .root.readonly = false | .process.args = $command' \
    --argjson command "$(for word in "$@"; do printf %s "$word" | jq -Rs .; done | jq -s .)"
}

running_vms() {
  local exe vms=0
  for exe in /proc/[0-9]*/exe; do
    [[ $(readlink "$exe" 2>/dev/null) != */qemu-system-* ]] || vms=$((vms + 1))
  done
  echo "$vms"
}

edit_config() {  # BUNDLE JQ_FILTER JQ_ARGUMENTS...
  local directory=$1 filter=$2
  shift 2
  jq "$filter" "$directory/config.json" "$@" >"$directory/config.new" || fail "jq $filter"
  mv "$directory/config.new" "$directory/config.json"
}

# Steps of on_terminal for a shell: a resize, a line for cat, Ctrl-D, Ctrl-C.
typing_steps() {
  cat <<'STEPS'
resize 40x100
send sleep 1; stty size; cat\r
expect 40 100\r\n
send typed\r
expect typed\r\ntyped\r\n
send \x04sh -c 'echo sl""eeps; exec sleep 1000'\r
expect sleeps\r\n
send \x03
expect #
STEPS
}

expect_guest_kernel() {  # RELEASE
  is_husk || return 0
  expect_match '^[0-9]+\.[0-9]+' "$1" "the container's uname -r"
  [[ $1 != "$(uname -r)" ]] || fail "the container runs on the host's kernel $1"
  [[ ! -f $build/guest/version ]] || expect_equal "$(cat "$build/guest/version")" "$1" "the container's uname -r"
}
