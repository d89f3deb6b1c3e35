# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the host has less for each of many idle containers, each in a VM of its own. Sourced by scripts/bench.
# shellcheck disable=SC2154  # work: of the parts before it

available_kib() { awk '/^MemAvailable:/ { print $2 }' /proc/meminfo; }
qemu_of_idle() { jq .process.pid "/run/husk-vm/$(jq -r .vmId "$(root_of husk)/bench-idle-$1/state.json")/vm.json"; }  # NUMBER

# CPU time of all QEMUs so far, in hundredths of a second.
ticks_of_idle() {  # N
  local i
  for ((i = 0; i < $1; i++)); do cat "/proc/$(qemu_of_idle "$i")/stat"; done | sed 's/.*) //' | awk '{ sum += $12 + $13 } END { print sum }'
}

settle() {
  sync
  echo 3 >/proc/sys/vm/drop_caches
  sleep 10
}

# Each of them answers, and the last is as quick as the first.
bench_density() {
  local n i started=0 before ticks
  settle
  before=$(available_kib)
  for n in ${DENSITY:-1 8 40}; do
    for ((; started < n; started++)); do
      runtime husk run --detach --bundle "$work/sleep-husk" "bench-idle-$started" >/dev/null 2>"$work/start.err" </dev/null ||
        die "container $((started + 1)) of $n: $(cat "$work/start.err")"
    done
    settle
    echo $(((before - $(available_kib)) / n)) >"$work/density-$n.kib"
    ticks=$(ticks_of_idle "$n")
    sleep 20
    echo $((($(ticks_of_idle "$n") - ticks) * 500 / n)) >"$work/density-$n.cpu"
    for ((i = 0; i < n; i++)); do
      milliseconds runtime husk exec "bench-idle-$i" true >>"$work/density-$n.exec"
    done
    row "$n idle containers: memory that the host has less, for each" KiB "$work/density-$n.kib"
    row "$n idle containers: CPU time of QEMU, for each" 'millionths of a CPU' "$work/density-$n.cpu"
    row "$n idle containers: \`exec\` of \`true\` in each" ms "$work/density-$n.exec"
    say "bench: $n idle: $(cat "$work/density-$n.kib") KiB each" >&2
  done
  for ((i = 0; i < started; i++)); do runtime husk delete --force "bench-idle-$i"; done
}
