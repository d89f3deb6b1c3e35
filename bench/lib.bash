# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the benchmarks share. Sourced after scripts/lib.bash, with $work a folder of theirs; sets rounds, husk, build.
# shellcheck disable=SC2034,SC2154  # shared with those who source it
rounds=${ROUNDS:-10}
rounds_together=${ROUNDS_TOGETHER:-5}
husk=${HUSK:-$top/build/bin/husk}
build=$(dirname "$(dirname "$husk")")

milliseconds() {  # COMMAND...: how long it ran; its failure is ours
  local start=${EPOCHREALTIME/[.,]/} end
  "$@" >"$work/last.log" 2>&1 </dev/null || die "failed: $* ($(tail -n 3 "$work/last.log"))"
  end=${EPOCHREALTIME/[.,]/}
  echo $(((end - start + 50) / 100)) | sed 's/\(.\)$/.\1/; s/^\./0./'
}

median() {  # FILE
  sort -n "$1" | awk '{ v[NR] = $1 } END { printf "%.1f", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

make_bundle() {  # DIRECTORY RUNTIME JQ_FILTER
  mkdir -p "$1"/rootfs/{bin,dev,etc,proc,sys,tmp}
  cp "$(command -v busybox)" "$1/rootfs/bin/busybox"
  for applet in sh true sleep cat grep; do ln -sf busybox "$1/rootfs/bin/$applet"; done
  "$2" spec --bundle "$1"
  jq ".process.terminal = false | $3" "$1/config.json" >"$1/config.new"
  mv "$1/config.new" "$1/config.json"
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

# The line above a table.
machine() {
  echo "$(date -u +%Y-%m-%d), $(nproc) cores ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sed -n 1p)), load $(cut -d ' ' -f 1 /proc/loadavg)"
}
