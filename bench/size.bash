# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the size of a VM costs: at the start, when it changes, and by default. Sourced by scripts/bench.
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

# vm.memory_mib, the memory of a container without limits, in turns.
bench_default_size() {
  local i mib sizes=(512 1024 2048 4096)
  for mib in "${sizes[@]}"; do printf '[vm]\nmemory_mib = %d\n' "$mib" >"$work/default-$mib.toml"; done
  sized() { "$husk" --config "$work/default-$1.toml" --root "$(root_of husk)" "${@:2}"; }  # MIB
  for ((i = 0; i < rounds; i++)); do
    for mib in "${sizes[@]}"; do
      milliseconds sized "$mib" run --bundle "$work/true-husk" bench-default >>"$work/default.$mib"
    done
  done
  for mib in "${sizes[@]}"; do
    milliseconds sized "$mib" run --detach --bundle "$work/sleep-husk" bench-sleep >/dev/null
    sleep 5
    sized "$mib" exec bench-sleep grep -E '^Mem(Total|Available)' /proc/meminfo | awk '{ print $2 }' | xargs >"$work/default.guest"
    sum_kib proportional_kib "$(jq .process.pid "$(vm_record)")" >"$work/default.host.$mib"
    cut -d ' ' -f 1 "$work/default.guest" >"$work/default.total.$mib"
    awk '{ print $1 - $2 }' "$work/default.guest" >"$work/default.used.$mib"
    sized "$mib" delete --force bench-sleep
    row "\`run\` of \`true\`, vm.memory_mib = $mib" ms "$work/default.$mib" "vm.memory_mib = ${sizes[0]}" "$work/default.${sizes[0]}"
    row "idle sandbox, vm.memory_mib = $mib: QEMU" KiB "$work/default.host.$mib" "vm.memory_mib = ${sizes[0]}" "$work/default.host.${sizes[0]}"
    row "idle sandbox, vm.memory_mib = $mib: used in the guest" KiB "$work/default.used.$mib" 'MemTotal' "$work/default.total.$mib"
  done
  say "bench: default_size done" >&2
}
