# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The containers that scripts/bench measures, of husk, runc and crun. Sourced after bench/bare_vm.bash.
# shellcheck disable=SC2154  # work, husk, top: of those who source it
runtimes=() left_out=() others=()  # those that start here; why others do not; what `beside` found

# Each has a root of its own, so that `list` shows nothing else.
root_of() { echo "$work/root-$1"; }  # RUNTIME
runtime() {  # RUNTIME ARGUMENTS...
  local program=$1
  [[ $1 != husk ]] || program=$husk
  "$program" --root "$(root_of "$1")" "${@:2}"
}

prepare_bundles() {
  local one program
  for one in husk runc crun; do
    program=$one
    [[ $one != husk ]] || program=$husk
    # By its own `spec`: crun of Debian 12 refuses later versions.
    make_bundle "$work/true-$one" "$program" '.process.args = ["true"]'
    make_bundle "$work/sleep-$one" "$program" '.process.args = ["sleep", "1000"]'
    if runtime "$one" run --bundle "$work/true-$one" bench-try >"$work/try" 2>&1 </dev/null; then
      runtime "$one" delete --force bench-try
      runtimes+=("$one")
    else
      [[ $one != husk ]] || die "husk run: $(cat "$work/try")"
      left_out+=("$one does not start here and is left out: $(tail -n 1 "$work/try")")
    fi
  done
}

# The files of the others' values, as `row` wants them.
beside() {  # NAME
  local one
  others=()
  for one in "${runtimes[@]}"; do
    [[ $one == husk ]] || others+=("$one" "$work/$1.$one")
  done
}

start_sleep() {  # RUNTIME: container bench-sleep
  runtime "$1" run --detach --bundle "$work/sleep-$1" --pid-file "$work/sleep-$1.pid" bench-sleep \
    >/dev/null 2>"$work/start.err" </dev/null || die "$1 run: $(cat "$work/start.err")"
}

vm_record() {  # of husk's bench-sleep
  echo "/run/husk-vm/$(jq -r .vmId "$(root_of husk)/bench-sleep/state.json")/vm.json"
}

# The bare VM is made from the command line of one of husk's.
learn_bare_vm() {
  mkdir -p "$work/off"
  cc -static -Os -s -o "$work/off/init" "$top/bench/off.c"
  (cd "$work/off" && echo init | cpio -o -H newc --quiet >"$work/off.cpio")
  remember_qemus before
  start_sleep husk
  take_command_line "$(new_qemu)" "$work/off.cpio" bench
  bare=(unshare --net "${bare[@]}")  # its tap is nobody's business
  runtime husk delete --force bench-sleep
}

delete_all() {
  local one id
  for one in "${runtimes[@]}"; do
    rm -rf "$(root_of "$one")"/copy-*
    for id in $(runtime "$one" list -q); do runtime "$one" delete --force "$id"; done
  done
}
