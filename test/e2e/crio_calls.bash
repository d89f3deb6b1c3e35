# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The runtime as CRI-O calls it, itself and through conmon, for each call of the CRI. Names are POD/CONTAINER; the infra
# container has its pod's name.

# CRI-O's direct calls name the driver, too, but for update.
husk() {
  local driver=()
  ! on_systemd || [[ $1 == update ]] || driver=(--systemd-cgroup)
  "$HUSK" --root "$work/root" "${driver[@]}" "$@"
}
conmon_driver() { on_systemd && echo -s || echo --syslog; }
# systemd removes the cgroup of a scope.
conmon_left() { on_systemd && [[ ! -e /sys/fs/cgroup$(conmon_cgroup "$1") ]] || remove_cgroup "$(conmon_cgroup "$1")"; }  # NAME

# conmon as CRI-O calls it: moved to a cgroup of its own (monitor_cgroup = "pod") before it may go on, its answer on a
# descriptor. $answer is what it said.
conmon_create() {  # NAME
  local bundle id conmon status=0
  bundle=$(directory_of "$1") id=$(id_of "$1")
  echo "+ conmon creates $1 ($id)"
  rm -f "$bundle/go" && mkfifo "$bundle/go"
  on_systemd || make_cgroup "$(conmon_cgroup "$1")"
  : >"$bundle/answer"
  (
    cd "$bundle" || exit 1
    exec env _OCI_SYNCPIPE=3 _OCI_STARTPIPE=4 conmon -b "$bundle" -c "$id" --exit-dir "$work/exits" -l "$bundle/log" \
      --log-level info -n "k8s_${1//\//_}" -P "$bundle/conmon-pidfile" -p "$bundle/pidfile" --persist-dir "$bundle" -r "$HUSK" \
      --runtime-arg "--root=$work/root" --socket-dir-path "$work/attach" "$(conmon_driver)" -u "$id" \
      3>>"$bundle/answer" 4<"$bundle/go" </dev/null >"$bundle/conmon.log" 2>&1
  ) &
  conmon=$!
  $(on_systemd && echo enter_scope || echo enter_cgroup) "$(conmon_cgroup "$1")" "$conmon"
  printf '\0' >"$bundle/go"
  wait "$conmon" || status=$?
  [[ $status == 0 ]] || fail "conmon: $status: $(cat "$bundle/conmon.log")"
  eventually 60 grep -q . "$bundle/answer"
  answer=$(cat "$bundle/answer")
}
state() { state_of "$(id_of "$1")"; }  # NAME

# CreateContainer.
create_member() {  # NAME
  conmon_create "$1"
  [[ $(jq .pid <<<"$answer") -gt 0 ]] || fail "create $1: $answer"
  expect_equal created "$(state "$1")" "state of $1 after create"
  expect_equal "$(jq .pid <<<"$answer")" "$(cat "$(directory_of "$1")/pidfile")" "pid file"
}
# StartContainer.
start_member() {  # NAME
  expect_ok husk start "$(id_of "$1")"
  expect_equal "" "$out$err" "what start prints"
  expect_match 'running|stopped' "$(state "$1")" "state of $1 after start"
}
run_member() {  # NAME COMMAND...
  make_member "$@"
  create_member "$1"
  start_member "$1"
}

# A create that fails: its words, and CRI-O's clean-up after it.
refused_member() {  # NAME PART_OF_MESSAGE
  conmon_create "$1"
  expect_equal -1 "$(jq .pid <<<"$answer")" "the pid that conmon tells of $1, which must be refused"
  echo "$1: $(jq -r .message <<<"$answer")"
  expect_match "$2" "$(jq -r .message <<<"$answer")" "why $1 was refused"
  expect_ok husk delete --force "$(id_of "$1")"
  forget_member "$1"
}

# ExecSync: $status and $out are the command's, as CRI-O reads them from conmon's answer and log. The
# process is that of config.json with another command.
exec_sync() {  # NAME COMMAND...
  local bundle id pid_file log
  bundle=$(directory_of "$1") id=$(id_of "$1") pid_file=$bundle/exec.pid log=$bundle/exec.log
  shift
  make_process "$bundle/exec.json" "$bundle" "$@"
  rm -f "$bundle/go" && mkfifo "$bundle/go"
  : >"$bundle/exec.answer"
  : >"$log"
  _OCI_SYNCPIPE=3 _OCI_STARTPIPE=4 conmon -c "$id" -n "$id" -r "$HUSK" -p "$pid_file" -e -l "$log" --socket-dir-path "$work/attach" \
    --log-level info --sync --log-global-size-max 16777216 -T 30 --exec-process-spec "$bundle/exec.json" \
    --runtime-arg "--root=$work/root" 3>>"$bundle/exec.answer" 4<"$bundle/go" </dev/null >"$bundle/exec.conmon" 2>&1 &
  local conmon=$!
  printf '\0' >"$bundle/go"
  wait "$conmon"
  status=$(jq .exit_code "$bundle/exec.answer")
  out=$(cut -d' ' -f4- "$log")
  echo "+ ExecSync $*: $status, $out"
  [[ -n $status && $status != -1 ]] || fail "ExecSync: $(cat "$bundle/exec.answer" "$bundle/exec.conmon")"
}
make_process() {  # FILE BUNDLE COMMAND...
  jq '.process | .args = $command' "$2/config.json" --argjson command "$(as_json "${@:3}")" >"$1" || fail "process of an exec"
}
# Exec, which CRI-O streams itself: in the foreground, without any other option.
foreground_exec() {  # NAME COMMAND...
  local bundle
  bundle=$(directory_of "$1")
  make_process "$bundle/foreground.json" "$bundle" "${@:2}"
  husk exec --process "$bundle/foreground.json" "$(id_of "$1")"
}

exit_status() { cat "$work/exits/$(id_of "$1")"; }  # NAME
has_ended() { [[ -s $work/exits/$(id_of "$1") ]]; }
await_end() {  # NAME STATUS
  eventually 30 has_ended "$1"
  expect_equal "$2" "$(exit_status "$1")" "exit status of $1"
  expect_equal "stopped stopped" "$(state "$1") $(state "$1")" "state of $1 after its end"
}
# RemoveContainer. conmon has ended; CRI-O removes its cgroup.
remove_member() {  # NAME
  expect_ok husk delete --force "$(id_of "$1")"
  forget_member "$1"
}
forget_member() {  # NAME
  eventually 30 conmon_left "$1"
  rm -rf "$work/storage/$(id_of "$1")" "$work/exits/$(id_of "$1")"
}
