# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What only a stock host has: KVM, the kernel's vsock, AppArmor, systemd's scopes, cgroup v2 alone.

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"
# shellcheck source=test/e2e/net.bash
source "$here/net.bash"

begin_with() {  # ID FLAGS... : a container that sleeps, from the bundle $work/ID
  local id=$1
  shift
  "$HUSK" --root "$work/root" "$@" create --bundle "$work/$id" --pid-file "$work/$id.pid" "$id" \
    >"$work/$id.out" 2>&1 </dev/null || fail "create $id: $(cat "$work/$id.out")"
  expect_ok husk start "$id"
}

cgroup_of() { sed -n 's/^0:://p' "/proc/$1/cgroup"; }  # PID

stock() {
  [[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]] || fail "this host has not cgroup v2 alone"
  make_bundle "$work/plain" sleep 1000
  begin_with plain
  local vm xml uuid
  vm=$(virsh -c qemu:///system list --name | grep husk-)
  xml=$(virsh -c qemu:///system dumpxml "$vm")
  expect_contains "<domain type='kvm'" "$xml" "the domain"
  expect_contains "<vsock model='virtio'" "$xml" "the domain's devices"
  uuid=$(virsh -c qemu:///system domuuid "$vm")
  expect_contains "libvirt-$uuid" "$(cat /sys/kernel/security/apparmor/profiles)" "AppArmor's profiles"
  expect_equal /husk/plain "$(cgroup_of "$(cat "$work/plain.pid")")" "the shim's cgroup"
  expect_equal /husk/plain "$(cgroup_of "$(cat "/run/libvirt/qemu/$vm.pid")")" "QEMU's cgroup"
  expect_ok husk kill plain KILL
  eventually 20 is_state plain stopped
  expect_ok husk delete plain
  expect_equal "" "$(journalctl -b -k --no-pager | grep 'apparmor="DENIED"' | grep libvirt-)" "what AppArmor denied"
}

scope() {
  local id=scoped unit=husk-e2e-scoped.scope pid
  make_bundle "$work/$id" sleep 1000
  edit_config "$work/$id" '.linux.cgroupsPath = "system.slice:husk-e2e:scoped" |
    .annotations["org.systemd.property.TimeoutStopUSec"] = "uint64 7000000" |
    .linux.resources += {cpu: {quota: 150000, period: 100000}, pids: {limit: 50}}'
  begin_with $id --systemd-cgroup
  pid=$(cat "$work/$id.pid")
  expect_equal active "$(systemctl show -P ActiveState $unit)" "the unit"
  expect_equal yes "$(systemctl show -P Delegate $unit)" "Delegate"
  expect_match '^husk container scoped in VM [0-9a-f]{8}$' "$(systemctl show -P Description $unit)" Description
  expect_equal 7s "$(systemctl show -P TimeoutStopUSec $unit)" "the caller's property"
  expect_equal "/system.slice/$unit" "$(cgroup_of "$pid")" "the shim's cgroup"
  expect_contains qemu-system "$(systemctl status --no-pager $unit)" "systemctl status"
  # systemd takes away what it does not know when it looks again.
  expect_ok systemctl daemon-reload
  # 512 MiB, a 64th, 256 MiB for QEMU, and 2.5 times 512 MiB for the files that the guest knows. 1.5 CPUs and one for the VM. 50 pids, four times, and 512.
  local limits="$((2056 << 20)) 250000 100000 712"
  expect_equal "$limits" "$(cat "/sys/fs/cgroup/system.slice/$unit"/{memory,cpu,pids}.max | xargs)" "limits on the host"
  expect_ok husk update --cpu-quota 50000 --pids-limit 20 $id
  expect_ok systemctl daemon-reload
  expect_equal "$((2056 << 20)) 150000 100000 592" "$(cat "/sys/fs/cgroup/system.slice/$unit"/{memory,cpu,pids}.max | xargs)" "limits on the host after update"
  # cgroup v2 leaves what QEMU had taken before it was moved here where it was; what its guest takes then counts.
  local counted
  counted=$(cat "/sys/fs/cgroup/system.slice/$unit/memory.current")
  [[ $counted -gt 16000000 ]] || fail "of the VM's memory $counted bytes are counted"
  # Later calls come without the flag.
  expect_ok husk delete --force $id
  eventually 10 eval "[[ \$(systemctl show -P LoadState $unit) == not-found ]]"
  [[ ! -e /sys/fs/cgroup/system.slice/$unit ]] || fail "the cgroup is left"
  begin_with $id --systemd-cgroup
  expect_ok husk delete --force $id
}

scope_of_failed_create() {
  make_bundle "$work/nocmd" no-such-command
  edit_config "$work/nocmd" '.linux.cgroupsPath = "system.slice:husk-e2e:nocmd"'
  expect_failure 1 "executable file not found" husk --systemd-cgroup create --bundle "$work/nocmd" nocmd
  eventually 10 eval '[[ $(systemctl show -P LoadState husk-e2e-nocmd.scope) == not-found ]]'
  edit_config "$work/nocmd" '.linux.cgroupsPath = "/not/systemds/form"'
  expect_failure 1 'slice:prefix:name' husk --systemd-cgroup create --bundle "$work/nocmd" nocmd
}

# A scope ends with its last process, and its name is free again.
scope_of_the_next() {
  local id unit=husk-e2e-same.scope
  for id in former successor; do
    make_bundle "$work/$id" sleep 1000
    edit_config "$work/$id" '.linux.cgroupsPath = "system.slice:husk-e2e:same"'
  done
  begin_with former --systemd-cgroup
  expect_failure 1 "already" husk --systemd-cgroup create --bundle "$work/successor" successor
  is_state former running || fail "a create that found the name taken ended the container whose it is"
  expect_ok husk kill former KILL
  eventually 20 is_state former stopped
  eventually 20 eval "[[ \$(systemctl show -P LoadState $unit) == not-found ]]"
  begin_with successor --systemd-cgroup
  expect_ok husk delete former
  expect_equal active "$(systemctl show -P ActiveState $unit)" "the second container's unit"
  is_state successor running || fail "the first container's delete ended the second"
  expect_ok husk delete --force successor
}

docker_scope() {
  mkdir -p /etc/docker
  echo "{\"runtimes\": {\"husk\": {\"path\": \"$HUSK\"}}}" >/etc/docker/daemon.json
  systemctl start docker || fail "docker does not start"
  tar -C "$work/rootfs" -c . | docker import - husk-test || fail "docker import"
  expect_ok docker run -d --runtime husk --network none --name scoped husk-test sleep 1000
  local id=$out
  expect_contains qemu-system "$(systemctl status --no-pager "docker-$id.scope")" "systemctl status"
  expect_match '^[1-9].*MiB' "$(docker stats --no-stream --format '{{.MemUsage}}' scoped)" "memory in docker stats"
  expect_ok docker rm -f scoped
  eventually 10 eval "[[ \$(systemctl show -P LoadState docker-$id.scope) == not-found ]]"
  systemctl stop docker docker.socket containerd
  ip link del docker0
}

# Speaks to a guest's agent over AF_VSOCK as it is told: CID SECRET SOURCE_PORT (0: any). Prints what came of a
# hello and of a stream's header.
vsock_client() {
  python3 - "$@" <<-'END'
	import json, os, socket, struct, sys
	cid, secret, source = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
	def talk(port, data, wanted):
	    client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
	    client.settimeout(60)
	    try:
	        if source:
	            client.bind((socket.VMADDR_CID_ANY, source + port % 2))
	        client.connect((cid, port))
	        client.sendall(data)
	        return "answered" if wanted in client.recv(65536) else "refused"
	    except PermissionError:
	        return "forbidden"
	    except OSError:
	        return "refused"
	hello = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "hello",
	                    "params": {"protocol": 3, "version": "x", "secret": secret}}).encode()
	header = f"HUSK-STREAM {secret} {os.urandom(16).hex()}\n".encode()
	print(talk(1024, struct.pack(">I", len(hello)) + hello, b'"result"'), talk(1025, header, b"OK"))
	END
}

attack_over_vsock() {
  make_bundle "$work/victim" sleep 1000
  begin_with victim
  local secret cid record file
  record=/run/husk-vm/$(jq -r .vmId "$work/root/victim/state.json")/vm.json
  secret=$(jq -r .. "$record" | grep -xE '[0-9a-f]{32}')
  cid=$(jq -r '.. | .vsockCid? // empty' "$record")
  expect_match '^[0-9]+$' "$cid" "the VM's CID"
  as_nobody() { setpriv --reuid nobody --regid nogroup --clear-groups bash -c "$(declare -f vsock_client); vsock_client $*"; }
  # The one that is let in: a test that is always refused would show nothing.
  expect_equal "answered answered" "$(vsock_client "$cid" "$secret" 900)" "root, from a privileged port, with the secret"
  expect_equal "refused refused" "$(vsock_client "$cid" "$(tr 0-9a-f 1-9a-f0 <<<"$secret")" 902)" "root with another secret"
  expect_equal "answered answered" "$(vsock_client "$cid" "$secret" 0)" "root, from any port"
  expect_equal "true" "$(jq -r '.. | .anyPort? // empty' "$record")" "whether husk uses any port"
  expect_equal "refused refused" "$(as_nobody "$cid" "$(tr 0-9a-f 1-9a-f0 <<<"$secret")" 0)" "nobody, with another secret"
  expect_equal "forbidden forbidden" "$(as_nobody "$cid" "$secret" 904)" "nobody, for a privileged port"
  # More connections than the agent keeps of those that say nothing.
  setpriv --reuid nobody --regid nogroup --clear-groups python3 - "$cid" <<-'END' &
	import socket, sys, time
	held = []
	for n in range(900):
	    client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
	    client.settimeout(5)
	    try:
	        client.connect((int(sys.argv[1]), 1024 + n % 2))
	        held.append(client)
	    except OSError:
	        pass
	print("flooded", len(held), flush=True)
	time.sleep(60)
	END
  local flooder=$!
  sleep 5
  expect_ok husk exec victim true
  kill "$flooder" || fail "the flood is over too early"
  for file in "$work/root/victim/state.json" "$record"; do
    run setpriv --reuid nobody --regid nogroup --clear-groups cat "$file"
    [[ $status != 0 ]] || fail "nobody can read $file"
  done
  is_state victim running || fail "the container does not run any more"
  expect_ok husk delete --force victim
}

# Monitors bind all of the host. Where "/" is shared, a mount that the host makes later must not come in, and
# the host must get rid of it again; and libvirt must not take the copy of the host's cgroups for the host's.
whole_host() {
  local id before lines
  before=$(wc -l </proc/self/mountinfo)
  mkdir -p "$work/disk/later"
  for id in first second third; do
    make_bundle "$work/$id" sleep 1000
    edit_config "$work/$id" '.mounts += [{type: "bind", source: "/", destination: "/host", options: ["rbind", "rro", "rprivate"]}]'
    begin_with "$id"
    lines+=("$(wc -l </proc/self/mountinfo)")
  done
  expect_equal "$((lines[1] - lines[0]))" "$((lines[2] - lines[1]))" "mounts added by the third container"
  mount -t tmpfs -o size=64k later "$work/disk/later"
  echo secret >"$work/disk/later/file"
  expect_equal "" "$(husk exec first ls "/host$work/disk/later")" "what the host mounted later"
  run husk exec first touch "/host$work/disk/later/new"
  expect_contains "Read-only file system" "$err" "a write below rro"
  expect_ok umount "$work/disk/later"
  expect_equal "" "$(husk exec first sh -c 'find /host/run/husk-vm/????????/ -mindepth 1')" "other VMs' files"
  for id in first second third; do
    expect_ok husk delete --force "$id"
  done
  expect_equal "$before" "$(wc -l </proc/self/mountinfo)" "mounts after the last"
}

# conmon ends when its last descendant has ended, and a unit of systemd with it. So nothing of a VM may descend
# from the conmon of the container that was its first.
conmon_of_first() {
  local podman=(podman --runtime "$HUSK" --root "$work/store" --runroot "$work/runroot" --tmpdir "$work/tmp") conmon vm
  tar -C "$work/rootfs" -c . | "${podman[@]}" import - husk-test || fail "podman import"
  expect_ok "${podman[@]}" run -d --name first --network none husk-test sleep 1000
  conmon=$("${podman[@]}" inspect -f '{{.State.ConmonPid}}' first)
  vm=$(basename /run/husk-vm/????????)
  expect_equal active "$(systemctl show -P ActiveState "husk-keeper-$vm.service")" "the keeper's unit"
  expect_equal "husk-keeper" "$(cat "/proc/$(systemctl show -P MainPID "husk-keeper-$vm.service")/comm")" "its process"
  expect_ok "${podman[@]}" run -d --name second --network container:first husk-test sleep 1000
  expect_ok "${podman[@]}" kill first
  expect_ok timeout 60 "${podman[@]}" wait first
  eventually 20 eval "[[ ! -e /proc/$conmon ]]"
  expect_ok "${podman[@]}" exec second true
  expect_ok "${podman[@]}" rm --force --time 0 --all
  eventually 20 eval "[[ \$(systemctl show -P LoadState husk-keeper-$vm.service) == not-found ]]"
}

# As a service with PrivateMounts= calls husk: neither its VM's files nor others' are where it would look for them.
private_mounts() {
  local older vm in_it
  unshare --mount --propagation slave sleep 1000 &
  older=$!
  at_end "kill $older 2>/dev/null"
  in_it=(nsenter --target "$older" --mount)
  make_bundle "$work/outer" sleep 1000
  begin_with outer
  run "${in_it[@]}" "$HUSK" --root "$work/root" exec outer true
  expect_contains "is mounted in another mount namespace than husk's" "$err" "exec where the VM's files are not"
  expect_equal running "$("${in_it[@]}" "$HUSK" --root "$work/root" state outer | jq -r .status)" "state there"
  expect_ok husk exec outer true
  expect_ok "${in_it[@]}" "$HUSK" --root "$work/root" kill outer KILL
  expect_ok "${in_it[@]}" "$HUSK" --root "$work/root" delete --force outer
  expect_equal "" "$(ls -A /run/husk-vm 2>/dev/null)" "VMs' files after delete in that namespace"
  expect_equal "" "$(virsh -c qemu:///system list --name --all | xargs)" "VMs"
  # One that is made there is in both namespaces, and its keeper is systemd's.
  make_bundle "$work/inner" sleep 1000
  "${in_it[@]}" "$HUSK" --root "$work/root" create --bundle "$work/inner" inner >"$work/inner.out" 2>&1 </dev/null ||
    fail "create in a mount namespace of its own: $(cat "$work/inner.out")"
  vm=$(basename /run/husk-vm/????????)
  expect_equal active "$(systemctl show -P ActiveState "husk-keeper-$vm.service")" "the keeper's unit"
  expect_ok husk start inner
  expect_ok husk exec inner true
  expect_ok husk delete --force inner
  expect_equal "" "$("${in_it[@]}" ls -A /run/husk-vm 2>/dev/null)" "VMs' files in that namespace after delete"
  expect_equal "" "$("${in_it[@]}" grep husk-vm /proc/self/mountinfo)" "mounts there"
  eventually 20 eval "[[ \$(systemctl show -P LoadState husk-keeper-$vm.service) == not-found ]]"
  kill "$older"
}

at_end delete_all
# How far the guest's clock is behind, in microseconds: the least of many, since each line is late by its way out.
clock_behind() {  # CONTAINER
  husk exec "$1" sh -c 'i=0; while [ $i -lt 100 ]; do /usr/bin/date +%s%N; i=$((i + 1)); done' | perl -MTime::HiRes=time -ne '
    BEGIN { $least = 1e18 } $late = time * 1e6 - $_ / 1000; $least = $late if $late < $least; END { printf "%d\n", $least }'
}
clock_is_near() {  # CONTAINER
  local behind
  behind=$(clock_behind "$1")
  echo "the guest is $behind us behind"
  ((behind > -20000 && behind < 100000))
}

# Only a host whose clock may be set can show what happens then.
clock() {
  make_bundle "$work/clock" sleep 1000
  copy_program "$work/clock/rootfs" /usr/bin/date  # busybox knows no nanoseconds
  begin_with clock
  eventually 5 clock_is_near clock
  # The lab's clock goes on wrong after a failure: nothing else there asks for the time of day.
  date -s '+5 seconds' >/dev/null || fail "date -s"
  eventually 5 clock_is_near clock
  date -s '-3605 seconds' >/dev/null || fail "date -s"
  eventually 5 clock_is_near clock
  date -s '+3600 seconds' >/dev/null || fail "date -s"
  expect_ok husk delete --force clock
}

it "KVM, vhost-vsock and AppArmor are used, and nothing is denied" stock 120
it "--systemd-cgroup makes a scope that systemd knows" scope 180
it "a failed create leaves no scope" scope_of_failed_create 120
it "a stopped container's delete leaves the scope of its successor alone" scope_of_the_next 240
it "nobody on the host commands a guest over vsock" attack_over_vsock 120
it "binds of the whole host: private, linear, and without the host's cgroups" whole_host 240
it "a container's conmon ends with it, whatever its VM goes on with" conmon_of_first 240
it "commands in a mount namespace of their own, older than the VM" private_mounts 240
it "docker's own service: its scope shows the VM" docker_scope 180
it "the guest's clock follows the host's, which is set" clock 240
