# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# From nothing to deleted. Sourced by scripts/bench.
# shellcheck disable=SC2154  # work, rounds: of the parts before it

# shellcheck disable=SC2016  # backquotes are Markdown
bench_start() {
  local i runtime
  for ((i = 0; i < rounds; i++)); do
    for runtime in "${runtimes[@]}"; do
      milliseconds runtime "$runtime" run --bundle "$work/true-$runtime" bench-run >>"$work/run.$runtime"
      [[ $runtime != runc ]] || runtime "$runtime" delete --force bench-run
    done
    start_devices 1
    bare_command 1
    milliseconds "${command[@]}" >>"$work/run.bare"
    stop_devices
    say "bench: start $((i + 1)) of $rounds: husk $(tail -n 1 "$work/run.husk") ms, bare VM $(tail -n 1 "$work/run.bare") ms" >&2
  done
  beside run
  row '`run` of `true`' ms "$work/run.husk" 'the same VM in bare QEMU, powered off by its `/init`' "$work/run.bare" "${others[@]}"
  for ((i = 0; i < rounds; i++)); do
    for runtime in "${runtimes[@]}"; do
      start_sleep "$runtime"
      milliseconds runtime "$runtime" delete --force bench-sleep >>"$work/delete.$runtime"
    done
  done
  beside delete
  row '`delete --force` of a running container' ms "$work/delete.husk" "${others[@]}"
}
