# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# cmake --install, and a container run from there; the configuration in packaging/

installed() {
  [[ -f $build/cmake_install.cmake ]] || skip "$HUSK is not in a build directory"
  expect_ok cmake --install "$build" --prefix "$work/prefix"
  local file
  for file in bin/husk libexec/husk/husk-shim libexec/husk/husk-keeper libexec/husk/husk-ch share/husk/vmlinuz share/husk/initrd share/husk/modules/modprobe \
    share/man/man8/husk.8 share/bash-completion/completions/husk share/zsh/vendor-completions/_husk \
    share/fish/vendor_completions.d/husk.fish share/man/man8/husk-check.8; do
    [[ -s $work/prefix/$file ]] || fail "not installed: $file"
  done
  HUSK=$work/prefix/bin/husk
  make_bundle "$work/bundle" uname -r
  expect_ok "$HUSK" --root "$work/root" run --bundle "$work/bundle" installed
  expect_guest_kernel "$out"
  ln -s "$HUSK" "$work/myruntime"
  expect_ok "$work/myruntime" --root "$work/root" run --bundle "$work/bundle" linked
  expect_guest_kernel "$out"
  # Nothing of the build directory is used: the shim that runs is the installed one.
  edit_config "$work/bundle" '.process.args = ["sleep", "1000"]'
  "$HUSK" --root "$work/root" run --detach --bundle "$work/bundle" --pid-file "$work/pid" installed >/dev/null 2>"$work/err" </dev/null ||
    fail "run --detach: $(cat "$work/err")"
  expect_equal "$work/prefix/libexec/husk/husk-shim" "$(readlink "/proc/$(cat "$work/pid")/exe")" "the shim's program"
  # As an upgrade does: each file is replaced, and the modules are other files.
  for file in "$work/prefix/bin/husk" "$work/prefix/libexec/husk/"* "$work/prefix/share/husk/"{vmlinuz,initrd}; do
    cp "$file" "$file.new" && mv "$file.new" "$file"
  done
  cp -r "$work/prefix/share/husk/modules" "$work/prefix/share/husk/modules.new"
  rm -r "$work/prefix/share/husk/modules" && mv "$work/prefix/share/husk/modules.new" "$work/prefix/share/husk/modules"
  expect_ok "$HUSK" --root "$work/root" exec installed echo goes on
  expect_equal "goes on" "$out" "exec after an upgrade"
  expect_ok "$HUSK" --root "$work/root" kill installed KILL
  eventually 20 eval '[[ $("$HUSK" --root "$work/root" state installed | jq -r .status) == stopped ]]'
  expect_ok "$HUSK" --root "$work/root" delete installed
  expect_ok "$HUSK" --root "$work/root" run --bundle "$work/bundle" --detach upgraded
  expect_ok "$HUSK" --root "$work/root" delete --force upgraded
}

# An unknown key is not an error for containerd: what it understood is in its dump.
packaged_for_containerd() {
  local major dump
  [[ -x $(command -v containerd) ]] || skip "containerd is not installed"
  major=$(containerd --version | grep -oE '[0-9]+\.[0-9.]+' | head -n 1)
  expect_ok containerd --config "$top/packaging/containerd/config-${major%%.*}.x.toml" config dump
  dump=$(sed -n '/runtimes.husk/,/SystemdCgroup/p' <<<"$out" | tr -d " \"'")
  for line in runtime_type=io.containerd.runc.v2 privileged_without_host_devices=true BinaryName=/usr/local/bin/husk \
    Root=/run/containerd/husk SystemdCgroup=true; do
    grep -qxF "$line" <<<"$dump" || fail "containerd did not understand $line: $dump"
  done
}

# Expects that the check fails, with that text, and that husk says what to do.
expect_finding() {  # CHECK PART_OF_TEXT COMMAND...
  local name=$1 text=$2 found
  shift 2
  run "$@"
  expect_equal 1 "$status" "exit status of husk check ($err)"
  found=$(jq -r --arg check "$name" '.checks[] | select(.check == $check) | "\(.result) \(.text) -> \(.advice)"' <<<"$out")
  [[ $found == fail*"$text"*'-> '?* && $found != *null ]] || fail "check $name: wanted \"$text\", got: $found"
}

