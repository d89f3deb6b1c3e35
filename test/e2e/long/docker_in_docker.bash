# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Docker in a container of Docker's, as people run it first in a VM: overlay2, a network with packet filter rules, a
# published port, a build. $HUSK_DOCKER_IMAGE is the image's tar.gz (default: test/images/build makes it).

# shellcheck source=test/e2e/engine_docker.bash
source "$here/engine_docker.bash"

import_image() {
  local image=${HUSK_DOCKER_IMAGE:-}
  [[ -n $image ]] || image=$("$top/test/images/build" docker) || exit 1
  engine import "$image" dind >/dev/null || exit 1
}

# dockerd's data on a tmpfs of the guest: overlay2 does not take virtio-fs as its upper layer.
begin_inner() {
  expect_ok engine run -d --name outer --privileged -m 2g --cpus 2 --runtime "$RUNTIME" --tmpfs /var/lib/docker:exec,size=1g dind \
    dockerd --storage-driver overlay2
  eventually 90 inner version
}
inner() { engine exec outer docker "$@"; }

inner_image() {
  expect_ok engine exec outer sh -c 'mkdir -p /image/bin && cp /bin/busybox /image/bin/ && for a in sh echo nc wget cat sleep uname; do ln -s busybox /image/bin/$a; done
    tar -C /image -c . | docker import - box'
}

runs_a_container() {
  begin_inner
  expect_equal overlay2 "$(inner info --format '{{.Driver}}')" "storage driver"
  inner_image
  expect_equal "hello $(engine exec outer uname -r)" "$(inner run --rm box sh -c 'echo hello $(uname -r)')" "what a container in the container says"
}

published_port() {
  expect_ok inner run -d --name web -p 8080:80 box sh -c 'while true; do echo "from the inside" | nc -l -p 80; done'
  eventually 20 says_from_the_inside 127.0.0.1:8080
  # From outside of the VM, by the address of the outer container.
  eventually 20 reaches_from_outside "$(engine inspect -f '{{.NetworkSettings.IPAddress}}' outer)"
}
says_from_the_inside() { [[ $(engine exec outer busybox nc "${1%:*}" "${1#*:}" </dev/null) == "from the inside" ]]; }  # ADDRESS:PORT
reaches_from_outside() { [[ $(busybox nc -w 5 "$1" 8080 </dev/null) == "from the inside" ]]; }                        # ADDRESS

builds() {
  expect_ok engine exec outer sh -c 'mkdir /build && cd /build && printf "FROM box\nRUN echo built >/built\nCMD cat /built\n" >Dockerfile && DOCKER_BUILDKIT=0 docker build -t made .'
  expect_equal built "$(inner run --rm made)" "what the image that was built says"
}

ends() {
  expect_ok engine stop -t 20 outer
  expect_ok engine rm outer
}

begin_docker || { report "not ok" "there is no Docker (scripts/install-deps test)" ""; end_topic; }
import_image
it "dockerd with overlay2, and a container in it" runs_a_container 300
it "a published port, from inside and from outside" published_port 120
it "docker build" builds 120
it "it stops" ends 120
