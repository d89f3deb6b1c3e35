# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# An engine whose containers get VMs of a pool: $HUSK_TEST_POOL is the pool's size, and 0 or nothing means no pool.
# $runtime_program is what the engine calls.

runtime_program=$HUSK

has_pool() { [[ ${HUSK_TEST_POOL:-0} -gt 0 ]] && is_husk; }
pool() { "$HUSK" --config "$work/pool.toml" pool "$@"; }
spare_of_pool() { pool status --json | jq -r '[.[] | select(.state == "ready").id][0] // empty'; }

# Sets runtime_program to a husk with a pool.
make_pooled_runtime() {  # SIZE
  runtime_program=$work/runtime/husk
  printf '[pool]\nsize = %d\n' "$1" >"$work/pool.toml"
  mkdir "$work/runtime"
  printf '#!/bin/sh\nexec %q --config %q "$@"\n' "$HUSK" "$work/pool.toml" >"$runtime_program"
  chmod 0755 "$runtime_program"
}

begin_pool() {
  has_pool || return 0
  make_pooled_runtime "$HUSK_TEST_POOL"
  at_end pool drain
  pool fill >"$work/fill.log" 2>&1 || { cat "$work/fill.log" >&2; exit 1; }
}

container_of_pool() {
  local spare
  eventually 60 eval '[[ -n $(spare_of_pool) ]]'
  spare=$(spare_of_pool)
  expect_ok engine run -d --name pooled --runtime "$RUNTIME" --network none husk-test sleep 1000
  expect_equal "$(engine inspect -f '{{.Id}}' pooled)" "$(jq -r '.members[].id' "/run/husk-vm/$spare/vm.json")" "the VM's containers"
  expect_ok engine rm -f pooled
  [[ ! -e /run/husk-vm/$spare ]] || fail "the VM outlives its container"
}
