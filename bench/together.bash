# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Several starts at once, each of its own VM. Sourced by scripts/bench.
# shellcheck disable=SC2154  # work, rounds: of the parts before it

husk_at_once() {  # N
  local i pids=()
  for ((i = 1; i <= $1; i++)); do
    runtime husk run --bundle "$work/true-husk" "bench-at-once-$i" &
    pids+=($!)
  done
  wait_for_all "${pids[@]}"
}

bare_at_once() {  # N
  local i pids=()
  for ((i = 1; i <= $1; i++)); do
    bare_command "$i"
    "${command[@]}" &
    pids+=($!)
  done
  wait_for_all "${pids[@]}"
}

wait_for_all() {
  local pid
  for pid in "$@"; do wait "$pid" || return 1; done
}

bench_together() {
  local n i
  for n in 1 2 4 8; do
    for ((i = 0; i < rounds_together; i++)); do
      milliseconds husk_at_once "$n" >>"$work/together-$n.husk"
      start_devices "$n"
      milliseconds bare_at_once "$n" >>"$work/together-$n.bare"
      stop_devices
    done
    # shellcheck disable=SC2016  # backquotes are Markdown
    row "$n times "'`run` of `true` at once' ms "$work/together-$n.husk" "$n bare VMs" "$work/together-$n.bare"
    say "bench: $n at once: husk $(tail -n 1 "$work/together-$n.husk") ms, bare VMs $(tail -n 1 "$work/together-$n.bare") ms" >&2
  done
}
