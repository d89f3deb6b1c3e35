# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Work with files in the root of a container (bench/file_work). FILES_CONFIG names a config.toml for a second husk beside the first,
# as with another virtiofsd, or with one that a script gives other options. Sourced by scripts/bench.
# shellcheck disable=SC2154  # work, rounds, top: of the parts before it

files_in() {  # NAME RUNTIME GLOBAL_OPTIONS...
  local name=$1 runtime=$2 bundle=$work/files-$1 what took
  rm -rf "$bundle"
  # shellcheck disable=SC2016  # jq's
  make_bundle "$bundle" "$runtime" '.root.readonly = false | .process.args = ["/usr/bin/python3", "/file_work", "/made"] | .mounts += (["usr", "lib", "lib64", "bin"] |
    map({destination: ("/" + .), source: ("/" + .), type: "bind", options: ["rbind", "ro"]}))'
  rm -rf "$bundle/rootfs/bin"
  mkdir "$bundle/rootfs/"{usr,lib,lib64,bin,made}
  cp "$top/bench/file_work" "$bundle/rootfs/"
  "$top/bench/file_work" prepare "$bundle/rootfs/made"
  "$runtime" "${@:3}" --root "$work/root-files" run --bundle "$bundle" "bench-files-$name" >"$work/files.out" 2>&1 </dev/null || die "$name: $(tail -n 3 "$work/files.out")"
  "$runtime" "${@:3}" --root "$work/root-files" delete --force "bench-files-$name" 2>/dev/null || true
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
