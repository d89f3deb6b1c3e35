# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the host promises whatever the guest does. The container has CAP_SYS_ADMIN and mounts the VM's share
# once more, writable: so it is as strong as a broken guest can be towards the share.

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"

# With virtiofsd in C, wherever another one is there as well: where mounts in the share are announced, as the one in Rust
# does, the guest's kernel takes a second mount of the share for one of these. What is tested is the host's side, which does not
# depend on virtiofsd.
husk() { "$HUSK" --config "$work/in-c.toml" --root "$work/root" "$@"; }

# attack BUNDLE SCRIPT: runs SCRIPT in a container, with the whole share of its VM at /mnt.
attack_bundle() {  # BUNDLE SCRIPT
  make_bundle "$1" sh -c "mount -t virtiofs husk /mnt || { echo cannot mount; exit 99; }; c=/mnt/\$(ls /mnt | grep -v -e secret -e @); $2"
  edit_config "$1" '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_MKNOD"])'
}

add_bind() {  # BUNDLE SOURCE DESTINATION OPTION...
  local bundle=$1 source=$2 destination=$3
  shift 3
  edit_config "$bundle" '.mounts += [{type: "bind", source: $s, destination: $d, options: $ARGS.positional}]' \
    --arg s "$source" --arg d "$destination" --args "$@"
}

readonly_bind() {
  mkdir -p "$work/kept/below" "$work/given"
  mount -t tmpfs -o size=64k tmpfs "$work/kept/below"
  echo host >"$work/kept/file"
  attack_bundle "$work/robind" 'echo guest >/kept/below/seen; for m in $c/mounts/*; do echo guest >$m/file; rm -rf $m/file; echo guest >$m/new; mknod $m/node c 1 3; done 2>&1; true'
  add_bind "$work/robind" "$work/kept" /kept rbind ro
  add_bind "$work/robind" "$work/given" /given rbind rw
  expect_ok husk run --bundle "$work/robind" robind
  expect_contains "Read-only file system" "$out" "what the guest was told"
  expect_equal host "$(cat "$work/kept/file")" "the read-only bind's file"
  expect_equal "below file" "$(ls "$work/kept" | xargs)" "files in the read-only bind"
  expect_equal guest "$(cat "$work/given/new")" "the writable bind's file"
  expect_equal guest "$(cat "$work/kept/below/seen")" "the file in a mount below, where ro is the top's alone"
}

readonly_tree() {
  mkdir -p "$work/tree/below"
  mount -t tmpfs -o size=64k tmpfs "$work/tree/below"
  attack_bundle "$work/rro" 'for m in $c/mounts/*; do echo guest >$m/below/new; done 2>&1; true'
  add_bind "$work/rro" "$work/tree" /tree rbind rro
  expect_ok husk run --bundle "$work/rro" rro
  expect_equal "" "$(ls "$work/tree/below")" "files below the recursively read-only bind"
}

plain_bind() {
  mkdir -p "$work/plain/below"
  mount -t tmpfs -o size=64k tmpfs "$work/plain/below"
  echo secret >"$work/plain/below/file"
  make_bundle "$work/plainb" find /plain
  add_bind "$work/plainb" "$work/plain" /plain bind
  expect_ok husk run --bundle "$work/plainb" plainb
  expect_equal "/plain /plain/below" "$(xargs <<<"$out")" "what a bind that is not recursive shows"
}

readonly_root() {
  attack_bundle "$work/roroot" 'echo guest >$c/rootfs/etc/passwd; rm -rf $c/rootfs/etc; echo guest >$c/rootfs/new; true'
  edit_config "$work/roroot" '.root.readonly = true'
  expect_ok husk run --bundle "$work/roroot" roroot
  expect_contains "Read-only file system" "$err" "what the guest was told"
  expect_equal "$(cat "$work/rootfs/etc/passwd")" "$(cat "$work/roroot/rootfs/etc/passwd")" "the image's file"
  [[ ! -e $work/roroot/rootfs/new ]] || fail "a file was made in the read-only root"
}

# As docker run --read-only --tmpfs /scratch -v x:/y -w /newdir: none of them is in the image.
readonly_root_mount_points() {
  mkdir -p "$work/y"
  echo single >"$work/single"
  make_bundle "$work/points" sh -c 'pwd; echo a >/scratch/a && cat /scratch/a; echo b >/y/b; cat /conf/single; echo c 2>/dev/null >/newdir/c || echo refused'
  edit_config "$work/points" '.root.readonly = true | .process.cwd = "/newdir/sub"
    | .mounts += [{type: "tmpfs", source: "tmpfs", destination: "/scratch"}]'
  add_bind "$work/points" "$work/y" /y rbind
  add_bind "$work/points" "$work/single" /conf/single rbind ro
  expect_ok husk run --bundle "$work/points" points
  expect_equal "/newdir/sub a single refused" "$(xargs <<<"$out")" "output"
  expect_equal b "$(cat "$work/y/b")" "file in the bind"
}

share_top() {
  attack_bundle "$work/top" '{ dd if=/dev/zero of=/mnt/fill bs=1M count=8; mkdir /mnt/new $c/new $c/mounts/new /mnt/@kernel/new /mnt/@modules/new; echo guest >/mnt/@kernel/settings; echo guest >/mnt/secret
    rm -rf /mnt/secret; mv $c /mnt/moved; chmod 777 /mnt $c; } 2>/dev/null
    echo $(ls /mnt) $(ls $c) $(ls $c/mounts /mnt/@modules | grep new) $(ls /mnt/@kernel) $(stat -c %a /mnt $c) $(stat -f -c "%S*%b" /mnt)'
  expect_ok husk run --bundle "$work/top" top
  expect_match '^@kernel @modules secret top mounts rootfs settings 700 700 ([0-9*]+)$' "$out" "the share after the attack"
  ((BASH_REMATCH[1] <= 1048576)) || fail "the share's top is on a file system of ${BASH_REMATCH[1]} bytes"
}

caller_umask() {
  make_bundle "$work/umask" sh -c 'umask; ls -ld /made/point | cut -c1-10'
  mkdir -p "$work/given2"
  chmod 0755 "$work/given2"
  add_bind "$work/umask" "$work/given2" /made/point rbind
  umask 077
  expect_ok husk run --bundle "$work/umask" umask
  expect_equal "0022 drwxr-xr-x" "$(xargs <<<"$out")" "output under umask 077"
  expect_equal 755 "$(stat -c %a "$work/umask/rootfs/made")" "mode of the mount point's parent"
}

is_husk || report skip "about husk's VMs" ""
if is_husk; then
  start_libvirt
  at_end delete_all
fi
if is_husk && ! has_virtiofsd_in_c; then
  report skip "attacks through the share need $virtiofsd_in_c, which is not here" ""
elif is_husk; then
  printf '[files]\nvirtiofsd = "%s"\n' "$virtiofsd_in_c" >"$work/in-c.toml"
  it "a read-only bind cannot be written through the share" readonly_bind
  it "a recursively read-only bind neither" readonly_tree
  it "a bind that is not recursive shows one file system" plain_bind
  it "a read-only root cannot be written through the share" readonly_root
  it "a read-only root with mount points that the image has not" readonly_root_mount_points
  it "the share's own folders can neither be written nor filled" share_top
  it "a caller with umask 077" caller_umask
fi
