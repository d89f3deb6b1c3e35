# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A container in the VM of another, as the second one of a pod is. Sourced by scripts/bench.
# shellcheck disable=SC2154  # work, rounds: of the parts before it

# Makes the bundle of a container in the namespaces of bench-sleep.
make_member() {  # RUNTIME NAME PROGRAM...
  local runtime=$1 name=$2 pid
  shift 2
  pid=$(cat "$work/sleep-$runtime.pid")
  cp -a "$work/true-$runtime" "$work/$name-$runtime"
  jq --arg proc "/proc/$pid/ns/" '.process.args = $ARGS.positional |
    .linux.namespaces |= map(if .type == "network" then .path = $proc + "net" elif .type == "ipc" or .type == "uts" then
      .path = $proc + .type else . end) | del(.hostname)' "$work/true-$runtime/config.json" --args "$@" >"$work/$name-$runtime/config.json"
}

# shellcheck disable=SC2016  # backquotes are Markdown
bench_members() {
  local i one
  for one in "${runtimes[@]}"; do
    start_sleep "$one"
    make_member "$one" member true
    make_member "$one" staying sleep 1000
  done
  for ((i = 0; i < rounds; i++)); do
    for one in "${runtimes[@]}"; do
      milliseconds runtime "$one" run --bundle "$work/member-$one" bench-member >>"$work/member.$one"
      [[ $one != runc ]] || runtime "$one" delete --force bench-member
    done
  done
  beside member
  row '`run` of `true` in the namespaces of a running container: a pod'"'"'s second container' ms "$work/member.husk" "${others[@]}"
  for one in "${runtimes[@]}"; do
    for i in {1..8}; do
      milliseconds runtime "$one" run --detach --bundle "$work/staying-$one" "bench-$i" >>"$work/members.$one" 2>&1 </dev/null
    done
    for i in {1..8}; do runtime "$one" delete --force "bench-$i"; done
    runtime "$one" delete --force bench-sleep
  done
  beside members
  row '`run --detach` of eight more, one after the other' ms "$work/members.husk" "${others[@]}"
  say "bench: members done" >&2
}
