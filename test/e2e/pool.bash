# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# VMs that have booted before a container needs them, with real libvirt, QEMU, virtiofsd and guests. What husk does with
# spares that are stale, old, locked or deaf is tested with fakes (test/lib/runtime/pool_test.cpp).

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"
# shellcheck source=test/e2e/pooled.bash
source "$here/pooled.bash"

! is_husk || start_libvirt
printf '[pool]\nsize = 1\n' >"$work/config.toml"
at_end "pooled pool drain"
at_end delete_all

shows_title() { [[ $(virsh -c qemu:///system list --title) == *"husk-$1 "*"$2"* ]]; }  # VM TITLE

claimed() {
  local spare
  fill
  spare=$(spares ready)
  expect_match '^[0-9a-f]{8}$' "$spare" "the spare VM"
  expect_contains "husk-$spare" "$(virsh -c qemu:///system list --name)" "libvirt's VMs"
  expect_contains "spare VM of husk's pool" "$(virsh -c qemu:///system list --title)" "libvirt's titles"
  expect_equal "" "$(ip -o link | grep "husk$spare" || true)" "taps of the spare in the host's namespace"
  make_bundle "$work/first" sh -c 'cat /proc/sys/kernel/random/boot_id; exec sleep 1000'
  expect_ok pooled run --detach --bundle "$work/first" first
  expect_equal "$spare" "$(vm_of first)" "the container's VM"
  expect_equal "" "$(find /sys/fs/cgroup -name "*spare-$spare*")" "the pool's cgroup of the claimed VM"
  eventually 60 shows_title "$spare" "container first"
  eventually 60 has_spare  # the keeper of the claimed VM sees to that
  [[ $(spares ready) != "$spare" ]] || fail "the container's VM is in the pool"
  expect_ok pooled exec first true
  expect_ok pooled delete --force first
  [[ ! -e /run/husk-vm/$spare ]] || fail "the claimed VM outlives its container"
}

# Another memory, another number of processors: by resizing, and what is in the guest says so.
sized() {
  local memory
  fill
  eventually 60 has_spare
  local spare
  spare=$(spares ready)
  make_bundle "$work/large" sleep 1000
  edit_config "$work/large" '.linux.resources.memory.limit = 1073741824 | .linux.resources.cpu = {quota: 200000, period: 100000}'
  expect_ok pooled run --detach --bundle "$work/large" large
  expect_equal "$spare" "$(vm_of large)" "the container's VM"
  # Of a host with one CPU, as the lab is, a container gets that one.
  expect_equal "$(($(nproc) < 2 ? 1 : 2))" "$(pooled exec large nproc)" "processors in the container"
  memory=$(pooled exec large awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
  ((memory > 900)) || fail "the guest has $memory MiB"
  expect_ok pooled delete --force large
}

# Files and processes of one container are not in the next one's guest, and its time is right.
separate() {
  local id
  for id in one two; do
    eventually 60 has_spare
    make_bundle "$work/$id" sleep 1000
    expect_ok pooled run --detach --bundle "$work/$id" "$id"
    pooled exec "$id" sh -c 'ls /run /tmp; cat /proc/sys/kernel/random/uuid; ps' >"$work/$id.seen"
    local difference=$(($(pooled exec "$id" date +%s) - $(date +%s)))
    ((difference >= -2 && difference <= 2)) || fail "the guest's clock is off by $difference s"
  done
  [[ $(vm_of one) != $(vm_of two) ]] || fail "two containers have one VM"
  expect_ok pooled delete --force one
  expect_ok pooled delete --force two
}

# Two creates for one spare: one gets it, the other one boots its own.
contested() {
  local id spare
  eventually 60 has_spare
  spare=$(spares ready)
  for id in left right; do make_bundle "$work/$id" sleep 1000; done
  pooled run --detach --bundle "$work/left" left >"$work/left.out" 2>&1 </dev/null &
  local left=$!
  expect_ok pooled run --detach --bundle "$work/right" right
  wait "$left" || fail "$(cat "$work/left.out")"
  [[ $(vm_of left) != $(vm_of right) ]] || fail "two containers have one VM"
  expect_contains "$spare" "$(vm_of left) $(vm_of right)" "the VMs"
  expect_ok pooled delete --force left
  expect_ok pooled delete --force right
}

# kill -9 of whatever a spare consists of: the next container starts, and nothing is left.
killed_part() {
  local part spare pid
  for part in qemu virtiofsd keeper; do
    fill
    eventually 60 has_spare
    spare=$(spares ready)
    case $part in
      qemu) pid=$(jq .process.pid "/run/husk-vm/$spare/vm.json") ;;
      virtiofsd) pid=$(jq '.helpers[-1].pid' "/run/husk-vm/$spare/vm.json") ;;
      keeper) pid=$(pgrep -f "^([^ ]*/)?husk-keeper $spare" | head -n 1) ;;
    esac
    expect_match '^[0-9]+$' "$pid" "the $part of $spare"
    kill -KILL "$pid"
    make_bundle "$work/after-$part" true
    expect_ok pooled run --bundle "$work/after-$part" "after-$part"
    expect_ok pooled pool fill
    [[ ! -e /run/husk-vm/$spare ]] || fail "$spare is there after its $part was killed"
  done
}

# A create that is killed with its VM claimed: `delete --force` and `pool fill` leave nothing of it.
killed_claimer() {
  local delay
  make_bundle "$work/half" sleep 1000
  for delay in 0.03 0.08 0.15 0.3; do
    fill
    eventually 60 has_spare
    pooled create --bundle "$work/half" half >"$work/half.out" 2>&1 </dev/null &
    local creator=$!
    sleep "$delay"
    pkill -KILL -P "$creator" || kill -KILL "$creator"
    wait "$creator"
    expect_ok pooled delete --force half
  done
  expect_ok pooled pool fill
  expect_equal "" "$(spares left)" "spares that are left"
  expect_ok pooled run --detach --bundle "$work/half" half
  expect_ok pooled delete --force half
}

# A taken id costs no VM; a size that cannot be is one clear line.
bad_input() {
  printf '[pool]\nsize = -1\n' >"$work/negative.toml"
  expect_failure 1 "pool.size must be between 0 and 64" "$HUSK" --config "$work/negative.toml" pool fill
  printf '[pool]\nsize = 1\n[vm]\nmemory_mib = 1000000\n' >"$work/huge.toml"
  expect_failure 1 "memory" "$HUSK" --config "$work/huge.toml" pool fill
  mkdir /run/husk-pool && chmod 0777 /run/husk-pool
  expect_failure 1 "/run/husk-pool" pooled pool fill
  rmdir /run/husk-pool
  printf '[vm]\nvcpus = 1\n' >"$work/none.toml"
  expect_failure 1 "pool.size is 0" "$HUSK" --config "$work/none.toml" pool fill
}

# VMs of another configuration, or that are too old, are given to no container, and none of theirs has the pool filled.
renewed() {
  local spare pool_config
  fill
  eventually 60 has_spare
  spare=$(spares ready)
  pool_config=$work/renewed.toml
  printf '[pool]\nsize = 1\n[vm]\nkernel_arguments = "quiet"\n' >"$pool_config"
  expect_equal "$spare" "$(spares stale)" "the VM of another configuration"
  make_bundle "$work/renew" sleep 1000
  expect_ok pooled run --detach --bundle "$work/renew" renew
  [[ $(vm_of renew) != "$spare" ]] || fail "the container got a VM of another configuration"
  eventually 60 has_spare
  [[ ! -e /run/husk-vm/$spare ]] || fail "the VM of another configuration is there"
  expect_ok pooled delete --force renew
  expect_ok pooled pool drain
}

drained() {
  fill
  expect_ok pooled pool drain
  expect_equal "[]" "$(pooled pool status --json)" "the pool"
}

it "a container gets the VM that has booted, and the pool is filled again" claimed 120
it "a spare VM gets the container's memory and processors" sized 120
it "what one container did is not in the next one's VM" separate 120
it "two containers for the last spare VM" contested 120
it "a spare VM of which a process was killed" killed_part 240
it "a create that is killed with a spare VM" killed_claimer 240
it "a pool that cannot be" bad_input
it "a start without a VM that suits has the pool renewed" renewed 120
it "draining leaves nothing" drained
