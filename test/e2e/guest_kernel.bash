# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What only a real kernel can show: modules that the guest's loads when a container first needs one, and its limits.

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"
# shellcheck source=test/e2e/net.bash
source "$here/net.bash"

loaded() { husk exec "$1" cut -d ' ' -f 1 /proc/modules | sort; }  # CONTAINER

# Only a real kernel asks for modules, and only the whole of installation, share and initrd has them.
on_demand() {
  local kind before
  make_bundle "$work/driven" sleep 1000
  edit_config "$work/driven" '.process.capabilities |= map_values(["CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]) |
    .linux.devices += [{path: "/dev/net/tun", type: "c", major: 10, minor: 200, fileMode: 438}] |
    .linux.resources.devices += [{allow: true, type: "c", major: 10, minor: 200, access: "rw"}]'
  expect_ok husk run --detach --bundle "$work/driven" driven
  expect_guest_kernel "$(husk exec driven uname -r)"
  before=$(loaded driven)
  for kind in overlay bridge veth wireguard 8021q tun; do
    ! grep -qx "$kind" <<<"$before" || fail "$kind is loaded though nobody needs it"
  done
  expect_ok husk exec driven sh -c 'mkdir /tmp/on && mount -t tmpfs none /tmp/on && mkdir /tmp/on/upper /tmp/on/work &&
    mount -t overlay overlay -o lowerdir=/bin,upperdir=/tmp/on/upper,workdir=/tmp/on/work /mnt && touch /mnt/new && ls /tmp/on/upper'
  expect_equal new "$out" "what an overlay has written"
  for kind in bridge veth wireguard vlan; do
    # A vlan is on a link; busybox gives a veth its peer's name itself.
    case $kind in
      vlan) expect_ok husk exec driven ip link add link my-bridge name my-vlan type vlan id 5 ;;
      *) expect_ok husk exec driven ip link add "my-$kind" type "$kind" ;;
    esac
    expect_contains "my-$kind" "$(husk exec driven ls /sys/class/net)" "links"
  done
  expect_ok husk exec driven sh -c 'exec 3<>/dev/net/tun'
  # iptables-legacy has its modules loaded by modprobe, which an image need not have.
  expect_ok husk exec driven cat /proc/net/ip_tables_names /proc/net/ip6_tables_names
  # More of them than there are names for is not an error of modprobe's.
  expect_failure 2 "" husk exec driven ip link add nothing type nosuchkind
  expect_ok husk delete --force driven
}

# As on a host: who may not make a link may not have its module loaded.
without_capabilities() {
  make_bundle "$work/bare" sleep 1000
  edit_config "$work/bare" '.process.capabilities |= map_values([])'
  expect_ok husk run --detach --bundle "$work/bare" bare
  expect_failure 2 "Operation not permitted" husk exec bare ip link add my-veth type veth
  expect_failure 1 "" husk exec bare mount -t overlay overlay -o lowerdir=/bin:/etc /mnt
  expect_ok husk exec bare cat /proc/modules
  ! grep -E '^(veth|overlay|ip_tables) ' <<<"$out" || fail "a container without capabilities had a module loaded: $out"
  expect_ok husk delete --force bare
}

missing_modules() {
  make_bundle "$work/missing" true
  printf '[vm]\nmodules = "%s/none"\n' "$work" >"$work/none.toml"
  expect_failure 1 "guest modules $work/none are missing, or not a directory" "$HUSK" --config "$work/none.toml" --root "$work/root" run --bundle "$work/missing" missing
  mkdir -p "$work/none/6.1.0-of-another"
  expect_failure 1 "the guest modules are of another kernel: there is no directory" "$HUSK" --config "$work/none.toml" --root "$work/root" run --bundle "$work/missing" missing
}

