# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of each part of husk while the pool is filled, waits, is taken from and is drained: the command that was at work
# ends in bounded time, the next container runs, the pool can be filled again, and drained it leaves nothing. Prints a table,
# for docs/reliability.md, and writes it to $KILL_MATRIX. Then: a crowd on a pool, an upgrade, and what one container leaves
# for the next. The machine's libvirt daemon is among the victims.

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"
# shellcheck source=test/e2e/pooled.bash
source "$here/pooled.bash"
# shellcheck source=test/e2e/kill_parts.bash
source "$here/kill_parts.bash"

victims=(husk shim keeper qemu virtiofsd libvirtd)  # husk: the fill, create, refill or drain that is at work
# Of a fill, of a VM that waits, of a create that gets it, of the refill afterwards, of a drain.
stages=(cgroup directory mark boot warm-up idle taken shim adopted guest refill drain)
patience=$((60 * time_factor))  # with a command, in seconds

bounded() { timeout --foreground "$patience" "$HUSK" --config "$work/config.toml" --root "$work/root" "$@" </dev/null; }
is_full() { (($(spares ready | wc -l) == $1)); }  # SIZE

# The VM that a fill makes just now; to a refill there is another one, which is the container's.
new_vm() {
  local one
  for one in /run/husk-vm/*/; do
    [[ -d $one ]] || continue
    one=${one%/}
    [[ ! -e $one/spare && ! -e $one/spare.taken ]] || continue
    vm=${one##*/}
    return
  done
  return 1
}
booting_vm() { new_vm && [[ -e /run/husk-vm/$vm/spare.boots ]]; }

