# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The VM that husk made, once more by QEMU alone, for comparison. Sourced after bench/lib.bash.
# shellcheck disable=SC2034,SC2154  # shared with those who source it

remember_qemus() {
  local exe
  for exe in /proc/[0-9]*/exe; do
    [[ $(readlink "$exe" 2>/dev/null) != */qemu-system-* ]] || basename "$(dirname "$exe")"
  done | sort >"$work/qemus.$1"
}

new_qemu() {  # pid of the one that has come since `remember_qemus before`
  remember_qemus now
  comm -13 "$work/qemus.before" "$work/qemus.now" | sed -n 1p
}

# QEMU's own command line, as libvirt made it for husk, in $bare, with the guest's initrd and the ends of its
# sockets replaced (kernel and firmware too: husk binds them to where they are gone with the VM), a tap by name instead of
# libvirt's descriptor, and everything gone that only libvirt needs.
take_command_line() {  # PID INITRD TAP
  local -a given=()
  local i value vhost
  mapfile -d '' -t given <"/proc/$1/cmdline"
  bare=("${given[0]}")
  for ((i = 1; i < ${#given[@]}; i++)); do
    value=${given[i + 1]:-}
    case ${given[i]} in
      -S | -no-shutdown) ;;  # libvirt waits for the guest's power-off and then ends QEMU itself
      -name | -uuid | -mon | -sandbox | -add-fd | -pidfile) i=$((i + 1)) ;;
      -object) [[ $value == *secret* ]] || bare+=(-object "$value"); i=$((i + 1)) ;;
      -bios) bare+=(-bios /usr/share/qemu/qboot.rom); i=$((i + 1)) ;;
      -kernel) bare+=(-kernel "$build/share/husk/vmlinuz"); i=$((i + 1)) ;;
      -initrd) bare+=(-initrd "$2"); i=$((i + 1)) ;;
      -netdev)
        vhost=
        [[ $value != *'"vhost":true'* ]] || vhost=,vhost=on
        bare+=(-netdev "tap,id=$(jq -r .id <<<"$value"),ifname=$3,script=no,downscript=no$vhost")
        i=$((i + 1))
        ;;
      -chardev)
        i=$((i + 1))
        case $value in
          *charmonitor*) ;;
          *vu-fs*) bare+=(-chardev "$(sed -E "s#,(path|fd)=[^,]*#,path=$work/bare-1/fs.sock#" <<<"$value")") ;;
          *husk-vsock*) bare+=(-chardev "$(sed -E "s#,path=[^,]*#,path=$work/bare-1/vhost.sock#" <<<"$value")") ;;
          *charserial*) bare+=(-chardev "file,id=charserial0,path=$work/bare-1/console") ;;
          *) die "unknown in QEMU's command line: -chardev $value" ;;
        esac
        ;;
      -device) bare+=(-device "$(sed -E 's/,"?vhostfd"?[=:]"?[^,}]*//' <<<"$value")"); i=$((i + 1)) ;;
      *) bare+=("${given[i]}") ;;
    esac
  done
}

# What answers QEMU's vhost-user devices. Started before any clock: the comparison is with the VM alone.
start_devices() {  # N: for so many VMs (default 1), the last one's folder being $work/bare-N
  local virtiofsd i
  for virtiofsd in /usr/libexec/virtiofsd /usr/local/libexec/husk-virtiofsd/virtiofsd /usr/lib/qemu/virtiofsd; do
    [[ ! -x $virtiofsd ]] || break
  done
  for ((i = 1; i <= ${1:-1}; i++)); do
    local of=$work/bare-$i
    mkdir -p "$of/share"
    rm -f "$of"/*.sock
    "$virtiofsd" --socket-path="$of/fs.sock" -o source="$of/share" >"$of/virtiofsd.log" 2>&1 </dev/null &
    devices+=($!)
    [[ " ${bare[*]} " == *vhost-user-vsock* ]] || continue
    vhost-device-vsock --vm "guest-cid=3,socket=$of/vhost.sock,uds-path=$of/vsock.sock" >"$of/vsock.log" 2>&1 </dev/null &
    devices+=($!)
  done
  for ((i = 1; i <= ${1:-1}; i++)); do await_devices "$work/bare-$i"; done
}

await_devices() {  # FOLDER
  local i
  for ((i = 0; i < 200; i++)); do
    [[ -S $1/fs.sock ]] && { [[ " ${bare[*]} " != *vhost-user-vsock* ]] || [[ -S $1/vhost.sock ]]; } && return
    sleep 0.05
  done
  die "virtiofsd or vhost-device-vsock did not start: $(tail -n 2 "$1"/{virtiofsd,vsock}.log 2>/dev/null)"
}

# The VM with the devices I, in $command. Where the host's kernel is the vsock device each needs a CID of its own.
bare_command() {  # I
  command=("${bare[@]//$work\/bare-1\//$work/bare-$1/}")
  local i
  for ((i = 0; i < ${#command[@]}; i++)); do
    [[ ${command[i]} != *guest-cid* ]] || command[i]=$(sed -E "s/(guest-cid\"?[=:])[0-9]+/\1$((1000 + $1))/" <<<"${command[i]}")
  done
}

stop_devices() {
  kill "${devices[@]}" 2>/dev/null || true
  wait "${devices[@]}" 2>/dev/null || true
  devices=()
}

accelerator() {
  case " ${bare[*]} " in
    *accel=kvm*) echo "QEMU with KVM" ;;
    *) echo "QEMU without KVM (TCG)" ;;
  esac
}
devices=() bare=() command=()
