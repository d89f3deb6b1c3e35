# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Work with files in the root of a container (bench/file_work). FILES_CONFIG names a config.toml for a second husk beside the first,
# as with another virtiofsd, or with one that a script gives other options. Sourced by scripts/bench.
# shellcheck disable=SC2154  # work, rounds, top: of the parts before it

# The root is an overlay of the host's, as an engine makes it of an image: so the programs are in the container's root.
files_in() {  # NAME RUNTIME GLOBAL_OPTIONS...
  local name=$1 runtime=$2 bundle=$work/files-$1 what took failed=''
  rm -rf "$bundle"
  # shellcheck disable=SC2016  # jq's
  make_bundle "$bundle" "$runtime" '.root.readonly = false | .process.args = ["/usr/bin/python3", "/file_work", "/made"]'
  rm -rf "$bundle/rootfs"
  mkdir "$bundle/"{rootfs,upper,work}
  mount -t overlay -o "lowerdir=/,upperdir=$bundle/upper,workdir=$bundle/work" overlay "$bundle/rootfs"
  cp "$top/bench/file_work" "$bundle/rootfs/"
  mkdir "$bundle/rootfs/made"
  "$top/bench/file_work" prepare "$bundle/rootfs/made"
  "$runtime" "${@:3}" --root "$work/root-files" run --bundle "$bundle" "bench-files-$name" >"$work/files.out" 2>&1 </dev/null || failed=1
  "$runtime" "${@:3}" --root "$work/root-files" delete --force "bench-files-$name" 2>/dev/null || true
  umount --lazy "$bundle/rootfs"
  [[ -z $failed ]] || die "$name: $(tail -n 3 "$work/files.out")"
  while read -r what took; do echo "$took" >>"$work/files.$what.$name"; done <"$work/files.out"
  sed 's/ .*//' "$work/files.out" >"$work/files.cases"
  rm -rf "$bundle"
}

bench_files() {
  local i what
  local -a second=()
  for ((i = 0; i < rounds; i++)); do
    files_in runc runc
    files_in husk "$husk"
    [[ -z ${FILES_CONFIG:-} ]] || files_in second "$husk" --config "$FILES_CONFIG"
    say "bench: files $((i + 1)) of $rounds" >&2
  done
  while read -r what; do
    [[ -z ${FILES_CONFIG:-} ]] || second=("husk with ${FILES_CONFIG##*/}" "$work/files.$what.second")
    row "${what//_/ }" ms "$work/files.$what.husk" runc "$work/files.$what.runc" "${second[@]}"
  done <"$work/files.cases"
}
