# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Containers that get a VM of the pool, beside a boot and beside runc. Sourced by scripts/bench.
# $POOL_STARTS: how many containers one after the other (default "10 50").
# shellcheck disable=SC2154  # work, rounds, husk: of the parts before it

pooled() { "$husk" --config "$work/pool.toml" --root "$(root_of husk)" "$@"; }
count_ready() { pooled pool status --json | jq 'map(select(.state == "ready")) | length'; }
await_pool() {  # SIZE
  local i
  for ((i = 0; i < 600; i++)); do
    [[ $(count_ready) -lt $1 ]] || { sleep 1; return; }
    sleep 0.1
  done
  die "the pool does not get full"
}
set_pool_size() {  # SIZE
  printf '[pool]\nsize = %d\n' "$1" >"$work/pool.toml"
  pooled pool fill >/dev/null
}

percentile() { sort -n "$1" | awk '{ v[NR] = $1 } END { i = int((NR * 95 + 99) / 100); print v[i] }'; }  # FILE: 95 %

# One after the other, each as soon as the one before has ended.
measure_row() {  # COUNT
  local i ready warm=0
  await_pool 2
  for ((i = 0; i < $1; i++)); do
    ready=$(count_ready)
    ((ready == 0)) || warm=$((warm + 1))
    milliseconds pooled run --bundle "$work/true-husk" bench-run >>"$work/pool-row-$1"
  done
  percentile "$work/pool-row-$1" >"$work/pool-row-$1.95"
  echo "$warm" >"$work/pool-row-$1.warm"
  row "$1 starts one after the other, a pool of 2" ms "$work/pool-row-$1"
  row "$1 starts one after the other, a pool of 2: 95 % took no longer than" ms "$work/pool-row-$1.95"
  row "$1 starts one after the other, a pool of 2: got a VM that was ready" starts "$work/pool-row-$1.warm"
}

measure_together() {
  local i n pids
  for ((i = 0; i < rounds_together; i++)); do
    await_pool 2
    local start=${EPOCHREALTIME/[.,]/} end
    pids=()
    for ((n = 0; n < 8; n++)); do
      pooled run --bundle "$work/true-husk" "bench-run-$n" >/dev/null 2>"$work/together.err" </dev/null &
      pids+=($!)
    done
    for n in "${pids[@]}"; do wait "$n" || die "of 8 at once one failed: $(cat "$work/together.err")"; done
    end=${EPOCHREALTIME/[.,]/}
    echo $(((end - start) / 1000)) >>"$work/pool-together"
  done
  row '8 `run` of `true` at once, a pool of 2' ms "$work/pool-together"
}

# shellcheck disable=SC2016  # backquotes are Markdown
bench_pool() {
  local i n
  set_pool_size 1
  for ((i = 0; i < rounds; i++)); do
    await_pool 1
    milliseconds pooled run --bundle "$work/true-husk" bench-run >>"$work/pool-warm"
    await_pool 1
    milliseconds runtime husk run --bundle "$work/true-husk" bench-run >>"$work/pool-cold"
    milliseconds runtime runc run --bundle "$work/true-runc" bench-run >>"$work/pool-runc"
    runtime runc delete --force bench-run
    say "bench: pool $((i + 1)) of $rounds: $(tail -n 1 "$work/pool-warm") ms, cold $(tail -n 1 "$work/pool-cold") ms" >&2
  done
  row '`run` of `true`, with a VM of the pool' ms "$work/pool-warm" 'with a boot' "$work/pool-cold" runc "$work/pool-runc"
  pooled pool status --json | jq '.[0].memoryBytes / 1048576 | round' >"$work/pool-memory"
  row 'a VM of the pool: memory of the host' MiB "$work/pool-memory"
  set_pool_size 2
  for n in ${POOL_STARTS:-10 50}; do measure_row "$n"; done
  measure_together
  pooled pool drain >/dev/null
}
