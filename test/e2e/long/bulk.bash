# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# $BULK_MIB (1024) MiB through an exec's standard streams: in, out, and both at once.

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"

mib=${BULK_MIB:-1024}

sum() { sha256sum "$@" | cut -d' ' -f1; }

begin_bulk() {
  head -c $((mib << 20)) /dev/urandom >"$work/random" || fail "no room for $mib MiB"
  sum "$work/random" >"$work/sum"
  begin bulk sleep 10000
  ln "$work/random" "$work/bulk/rootfs/random" || cp "$work/random" "$work/bulk/rootfs/random"
}

into() {
  run husk exec bulk sha256sum <"$work/random"
  expect_status 0
  expect_equal "$(cat "$work/sum")" "${out%% *}" "sum of what came in"
}

# test/e2e/run has set pipefail.
out_of() {
  husk exec bulk cat /random | sum >"$work/got" || fail "exec: status ${PIPESTATUS[*]}"
  expect_equal "$(cat "$work/sum")" "$(cat "$work/got")" "sum of what came out"
}

both_ways() {
  husk exec bulk cat <"$work/random" | sum >"$work/got" || fail "exec: status ${PIPESTATUS[*]}"
  expect_equal "$(cat "$work/sum")" "$(cat "$work/got")" "sum of what went in and came out"
}

! is_husk || start_libvirt
at_end delete_all
it "a container, and $mib MiB" begin_bulk 300
it "$mib MiB in" into 1200
it "$mib MiB out" out_of 1200
it "$mib MiB in and out at once" both_ways 1200
