# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# `state` and `list`, of one container and of 500. Sourced by scripts/bench.
# shellcheck disable=SC2154  # work, rounds: of the parts before it

many=500

# A runtime knows a container by what it wrote down: the others are copies of one that runs.
multiply_record() {  # RUNTIME
  local root copy i
  root=$(root_of "$1")
  for ((i = 1; i < many; i++)); do
    copy=$(printf 'copy-%03d' "$i")
    cp -a "$root/bench-sleep" "$root/$copy"
    find "$root/$copy" -type f -size -1M -exec sed -i "s/\"id\": *\"bench-sleep\"/\"id\":\"$copy\"/" {} +
  done
  [[ $(runtime "$1" list -q | wc -l) == "$many" ]] || die "$1 list does not show $many containers"
}

ask_in_turns() {  # NAME WHAT ARGUMENTS...
  local name=$1 what=$2 i runtime
  shift 2
  for ((i = 0; i < rounds; i++)); do
    for runtime in "${runtimes[@]}"; do
      milliseconds runtime "$runtime" "$@" >>"$work/$name.$runtime"
    done
  done
  beside "$name"
  row "$what" ms "$work/$name.husk" "${others[@]}"
}

# shellcheck disable=SC2016  # backquotes are Markdown
bench_queries() {
  local runtime
  for runtime in "${runtimes[@]}"; do start_sleep "$runtime"; done
  ask_in_turns state '`state`' state bench-sleep
  if command -v crun >/dev/null && [[ " ${runtimes[*]} " != *" crun "* ]]; then
    local i
    for ((i = 0; i < rounds; i++)); do milliseconds crun --version >>"$work/state.version"; done
    row '`state`' ms "$work/state.husk" '`crun --version`' "$work/state.version"
  fi
  ask_in_turns list '`list` of one' list
  for runtime in "${runtimes[@]}"; do multiply_record "$runtime"; done
  ask_in_turns "list-$many" "\`list\` of $many" list
  for runtime in "${runtimes[@]}"; do
    rm -rf "$(root_of "$runtime")"/copy-*
    runtime "$runtime" delete --force bench-sleep
  done
  say "bench: queries done" >&2
}
