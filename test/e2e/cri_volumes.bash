# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What kubelet does with the volumes of a pod, done by these tests as kubelet does it: the pod "volumes", in the folder
# that kubelet would have made for it. No faster test has kubelet's order of mounts and containers, containerd's options
# of binds, and virtio-fs between host and guest.
pod_folder=$work/kubelet/pods/1
in_memory=$pod_folder/volumes/kubernetes.io~empty-dir/cache on_disk=$pod_folder/volumes/kubernetes.io~empty-dir/disk
config=$pod_folder/volumes/kubernetes.io~configmap/config secret=$pod_folder/volumes/kubernetes.io~secret/secret

mounts() {  # CONTAINER_PATH HOST_PATH [ro]...; prints a filter of jq for new_member
  local mounts=()
  while (($# > 0)); do
    mounts+=("{container_path: \"$1\", host_path: \"$2\", readonly: $([[ ${3:-} == ro ]] && echo true || echo false)}")
    [[ ${3:-} != ro ]] || shift
    shift 2
  done
  (IFS=,; echo ".mounts = [${mounts[*]}]")
}

# kubelet binds a part of a volume for each mount of a container, and gives the bind's place to the runtime.
make_subpath() {  # VOLUME PART CONTAINER [NUMBER]; NUMBER: of the container's mount
  local place=$pod_folder/volume-subpaths/${1##*/}/$3/${4:-0}
  mkdir -p "$1/$2" "$place"
  mount --bind "$1/$2" "$place"
  echo "$place"
}

# kubelet's AtomicWriter: files are links to ..data/FILE, ..data is a link to a folder, and a change is a rename of ..data.
write_atomically() {  # VOLUME CONTENT
  local old new
  old=$(readlink "$1/..data") new=$(cd "$1" && mktemp -d ..2026_XXXXXX)
  echo "$2" >"$1/$new/key"
  chmod 0755 "$1/$new"
  ln -s "$new" "$1/..data_tmp"
  mv -T "$1/..data_tmp" "$1/..data"
  [[ -e $1/key ]] || ln -s ..data/key "$1/key"
  [[ -z $old ]] || rm -r "${1:?}/$old"
}

pod_with_volumes() {
  mkdir -p "$in_memory" "$on_disk" "$config" "$secret"
  mount -t tmpfs -o size=8m,mode=0777 tmpfs "$in_memory"
  mount -t tmpfs -o size=1m tmpfs "$secret"
  new_pod volumes
}

# The first container has a part alone; kubelet has made the part's folder on the host before each container.
part_of_memory() {
  local part again
  mkdir "$in_memory/logs"
  chmod 2770 "$in_memory/logs"
  chown 7:8 "$in_memory/logs"
  part=$(make_subpath "$in_memory" logs part)
  new_member volumes part "$(mounts /part "$part" /disk "$(make_subpath "$on_disk" logs part)")" sleep 1000
  expect_equal 2770:7:8 "$(in_member part stat -c %a:%u:%g /part)" "mode and owner of the part"
  expect_ok in_member part sh -c 'echo of-part >/part/file; echo of-part >/disk/file'
  new_member volumes whole "$(mounts /cache "$in_memory" /disk "$on_disk")" sleep 1000
  expect_equal of-part "$(in_member whole cat /cache/logs/file)" "a file of the part, in the whole"
  expect_equal of-part "$(in_member whole cat /disk/logs/file)" "the same on the disk"
  expect_ok in_member whole sh -c 'echo of-whole >/cache/logs/other; echo of-whole >/cache/file; echo of-whole >/disk/logs/other'
  expect_equal "file other" "$(in_member part ls /part | xargs)" "files in the part"
  expect_equal of-whole "$(in_member part cat /part/other)" "a file of the whole, in the part"
  expect_equal of-whole "$(in_member part cat /disk/other)" "the same on the disk"
  ! is_husk || expect_equal "" "$(find "$in_memory" -type f)" "files on the host"
  # Whatever is on the host by now, the guest's is what the others have.
  ! is_husk || touch "$in_memory/of-the-host"
  expect_ok cri stop "$(id_of part)" 0
  expect_ok cri remove "$(id_of part)"
  umount "$part"
  again=$(make_subpath "$in_memory" logs again)
  new_member volumes again ".metadata.attempt = 1 | $(mounts /part "$again" /cache "$in_memory" /new "$(make_subpath "$in_memory" new again 2)" ro)" \
    sleep 1000
  expect_equal "of-part of-whole" "$(in_member again cat /part/file /cache/file | xargs)" "files, after a restart"
  run in_member again touch /new/file
  expect_contains "Read-only file system" "$err" "a part that is read-only"
  expect_equal "file logs new" "$(in_member whole ls /cache | xargs)" "the whole"
}

# A reader that runs sees the change within a second, in which the file may be missing (docs/limitations.md), and no other
# content.
changes_of_volumes() {
  local volume changed
  write_atomically "$config" old
  write_atomically "$secret" old
  new_member volumes reader "$(mounts /config "$config" ro /secret "$secret" ro)" sh -c '
    exec 2>&1
    while :; do
      for volume in config secret; do read line </$volume/key && echo "$volume $line"; done
      sleep 0.1
    done'
  for volume in config secret; do
    eventually 20 grep -q "F $volume old" "$work/logs/volumes/reader.log"
    changed=$(date +%s%N)
    write_atomically "${!volume}" new
    eventually 20 grep -q "F $volume new" "$work/logs/volumes/reader.log"
    changed=$(($(date -d "$(grep -m 1 "F $volume new" "$work/logs/volumes/reader.log" | cut -d' ' -f1)" +%s%N) - changed))
    ((changed < 1500000000 * time_factor)) || fail "the change of $volume was seen after $changed ns"
    expect_equal new "$(in_member reader cat "/$volume/key")" "what another process sees"
  done
  run in_member reader sh -c 'echo x >/config/key'
  expect_contains "Read-only file system" "$err" "a write"
  expect_ok cri stop "$(id_of reader)" 0
  # "old" never comes after "new", and no file is missing after that.
  for volume in config secret; do
    expect_match '^old( missing)?( new)$' "$(sed -nE "s/.* F $volume (.*)/\\1/p; s/.* can't open .$volume.key: no such file/missing/p" \
      "$work/logs/volumes/reader.log" | uniq | xargs)" "what was read of $volume"
  done
  expect_equal "" "$(grep -vE ' F (config|secret) (old|new)$|: no such file$' "$work/logs/volumes/reader.log")" "other lines of the log"
}

# A termination message is what is in the host's file when the container has ended.
files_of_the_host() {
  local message=$pod_folder/containers/dying host=$pod_folder/host-file name
  mkdir -p "${message%/*}"
  echo of-the-host >"$host"
  for name in ends killed; do
    install -m 0666 /dev/null "$message-$name"
    new_member volumes "$name" "$(mounts /dev/termination-log "$message-$name" /etc/host-file "$host")" \
      sh -c "cat /etc/host-file; echo $name >>/etc/host-file; echo last words of $name >/dev/termination-log; [ $name = ends ] || exec sleep 1000; exit 3"
  done
  becomes ends "CONTAINER_EXITED 3"
  eventually 20 grep -q killed "$host"
  expect_equal 0 "$(cri container-status "$(id_of killed)" | jq .status.exit_code)" "exit code of one that runs"
  eventually 20 grep -q last "$message-killed"
  expect_ok cri stop "$(id_of killed)" 0
  expect_equal "CONTAINER_EXITED 137" "$(status_of killed)" "the killed one"
  for name in ends killed; do
    expect_equal "last words of $name" "$(cat "$message-$name")" "termination message"
  done
  expect_equal "of-the-host ends killed" "$(xargs <"$host")" "the file of the host"
  expect_contains "F of-the-host" "$(cat "$work/logs/volumes/ends.log")" "what the container has read"
}

volumes_are_given_back() {
  remove_pod volumes
  # As kubelet tears down: nothing is busy.
  awk -v below="$pod_folder/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sort -r >"$work/to-unmount"
  while read -r place; do expect_ok umount "$place"; done <"$work/to-unmount"
  expect_ok rm -r --one-file-system "$pod_folder"
  expect_nothing_left
}

test_volumes() {
  it "volumes: a pod" pod_with_volumes
  it "volumes: a part (subPath) of an emptyDir, in memory and on disk" part_of_memory 120
  it "volumes: changes of a ConfigMap and a Secret" changes_of_volumes
  it "volumes: termination messages and files of the host" files_of_the_host
  it "volumes: are given back with the pod" volumes_are_given_back
}
