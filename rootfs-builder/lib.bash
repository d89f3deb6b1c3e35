# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Kernel modules as the guest gets them. Sourced by rootfs-builder/initrd and rootfs-builder/modules.

fail() {
  echo "rootfs-builder/${0##*/}: $*" >&2
  exit 1
}

release_in() {  # MODULES_DIR: the kernel's release
  local version
  version=$(basename "$1"/lib/modules/*)
  [[ -f $1/lib/modules/$version/modules.dep ]] || fail "$1: no lib/modules/VERSION/modules.dep in it"
  echo "$version"
}

unpack_module() {  # SOURCE DESTINATION: a plain ELF file
  case $1 in
    *.ko) cp "$1" "$2" ;;
    *.ko.xz) xz -dc "$1" >"$2" ;;
    *.ko.zst) zstd -dcq "$1" >"$2" ;;
    *.ko.gz) gzip -dc "$1" >"$2" ;;
    *) fail "$1: a module in an unknown format" ;;
  esac
}

# Signature, debug data and types of the kernel's are most of a module, and are read when it is loaded. The tables that
# unwind its stack in a panic's text (ORC) are half of its relocations, and are sorted each time.
slim_module() {  # FILE [DESTINATION]
  local section options=(--strip-debug)
  for section in .BTF .BTF.base .orc_unwind .orc_unwind_ip; do
    options+=(--remove-section="$section")
  done
  objcopy "${options[@]}" "$@"
}
