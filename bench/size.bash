# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the size of a VM costs: at the start, and when it changes. Sourced by scripts/bench.
# shellcheck disable=SC2154  # work, rounds: of the parts before it

# The bundle of `true` with a memory limit.
make_sized() {  # NAME MIB
  cp -a "$work/true-husk" "$work/$1"
  jq ".linux.resources.memory.limit = $(($2 << 20))" "$work/true-husk/config.json" >"$work/$1/config.json"
}

# shellcheck disable=SC2016  # backquotes are Markdown
bench_size() {
  local i size large=8192
  make_sized small 256
  make_sized large $large
  for ((i = 0; i < rounds; i++)); do
    for size in small large; do
      milliseconds runtime husk run --bundle "$work/$size" bench-size >>"$work/size.$size"
    done
    milliseconds runtime husk run --bundle "$work/true-husk" bench-size >>"$work/size.none"
  done
  row "\`run\` of \`true\` with a limit of $((large / 1024)) GiB" ms "$work/size.large" 'with a limit of 256 MiB' "$work/size.small" \
    'without a limit' "$work/size.none"
  start_sleep husk
  for ((i = 0; i < rounds; i++)); do
    milliseconds runtime husk update --memory 4g --memory-swap 4g bench-sleep >>"$work/size.up"
    milliseconds runtime husk update --memory 4g --memory-swap 4g --pids-limit $((100 + i)) bench-sleep >>"$work/size.same"
    milliseconds runtime husk update --memory 256m --memory-swap 256m bench-sleep >>"$work/size.down"
    sleep 5  # the guest gives back
  done
  row '`update` from 256 MiB to 4 GiB' ms "$work/size.up" 'that changes no memory' "$work/size.same"
  row '`update` from 4 GiB to 256 MiB' ms "$work/size.down" 'that changes no memory' "$work/size.same"
  runtime husk delete --force bench-sleep
  say "bench: size done" >&2
}
