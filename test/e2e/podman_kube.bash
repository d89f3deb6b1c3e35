# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# podman play kube: a pod with an init container, two containers and volumes, out of YAML. runc does the same.

# Podman 4.3 restarts an init container for ever if the policy is Always.
write_kube_yaml() {  # DIRECTORY
  mkdir -p "$1/data"
  echo of-the-host >"$1/data/file"
  cat >"$1/settings.yaml" <<-'END'
	apiVersion: v1
	kind: ConfigMap
	metadata: {name: settings}
	data: {colour: blue, words: "two words"}
	END
  cat >"$1/pod.yaml" <<-END
	apiVersion: v1
	kind: Pod
	metadata: {name: kube}
	spec:
	  hostname: kube-host
	  restartPolicy: OnFailure
	  initContainers:
	  - name: prepare
	    image: localhost/husk-test:latest
	    command: [/bin/sh, -c, 'echo "prepared on \$(hostname)" >/scratch/prepared']
	    volumeMounts: [{name: scratch, mountPath: /scratch}]
	  containers:
	  - name: web
	    image: localhost/husk-test:latest
	    command: [/bin/sh, -c, 'while :; do nc -l -p 7000 -e echo hi; done']
	    ports: [{containerPort: 7000, hostPort: 27804, hostIP: 127.0.0.1}]
	    env: [{name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}]
	    volumeMounts: [{name: scratch, mountPath: /scratch}, {name: data, mountPath: /data}, {name: settings, mountPath: /settings}]
	    resources: {limits: {memory: 100Mi}}
	  - name: side
	    image: localhost/husk-test:latest
	    command: [/bin/sh, -c, 'touch /scratch/well; echo start >>/scratch/starts; trap "exit 3" TERM; while :; do sleep 0.1; done']
	    volumeMounts: [{name: scratch, mountPath: /scratch}, {name: data, mountPath: /data, readOnly: true}]
	    livenessProbe: {exec: {command: [/bin/ls, /scratch/well]}, periodSeconds: 5, timeoutSeconds: 60, failureThreshold: 1}
	  volumes:
	  - {name: scratch, emptyDir: {}}
	  - {name: data, hostPath: {path: $1/data, type: Directory}}
	  - {name: settings, configMap: {name: settings}}
	END
}

kube_web_says_hi() { [[ $(engine exec kube-side /bin/nc 127.0.0.1 7000) == hi ]]; }
side_starts() { engine exec kube-side /bin/grep -c start /scratch/starts; }

kube_volumes() {
  expect_equal "prepared on kube-host" "$(engine exec kube-web /bin/cat /scratch/prepared)" "what the init container wrote"
  expect_equal of-the-host "$(engine exec kube-web /bin/cat /data/file)" "the host's file"
  expect_equal "blue two words" "$(engine exec kube-web /bin/cat /settings/colour) $(engine exec kube-web /bin/cat /settings/words)" "the config map"
  expect_equal blue "$(engine exec kube-web /bin/sh -c 'echo $COLOUR')" "the config map in the environment"
  expect_ok engine exec kube-web /bin/sh -c 'echo of-web >/data/web; echo of-web >/scratch/web'
  expect_equal of-web "$(cat "$work/kube/data/web")" "a file on the host"
  expect_equal "of-web of-web" "$(engine exec kube-side /bin/cat /data/web /scratch/web | xargs)" "files of the other"
  run engine exec kube-side /bin/touch /data/side
  expect_status 1
  expect_contains "Read-only file system" "$err" "a read-only mount"
}

# Without systemd nobody runs the probe but us. After a probe that fails once Podman 4.3 shows "unhealthy"; 5 restarts
# the container.
kube_probe_and_restart() {
  expect_ok engine healthcheck run kube-side
  expect_ok engine exec kube-side /bin/rm /scratch/well
  run engine healthcheck run kube-side
  expect_status 1
  local starts=1
  if [[ $(engine --version) == *" version 4."* ]]; then
    expect_equal "unhealthy running" "$(engine inspect -f '{{.State.Health.Status}} {{.State.Status}}' kube-side)" "health"
  else
    eventually 20 eval '[[ $(side_starts) -gt 1 ]]'
    starts=$(side_starts)
  fi
  expect_ok engine exec kube-side /bin/kill -TERM 1
  eventually 20 eval '[[ $(side_starts) -gt $starts ]]'
  expect_match '^[1-9]+ running$' "$(engine inspect -f "{{.RestartCount}} {{.State.Status}}" kube-side)" "restarts and state"
  eventually 20 kube_web_says_hi
}

kube_pod() {
  write_kube_yaml "$work/kube"
  expect_ok engine play kube --configmap "$work/kube/settings.yaml" "$work/kube/pod.yaml"
  eventually 20 kube_web_says_hi
  eventually 20 says_hi 27804
  expect_equal "kube-host kube-host" "$(engine exec kube-web /bin/hostname) $(engine exec kube-side /bin/hostname)" "host names"
  expect_equal 104857600 "$(engine inspect -f '{{.HostConfig.Memory}}' kube-web)" "limit of memory"
  expect_contains 104857600 "$(engine exec kube-web /bin/sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null')" "limit of memory inside"
  kube_volumes
  kube_probe_and_restart
  expect_ok engine generate kube kube
  expect_contains "path: $work/kube/data" "$out" "hostPath in the YAML"
  expect_ok engine play kube --down "$work/kube/pod.yaml"
  expect_equal "" "$(engine ps --all --filter pod=kube --format '{{.Names}}')" "containers left"
  expect_ok engine volume rm --force settings
}