# On a host of its own, as far as its mounts go.
elsewhere() {  # SHELL_COMMAND HUSK_ARGUMENTS...
  local change=$1
  shift
  # shellcheck disable=SC2016
  unshare --mount bash -c 'eval "$1" && shift && exec "$@"' - "$change" "$HUSK" "$@"
}

checks_the_host() {
  local closed=$work/closed
  is_husk || skip "about husk"
  expect_ok "$HUSK" check --json
  expect_equal "" "$(jq -r '.checks[] | select((.result == "pass") == has("advice") or .text == "") | .check' <<<"$out")" \
    "checks with advice that pass, or without that do not"
  expect_ok "$HUSK" check
  expect_contains "This host can run containers in VMs" "$out" "husk check"

  printf '[vm]\ncpus = 1\n' >"$work/unknown.toml"
  expect_finding configuration "unknown.toml:2: unknown key vm.cpus" "$HUSK" --config "$work/unknown.toml" check --json
  printf '[files]\nvirtiofsd = "%s"\n' "$work/none" >"$work/none.toml"
  expect_finding virtiofsd "$work/none is not a program" "$HUSK" --config "$work/none.toml" check --json
  printf '[hypervisor]\nuri = "qemu+unix:///system?socket=%s"\n' "$work/none" >"$work/lost.toml"
  expect_finding libvirt "connect to libvirt" "$HUSK" --config "$work/lost.toml" check --json
  mkdir -m 0700 "$closed"
  cp "$build/share/husk/vmlinuz" "$closed/"
  printf '[vm]\nkernel = "%s/vmlinuz"\n' "$closed" >"$work/closed.toml"
  expect_finding guest "QEMU's user may not search $closed" "$HUSK" --config "$work/closed.toml" check --json
  rm "$closed/vmlinuz"
  expect_finding guest "vm.kernel: $closed/vmlinuz: no such file" "$HUSK" --config "$work/closed.toml" check --json
  expect_finding qemu "QEMU is not installed" elsewhere 'mount --bind /dev/null /usr/bin/qemu-system-x86_64' check --json
  expect_finding disk "/run is mounted read-only" elsewhere 'mount --rbind /run /run && mount -o remount,bind,ro /run' check --json
  expect_finding cgroups "no cgroup file system" elsewhere 'umount --recursive --lazy /sys/fs/cgroup' check --json
}

sets_docker_up() {
  local file=$work/docker/daemon.json HUSK=$work/own/husk
  is_husk || skip "about husk"
  # Root's alone, whoever has the build directory.
  install -D -m 0755 "$build/bin/husk" "$HUSK"
  expect_failure 1 "there is no terminal to ask on" "$HUSK" setup docker --file "$file"
  [[ ! -e $file ]] || fail "the file was written without being asked"
  expect_ok "$HUSK" setup docker --file "$file" --yes
  expect_equal "$HUSK" "$(jq -r .runtimes.husk.path "$file")" "the runtime's path"
  expect_ok "$HUSK" setup docker --file "$file" --yes
  expect_contains "Nothing to do" "$out" "the second time"
  # Docker 23 and later can check the file.
  ! { dockerd --help 2>/dev/null | grep -q -- --validate; } || expect_ok dockerd --validate --config-file "$file"
  expect_ok "$HUSK" setup docker --file "$file" --yes --remove
  expect_equal "{}" "$(cat "$file")" "the file after --remove"
  chmod 0777 "$work/own"
  expect_failure 1 "$work/own: can be changed by others than root" "$HUSK" setup docker --file "$file" --yes
  chmod 0755 "$work/own"
  echo '{ "runtimes": ' >"$file"
  expect_failure 1 "$file: " "$HUSK" setup docker --file "$file" --yes
  expect_equal '{ "runtimes": ' "$(cat "$file")" "a file that is no JSON"
  echo '{}' >"$file"
  expect_failure 1 "ead-only file system" elsewhere "mount --bind $work/docker $work/docker && mount -o remount,bind,ro $work/docker" \
    setup docker --file "$file" --yes
  expect_equal '{}' "$(cat "$file")" "a file in a read-only directory"
}

! is_husk || start_libvirt
it "husk check says what is wrong with a host, and what to do" checks_the_host 120
it "husk setup docker adds husk to daemon.json, and takes it out" sets_docker_up 60
it "an installed husk runs a container with its own parts" installed 180
it "containerd understands the configuration in packaging/" packaged_for_containerd 30
