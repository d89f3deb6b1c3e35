# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The topic guest_kernel once more, with the kernel that the build has not taken: Debian's, or husk's own
# (rootfs-builder/CMakeLists.txt).

if [[ -x $build/other-kernel/bin/husk ]]; then
  build=$build/other-kernel
  HUSK=$build/bin/husk
  # shellcheck source=test/e2e/guest_kernel.bash
  source "$here/guest_kernel.bash"
else
  report skip "the guest's own kernel is not in the cache: rootfs-builder/build-kernel" ""
fi
