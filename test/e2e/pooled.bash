# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# husk called by hand with a pool, for topics that write $work/config.toml, or another file and its name to $pool_config.

pooled() { "$HUSK" --config "${pool_config:-$work/config.toml}" --root "$work/root" "$@"; }
spares() { pooled pool status --json | jq -r --arg state "$1" '.[] | select(.state == $state).id'; }  # STATE
vm_of() { jq -r '.vmId // .vm_id' "$work/root/$1/state.json"; }
# A spare VM that boots gives way to everybody else: a test that asks husk without a pause leaves nothing of a single CPU.
has_spare() { sleep 0.5 && compgen -G '/run/husk-vm/*/spare' >/dev/null && [[ -n $(spares ready) ]]; }
fill() { expect_ok pooled pool fill; }
