# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Cgroups of pods, by the driver that a node has: systemd where there is one, cgroupfs elsewhere and with
# HUSK_TEST_CGROUPS=cgroupfs. A pod's cgroup is made and removed as kubelet does.

on_systemd() { [[ -d /run/systemd/system && ${HUSK_TEST_CGROUPS:-} != cgroupfs ]]; }

# A slice is in those of which its name begins with the names: a-b.slice is a.slice/a-b.slice.
slice_path() {  # NAME.slice
  local part name='' path=''
  for part in $(tr - ' ' <<<"${1%.slice}"); do
    name+=${name:+-}$part
    path+=/$name.slice
  done
  echo "$path"
}

pod_cgroup() {  # GROUP POD
  if on_systemd; then slice_path "$1-$2.slice"; else echo "/$1/$2"; fi
}

# The directories of a cgroup: one in each hierarchy of cgroup v1, or the only one of v2.
cgroup_directories() {  # CGROUP
  if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then
    echo "/sys/fs/cgroup$1"
  else
    awk '/ - cgroup2? / { print $5 }' /proc/self/mountinfo | sed "s|\$|$1|"
  fi
}
# A new cpuset of v1 has neither CPUs nor memory; whoever makes it takes them over from the one above.
make_cgroup() {  # CGROUP
  local directory file
  [[ $1 != *.slice ]] || { systemctl start "${1##*/}" || fail "start ${1##*/}"; return; }
  for directory in $(cgroup_directories "$1"); do
    [[ ! -d $directory ]] || continue
    [[ -d ${directory%/*} ]] || make_cgroup "${1%/*}"
    mkdir -p "$directory" || fail "mkdir $directory"
    [[ ! -f $directory/cpuset.sched_load_balance ]] ||
      for file in cpuset.cpus cpuset.mems; do cat "${directory%/*}/$file" >"$directory/$file"; done
  done
}
# Where a controller is missing, so is the directory. That of a slice is removed before systemd is asked, which would
# end what is in it.
remove_cgroup() {  # CGROUP
  local directory
  for directory in $(cgroup_directories "$1"); do
    [[ ! -d $directory ]] || rmdir "$directory" || return 1
  done
  [[ $1 != *.slice ]] || systemctl stop "${1##*/}"
}
# What failed tests left.
remove_cgroups() {  # GROUP
  find /sys/fs/cgroup -depth -type d -path "*/$1*" -exec rmdir {} + 2>/dev/null
  ! on_systemd || systemctl stop "$1.slice" "${1%%-*}.slice"
}
enter_cgroup() {  # CGROUP PID
  local directory
  for directory in $(cgroup_directories "$1"); do
    echo "$2" >"$directory/cgroup.procs" || return 1
  done
}
# A scope of systemd for a process that is there.
enter_scope() {  # CGROUP PID
  local name=${1##*/} slice
  slice=$(basename "${1%/*}")
  busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager StartTransientUnit \
    'ssa(sv)a(sa(sv))' "$name" fail 2 Slice s "$slice" PIDs au 1 "$2" 0 || fail "a scope $name"
}
pids_in() { cgroup_directories "$1" | sed 's|$|/cgroup.procs|' | xargs cat 2>/dev/null | sort -u; }  # CGROUP
programs_in() {  # CGROUP
  local pid
  for pid in $(pids_in "$1"); do basename "$(readlink "/proc/$pid/exe" 2>/dev/null)"; done | sort -u
}