# Nodes may be made, as with runc, and open nothing that no rule allows. In the guest the first two are its serial console
# and its kernel's log.
device_rules() {
  make_bundle "$work/nodes" sleep 1000
  edit_config "$work/nodes" '.process.capabilities |= map_values(["CAP_MKNOD"]) |
    .linux.resources.devices += [{allow: true, type: "c", major: 1, minor: 11, access: "w"}]'
  expect_ok husk run --detach --bundle "$work/nodes" nodes
  expect_ok husk exec nodes sh -c 'cd /dev && mknod serial c 4 64 && mknod kernel-log c 1 11 && mknod nothing c 1 3 && mknod files c 10 229 && mknod tunnel c 10 200'
  # In the root virtiofsd makes them, in the container's cgroup on the host.
  expect_ok husk exec nodes sh -c 'mknod /nothing c 1 3 && echo x >/nothing && mknod /disk b 7 0'
  [[ $(stat -c '%F %t:%T' "$work/nodes/rootfs/nothing" "$work/nodes/rootfs/disk" | xargs) == "character special file 1:3 block special file 7:0" ]] || fail "nodes on the host: $(ls -l "$work/nodes/rootfs")"
  expect_failure 1 "Operation not permitted" husk exec nodes sh -c 'echo x >/dev/serial'
  expect_failure 1 "Operation not permitted" husk exec nodes head -c 1 /dev/kernel-log
  expect_failure 1 "Operation not permitted" husk exec nodes sh -c 'exec 3<>/dev/files'
  expect_ok husk exec nodes sh -c 'echo "of the container" >/dev/kernel-log && echo x >/dev/nothing && echo x >/dev/null && exec 3<>/dev/tunnel && head -c 1 /dev/urandom | wc -c'
  expect_equal 1 "$out" "bytes of /dev/urandom"
  expect_ok husk delete --force nodes
}

# mount(8) of util-linux, which has the loop device open for writing while it mounts that device.
loop_mount() {
  make_bundle "$work/looped" sleep 1000
  copy_program "$work/looped/rootfs" /usr/bin/mount && copy_program "$work/looped/rootfs" /usr/sbin/mkfs.ext4
  edit_config "$work/looped" '.process.capabilities |= map_values(["CAP_SYS_ADMIN", "CAP_MKNOD"]) |
    .linux.resources.devices += [{allow: true, type: "c", major: 10, minor: 237, access: "rw"}, {allow: true, type: "b", major: 7, access: "rw"}]'
  expect_ok husk run --detach --bundle "$work/looped" looped
  expect_ok husk exec looped sh -ec 'truncate -s 16M /image; /usr/sbin/mkfs.ext4 -q /image
    mknod /dev/loop-control c 10 237; : </dev/loop-control; for i in 0 1; do mknod /dev/loop$i b 7 $i; done
    /usr/bin/mount -o loop /image /mnt; echo kept >/mnt/file; umount /mnt; /usr/bin/mount -o loop,ro /image /mnt; cat /mnt/file; umount /mnt'
  expect_equal kept "$out" "the file"
  expect_ok husk delete --force looped
}

# Read where the container is: a limit may have another name in the agent's namespaces.
host_limits() {
  local name
  make_bundle "$work/raised" sleep 1000
  printf '[vm]\nsysctl = { "vm.max_map_count" = 70001, "vm.swappiness" = "7" }\n' >"$work/raised.toml"
  expect_ok "$HUSK" --config "$work/raised.toml" --root "$work/root" run --detach --bundle "$work/raised" raised
  expect_equal "70001 7" "$(husk exec raised cat /proc/sys/vm/max_map_count /proc/sys/vm/swappiness | xargs)" "parameters of config.toml"
  for name in fs/inotify/max_user_watches fs/nr_open fs/file-max kernel/pid_max user/max_mnt_namespaces net/core/rmem_max; do
    [[ -e /proc/sys/$name ]] || continue
    [[ $(husk exec raised cat "/proc/sys/$name") -ge $(cat "/proc/sys/$name") ]] || fail "$name: $(husk exec raised cat "/proc/sys/$name"), of the host $(cat "/proc/sys/$name")"
  done
  expect_ok husk delete --force raised
  printf '[vm]\nsysctl = { "vm.nonsense" = 1 }\n' >"$work/nonsense.toml"
  expect_failure 1 "vm.sysctl: vm.nonsense: the guest's kernel has no such parameter" "$HUSK" --config "$work/nonsense.toml" --root "$work/root" run --bundle "$work/raised" raised
}

if is_husk; then
  start_libvirt
  at_end delete_all
  it "modules are loaded when a container needs them" on_demand 120
  it "a container without capabilities loads none" without_capabilities
  it "device rules: a node that the container makes opens nothing without one" device_rules
  it "a file system in a file, by mount -o loop" loop_mount
  it "limits that were raised on the host, and parameters of config.toml, hold in the guest" host_limits 120
  it "a modules directory that is not there, or of another kernel" missing_modules
else
  report skip "the modules of runc's kernel are the host's" ""
fi