# Of a VM of the pool, in v1 or v2. (systemd makes it later.)
has_cgroup() {
  local made
  for made in /sys/fs/cgroup/{,*/}husk/spare-*; do
    vm=${made##*/spare-}
    [[ ! -d $made ]] || return 0
  done
  return 1
}

# Of the create that is at work. Sets shim.
new_shim() {
  local children
  read -r children <"/proc/$job/task/$job/children" || [[ -n $children ]] || return 1
  for shim in $children; do [[ ! /proc/$shim/exe -ef ${HUSK%/*}/husk-shim ]] || return 0; done
  return 1
}

# Called again and again: starts no process.
is_moment() {  # STAGE
  case $1 in
    directory) new_vm && [[ ! -e /run/husk-vm/$vm/spare.boots ]] ;;
    mark) booting_vm ;;
    cgroup) has_cgroup && [[ ! -e /run/husk-vm/$vm ]] ;;
    boot | refill) booting_vm && [[ -s /run/libvirt/qemu/husk-$vm.pid ]] ;;
    warm-up) booting_vm && [[ -d /run/husk-vm/$vm/warm-up ]] ;;
    taken | drain) [[ -e /run/husk-vm/$vm/spare.taken ]] ;;
    shim) new_shim ;;
    adopted | guest) [[ -S /run/husk-vm/$vm/kills ]] ;;  # made when the keeper gets the container
  esac 2>/dev/null
}

# For what lasts milliseconds: the command goes on for half of one at a time.
await_in_slices() {  # STAGE
  local pause
  exec {pause}<> <(:)
  until is_moment "$1"; do
    kill -CONT "$job" && read -rt 0.0005 -u "$pause"
    kill -STOP "$job" || return 1
  done 2>/dev/null
}

# False: the command was over before.
await_moment() {  # STAGE
  local end=$((SECONDS + patience))
  [[ $1 != directory && $1 != cgroup ]] || { await_in_slices "$1"; return; }
  until is_moment "$1"; do
    ((SECONDS < end)) && { [[ $1 == refill ]] || kill -0 "$job" 2>/dev/null; } || return 1
  done
  [[ $1 != guest ]] || sleep 0.02
}

# The husk that the claimed VM's keeper has started.
refiller() {
  local pid
  for pid in $(running husk); do
    [[ $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) != *"pool fill --no-wait"* ]] || echo "$pid"
  done
}

pids_of() {  # VICTIM
  case $1 in
    libvirtd) running libvirtd; running virtqemud ;;
    husk) if [[ $stage == refill ]]; then refiller; else echo "$job"; fi ;;
    shim) if [[ $stage == refill ]]; then bounded state "$id" | jq .pid; else new_shim && echo "$shim"; fi ;;
    *) part_of_vm "$1" "$vm" ;;
  esac
}

is_fill() { [[ $1 =~ ^(directory|mark|boot|cgroup|warm-up)$ ]]; }

# Who is not there yet, or any more.
is_cell() {  # STAGE VICTIM
  case $1-$2 in
    directory-husk | mark-husk | mark-libvirtd | cgroup-husk) ;;
    directory-* | mark-* | cgroup-* | boot-shim | warm-up-shim | idle-shim | idle-husk | taken-shim | drain-shim) return 1 ;;
  esac
}

# Sets vm, job. `refill` begins with a container that has got its VM.
begin_command() {  # STAGE
  is_fill "$1" || { fill && vm=$(spares ready); }
  case $1 in
    directory | mark | boot | cgroup | warm-up) command=(pool fill) ;;
    drain) command=(pool drain) ;;
    refill)
      expect_ok bounded run --detach --bundle "$work/bundle" "$id"
      expect_equal "$vm" "$(vm_of "$id")" "the container's VM"
      return ;;
    *) command=(create --bundle "$work/bundle" "$id") ;;
  esac
  [[ $1 != idle ]] || strike
  "$HUSK" --config "$work/config.toml" --root "$work/root" "${command[@]}" >"$work/cell.out" 2>&1 </dev/null &
  job=$!
}

# Sets killed.
strike() {
  local pids=() end=$((SECONDS + patience))
  # It is about to be executed, by somebody who does not stand still.
  until mapfile -t pids < <(pids_of "$victim") && [[ ${#pids[@]} != 0 ]]; do
    ((SECONDS < end)) || fail "$victim is not there"
    sleep 0.05
  done
  kill -KILL "${pids[@]}" 2>/dev/null && killed=killed
}

# Between its moment and the death of the victim the command stands still.
strike_at_moment() {
  [[ $stage != idle ]] || return 0
  await_moment "$stage" || return 0
  if [[ $stage == refill ]]; then strike; return; fi
  kill -STOP "$job" 2>/dev/null || return 0
  ls -x "/run/husk-vm/$vm" 2>/dev/null
  strike
  [[ $victim == husk ]] || kill -CONT "$job"
}

# Sets status, took.
await_command() {
  local start=$SECONDS
  status=0 took=0
  [[ $stage != refill ]] || return 0
  until is_gone "$job"; do
    ((SECONDS - start < patience)) || { kill -KILL "$job"; fail "${command[*]} did not end within $patience s"; }
    sleep 0.05
  done
  wait "$job"
  status=$? took=$((SECONDS - start))
  echo "${killed:-not there}, status $status, $took s: $(head -c 600 "$work/cell.out" | tr '\n' ' ')"
}

check_status() {
  [[ -n $killed ]] || fail "$stage was over before $victim was killed"
  [[ $victim != husk || $stage == refill ]] || { expect_equal 137 "$status" "status"; return; }
  case $stage-$victim in
    mark-* | boot-libvirtd) ;;
    idle-* | refill-* | drain-* | *-libvirtd) expect_equal 0 "$status" "status" ;;
    # The guest has not been asked yet, or has answered.
    taken-*) ;;
    *) [[ $status == 1 ]] || fail "went on without $victim: status $status" ;;
  esac
  [[ $status == 0 ]] || expect_match "VM|virtual machine|guest|shim|libvirt|network card" "$(tail -n 1 "$work/cell.out")" "why it failed"
}

# What the death makes of the container. In `refill` it has its VM for itself.
check_container() {
  [[ $status == 0 ]] && ! is_fill "$stage" && [[ $stage != drain ]] || return 0
  if [[ $stage == refill ]]; then
    if [[ $victim != shim ]]; then
      bounded exec "$id" true || fail "the container went with the VM that was made"
    else
      eventually 30 eval "[[ \$(bounded state $id | jq -r .status) == stopped ]]"
    fi
  else
    bounded start "$id" || fail "start of what was created"
    bounded exec "$id" true || fail "exec"
  fi
}

# A VM of the pool has its mark for good.
source_of() { if [[ -e /run/husk-vm/$(vm_of "$1")/spare.taken ]]; then echo pool; else echo boot; fi; }  # ID

check_next() {
  local start=$SECONDS
  bounded run --detach --bundle "$work/bundle" "next-$id" >"$work/next.out" 2>&1 ||
    fail "the next container: $? $(cat "$work/next.out")"
  next=$(source_of "next-$id")
  echo "the next container: $next, $((SECONDS - start)) s: $(cat "$work/next.out")"
  bounded exec "next-$id" true || fail "the next container does not run"
  bounded delete --force "next-$id" || fail "delete --force of the next container"
}

remove_container() {
  is_fill "$stage" || [[ $stage == drain ]] || bounded delete --force "$id" || fail "delete --force: $?"
}

check_pool() {
  local start=$SECONDS
  bounded pool fill || fail "fill: $?"
  is_full 1 || fail "not full: $(pooled pool status)"
  echo "filled after $((SECONDS - start)) s"
  expect_equal "" "$(spares left)" "spares that are left"
  bounded pool drain || fail "drain: $?"
  [[ ! -e /run/husk-pool ]] || fail "/run/husk-pool is there after drain"
  expect_equal "[]" "$(pooled pool status --json)" "the pool"
}

cell() {  # STAGE VICTIM
  local stage=$1 victim=$2 id=$1-$2 command=() vm="" job="" status killed="" took before next
  echo failed >"$work/cell.$id"
  before=$(snapshot)
  begin_command "$stage"
  strike_at_moment
  await_command
  check_status
  check_container
  check_next
  remove_container
  check_pool
  expect_nothing_left "$before"
  # A refill is nobody's child: its status is not known.
  { [[ $stage == refill ]] || echo -n "$status, $took s, "; echo "$next"; } >"$work/cell.$id"
}

# libvirt's daemon is gone, and nobody starts it before the pool is drained.
drained_without_libvirt() {
  local before
  before=$(snapshot)
  fill
  mapfile -t daemons < <(pids_of libvirtd)
  kill -KILL "${daemons[@]}"
  expect_ok bounded pool drain
  expect_ok bounded pool fill
  expect_ok bounded pool drain
  expect_nothing_left "$before"
}

one_of_crowd() {  # NUMBER: its VM, and the boot that it saw
  local id=crowd-$1 boot
  bounded create --bundle "$work/bundle" "$id" >"$work/$id.out" 2>&1 || { echo "create: $? $(cat "$work/$id.out")"; return; }
  bounded start "$id" || { echo "start: $?"; return; }
  boot=$(bounded exec "$id" cat /proc/sys/kernel/random/boot_id) || { echo "exec: $?"; return; }
  echo "$(vm_of "$id") $boot $(source_of "$id")"
  bounded delete --force "$id" || echo "delete: $?"
}

# Two at once: with more of them two emulated CPUs leave nothing to the fill, which gives way to what boots for a container.
crowded() {
  local n before start=$SECONDS claimed filler
  before=$(snapshot)
  printf '[pool]\nsize = 3\n' >"$work/config.toml"
  pooled pool fill >"$work/fill.out" 2>&1 </dev/null &
  filler=$!
  for ((n = 0; n < 20; n++)); do
    one_of_crowd "$n" >"$work/crowd.$n" 2>&1 &
    while (($(jobs -rp | grep -cvxF "$filler") >= 2)); do
      sleep 0.1
    done
  done
  wait
  cat "$work"/crowd.[0-9]* | tee "$work/crowd.all"
  expect_equal 20 "$(grep -cE '^[0-9a-f]{8} [0-9a-f-]{36} (pool|boot)$' "$work/crowd.all")" "containers that ran"
  expect_equal 20 "$(cut -d' ' -f1 "$work/crowd.all" | sort -u | wc -l)" "their VMs"
  expect_equal 20 "$(cut -d' ' -f2 "$work/crowd.all" | sort -u | wc -l)" "their guests"
  claimed=$(grep -c ' pool$' "$work/crowd.all")
  echo "$claimed of 20 came from the pool, in $((SECONDS - start)) s; fill said: $(cat "$work/fill.out")"
  ((claimed >= 3)) || fail "the pool was not used"
  eventually 120 is_full 3
  echo "full after $((SECONDS - start)) s"
  expect_ok bounded pool drain
  expect_nothing_left "$before"
  printf '[pool]\nsize = 1\n' >"$work/config.toml"
}

# Another configuration, or another husk: $old is nobody's, and the first start has the pool renewed.
expect_dropped() {
  expect_equal "$old" "$(spares stale)" "the spare VM that does not fit any more"
  expect_ok bounded run --detach --bundle "$work/bundle" after
  [[ $(vm_of after) != "$old" ]] || fail "the container got a spare VM of before"
  expect_ok bounded exec after true
  expect_ok bounded delete --force after
  eventually 60 has_spare
  [[ ! -e /run/husk-vm/$old ]] || fail "the VM of before is there"
  local new
  new=$(spares ready)
  expect_ok bounded run --detach --bundle "$work/bundle" later
  expect_equal "$new" "$(vm_of later)" "the VM of a container"
  expect_ok bounded delete --force later
}

other_settings() {
  local old before
  before=$(snapshot)
  fill
  old=$(spares ready)
  printf '[vm]\nkernel_arguments = "husk.other=1"\n[pool]\nsize = 1\n' >"$work/config.toml"
  expect_dropped
  expect_ok bounded pool drain
  expect_nothing_left "$before"
  printf '[pool]\nsize = 1\n' >"$work/config.toml"
}

# As a package does it: other files take the names, while a container runs that got its VM before.
put_husk() {  # DIRECTORY
  local program
  mkdir -p "$1/bin"
  [[ -d $1/share ]] || cp -a "$build/share" "$1/share"
  for program in husk husk-keeper husk-shim; do
    cp "$build/bin/$program" "$1/bin/$program.new" && mv "$1/bin/$program.new" "$1/bin/$program"
  done
}

other_husk() {
  local old before
  before=$(snapshot)
  put_husk "$work/installed"
  HUSK=$work/installed/bin/husk
  fill
  old=$(spares ready)
  expect_ok bounded run --detach --bundle "$work/bundle" before
  expect_equal "$old" "$(vm_of before)" "the VM of a container"
  eventually 60 has_spare
  old=$(spares ready)
  put_husk "$work/installed"
  expect_dropped
  expect_ok bounded exec before true
  expect_ok bounded delete --force before
  expect_ok bounded pool fill
  expect_ok bounded pool drain
  expect_nothing_left "$before"
}

# A container without namespaces of its own but that of its mounts and network: what is in the guest it sees.
make_looker() {  # DIRECTORY
  make_bundle "$1" sleep 1000
  mkdir -p "$1/rootfs/run"
  edit_config "$1" 'del(.hostname) | .linux.namespaces |= map(select(.type == "mount" or .type == "network"))
    | .process.env += ["MARK=" + $mark]' --arg mark "${2:-}"
  cat >"$1/rootfs/look" <<'LOOK'
#!/bin/sh
echo environment; env | sort
echo files; find /tmp /run /dev/shm /var /sys/fs/cgroup 2>/dev/null | grep -v "^/sys/fs/cgroup/.*/" | sort
echo cgroups; find /sys/fs/cgroup -type d | sort
echo network; ls /sys/class/net; cat /proc/net/route /proc/net/unix | awk '{ print $NF }' | sort
echo processes; for p in /proc/[0-9]*; do c=$(tr '\0' ' ' <$p/cmdline); [ -z "$c" ] || echo "$c"; done 2>/dev/null | sort
echo mounts; cut -d' ' -f4- /proc/self/mountinfo
echo ipc; cat /proc/sysvipc/*; wc -l </proc/keys
LOOK
  chmod 0755 "$1/rootfs/look"
}

look() { expect_ok bounded exec "$1" /look; sed -E "s/$(vm_of "$1")/VM/g; s/$1/ID/g; s/minor=[0-9]+//" <<<"$out" >"$work/$1.seen"; }  # ID

# In a VM of the pool a container sees what it would see in one that was started for it.
same_as_booted() {
  local id seen
  fill
  for id in warm cold; do make_looker "$work/$id"; done
  expect_ok bounded run --detach --bundle "$work/warm" warm
  "$HUSK" --root "$work/root" run --detach --bundle "$work/cold" cold >"$work/cold.out" 2>&1 </dev/null || fail "$(cat "$work/cold.out")"
  for id in warm cold; do look "$id"; done
  seen=$(diff "$work/cold.seen" "$work/warm.seen") || fail "what the containers see: $seen"
  wc -l "$work/warm.seen"
  grep -A20 ^processes "$work/warm.seen"
  expect_contains "sleep 1000" "$(cat "$work/warm.seen")" "what the container sees"
  ! grep -q warm-up "$work/warm.seen" || fail "the warm-up is seen"
  expect_equal "$(bounded ps --format json cold | jq length)" "$(bounded ps --format json warm | jq length)" "what ps lists"
  for id in warm cold; do expect_ok bounded delete --force "$id"; done
}

# How often the text is in the memory of the container's guest, as the host sees it: in files that are mostly holes.
times_in_memory() {  # ID TEXT
  /usr/bin/python3 -IS - "$(jq .process.pid "/run/husk-vm/$(vm_of "$1")/vm.json")" "$2" <<-'END'
	import os, sys
	folder, text = f"/proc/{sys.argv[1]}/fd", sys.argv[2].encode()
	def blocks(memory, size=1 << 24):
	    at, end = 0, os.fstat(memory).st_size
	    while at < end:
	        try:
	            at = os.lseek(memory, at, os.SEEK_DATA)
	        except OSError:
	            return
	        hole = os.lseek(memory, at, os.SEEK_HOLE)
	        while at < hole:
	            yield os.pread(memory, size + len(text) - 1, at)
	            at += size
	count = 0
	for name in os.listdir(folder):
	    if os.readlink(f"{folder}/{name}").startswith("/memfd:"):
	        memory = os.open(f"{folder}/{name}", os.O_RDONLY)
	        count += sum(block.count(text) for block in blocks(memory))
	print(count)
	END
}

# What one container has in files, environment and memory is nowhere in the next one's guest.
nothing_of_the_one_before() {
  # Here in two parts: what the host runs is not looked for.
  local mark="left-$RANDOM-$RANDOM-behind" id vms=()
  fill
  for id in one two; do
    eventually 60 has_spare
    vms+=("$(spares ready)")
    make_looker "$work/$id" "$([[ $id != one ]] || echo "$mark")"
    expect_ok bounded run --detach --bundle "$work/$id" "$id"
    expect_equal "${vms[-1]}" "$(vm_of "$id")" "the container's VM"
    if [[ $id == one ]]; then
      # shellcheck disable=SC2016  # the container's shell
      expect_ok bounded exec one sh -c 'echo $MARK >/tmp/mark; echo $MARK >/dev/shm/mark; mkdir /run/$MARK'
    fi
    look "$id"
    echo "in the memory of $id's guest: $(times_in_memory "$id" "$mark")"
  done
  grep -q "$mark" "$work/one.seen" || fail "the first container does not see its own"
  (($(times_in_memory one "$mark") > 0)) || fail "it is not in its own guest's memory"
  ! grep -q "$mark\|/mark$" "$work/two.seen" || fail "the next container sees it"
  expect_equal 0 "$(times_in_memory two "$mark")" "copies in the memory of the next one's guest"
  for id in one two; do expect_ok bounded delete --force "$id"; done
}

is_husk || return 0
printf '[pool]\nsize = 1\n' >"$work/config.toml"
start_libvirt
at_end end_daemons
at_end "pooled pool drain"
at_end delete_all
make_bundle "$work/bundle" sleep 1000
for stage in "${stages[@]}"; do
  for victim in "${victims[@]}"; do
    is_cell "$stage" "$victim" || { echo "" >"$work/cell.$stage-$victim"; continue; }
    eval "cell_${stage//-/_}_$victim() { cell $stage $victim; }"
    it "$stage, kill -9 of $victim" "cell_${stage//-/_}_$victim" 240
  done
done
print_table | tee "${KILL_MATRIX:-/dev/null}"
it "drained while no libvirt runs" drained_without_libvirt 120
it "twenty containers while the pool is filled" crowded 400
it "the configuration has changed" other_settings 120
it "another husk was installed" other_husk 120
it "a container sees what it would see in a VM started for it" same_as_booted 120
it "nothing of one container is in the guest of the next" nothing_of_the_one_before 120
