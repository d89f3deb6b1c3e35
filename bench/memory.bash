# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What one idle container takes, by process. Sourced by scripts/bench.
# shellcheck disable=SC2154  # work, rounds: of the parts before it

# Of a page that several have, each has its part.
proportional_kib() { awk '/^Pss:/ { sum += $2 } END { print sum }' /proc/"$1"/smaps_rollup; }  # PID
private_kib() { awk '/^Private_/ { sum += $2 } END { print sum }' /proc/"$1"/smaps_rollup; }  # PID

sum_kib() {  # FUNCTION PID...
  local function=$1 pid sum=0
  shift
  for pid in "$@"; do sum=$((sum + $("$function" "$pid"))); done
  echo "$sum"
}

bench_memory() {
  local record helpers device
  start_sleep husk
  record=$(vm_record)
  mapfile -t helpers < <(jq -r '.helpers[].pid' "$record")
  sum_kib proportional_kib "$(jq .process.pid "$record")" >"$work/memory.qemu"
  sum_kib proportional_kib "${helpers[@]}" >"$work/memory.virtiofsd"
  sum_kib private_kib "$(cat "$work/sleep-husk.pid")" >"$work/memory.shim"
  sum_kib private_kib "$(pgrep -x -n husk-keeper)" >"$work/memory.keeper"
  # Where the host's kernel is the vsock device there is none.
  device=$(pgrep -n -f '^[^ ]*vhost-device-vsock ' || true)
  [[ -z $device ]] || sum_kib private_kib "$device" >"$work/memory.vsock"
  # What comes back of memory that a process of the container used, by free page reporting.
  local qemu
  qemu=$(jq .process.pid "$record")
  runtime husk update --memory 1500m --memory-swap 1500m bench-sleep
  runtime husk exec bench-sleep busybox dd if=/dev/zero of=/dev/null bs=1000M count=1 2>"$work/dd.err" || die "dd: $(cat "$work/dd.err")"
  sum_kib proportional_kib "$qemu" >"$work/memory.used"
  sleep 60
  sum_kib proportional_kib "$qemu" >"$work/memory.back"
  runtime husk delete --force bench-sleep
  # The agent's, seen by a container in the guest's own pid namespace.
  make_bundle "$work/agent" "$husk" '.process.args = ["grep", "VmRSS", "/proc/1/status"] | .linux.namespaces |= map(select(.type != "pid"))'
  runtime husk run --bundle "$work/agent" bench-agent </dev/null | awk '{ print $2 }' >"$work/memory.agent"
  row 'memory of an idle sandbox: QEMU, the guest in it' KiB "$work/memory.qemu"
  row 'the same when a process used 1000 MiB and has ended' KiB "$work/memory.used" 'a minute later' "$work/memory.back"
  row 'virtiofsd' KiB "$work/memory.virtiofsd"
  row 'husk-shim, private' KiB "$work/memory.shim"
  row "the VM's keeper, private" KiB "$work/memory.keeper"
  [[ -z $device ]] || row 'vhost-device-vsock, private' KiB "$work/memory.vsock"
  row 'husk-agent, resident in the guest' KiB "$work/memory.agent"
}
