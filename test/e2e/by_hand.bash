# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# husk called by hand, as the topics without an engine do: with a root of the topic's own.

husk() { "$HUSK" --root "$work/root" "$@"; }
state_of() { husk state "$1" | jq -r .status; }
is_state() { [[ $(state_of "$1") == "$2" ]]; }

begin() {  # ID COMMAND...
  local id=$1
  shift
  make_bundle "$work/$id" "$@"
  husk run --detach --bundle "$work/$id" --pid-file "$work/$id.pid" "$id" >"$work/$id.out" 2>&1 </dev/null ||
    fail "run --detach $id: $(cat "$work/$id.out")"
}

# The older virtiofsd. Debian 13 has the newer one, in Rust, in the same place.
virtiofsd_in_c=/usr/lib/qemu/virtiofsd
has_virtiofsd_in_c() { "$virtiofsd_in_c" --version 2>&1 | grep -q 'virtiofsd version'; }

# What a failed test leaves must not disturb the leak check, which is about husk.
delete_all() {
  local id
  for id in "$work"/*root/*/; do
    [[ ! -d $id ]] || "$HUSK" --root "$(dirname "$id")" delete --force "$(basename "$id")"
  done
}
