# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# cmake --install, and a container run from there; the configuration in packaging/

installed() {
  [[ -f $build/cmake_install.cmake ]] || skip "$HUSK is not in a build directory"
  expect_ok cmake --install "$build" --prefix "$work/prefix"
  local file
  for file in bin/husk libexec/husk/husk-shim libexec/husk/husk-keeper share/husk/vmlinuz share/husk/initrd share/husk/modules/modprobe \
    share/man/man8/husk.8 share/bash-completion/completions/husk share/zsh/vendor-completions/_husk \
    share/fish/vendor_completions.d/husk.fish; do
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
  expect_ok "$HUSK" --root "$work/root" delete --force installed
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

! is_husk || start_libvirt
it "an installed husk runs a container with its own parts" installed 180
it "containerd understands the configuration in packaging/" packaged_for_containerd 30
