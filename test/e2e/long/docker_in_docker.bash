# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Docker in a container of Docker's, as people run it first in a VM: overlay2, a network with packet filter rules, a
# published port, a build. Then Podman in a container of Docker's. $HUSK_DOCKER_IMAGE and $HUSK_PODMAN_IMAGE are the images'
# tar.gz (default: test/images/build makes them).

# shellcheck source=test/e2e/engine_docker.bash
source "$here/engine_docker.bash"

import_images() {
  local image=${HUSK_DOCKER_IMAGE:-}
  [[ -n $image ]] || image=$("$top/test/images/build" docker) || exit 1
  engine import "$image" dind >/dev/null || exit 1
  image=${HUSK_PODMAN_IMAGE:-}
  [[ -n $image ]] || image=$("$top/test/images/build" podman) || exit 1
  engine import "$image" podman-image >/dev/null || exit 1
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

# The container of the next three tests. Podman's usual directory is on a tmpfs, where the kernel's overlay works.
begin_podman() {
  expect_ok engine run -d --name pods --privileged --device /dev/fuse -m 2g --cpus 2 --runtime "$RUNTIME" \
    --tmpfs /var/lib/containers:exec,size=1g podman-image sleep 100000
  expect_ok engine exec pods sh -ec 'mkdir -p /image/bin /build; cp /bin/busybox /image/bin/; for a in sh echo cat uname nc; do ln -s busybox /image/bin/$a; done
    tar -C /image -cf /image.tar .; printf "FROM box\nRUN echo built >/built\nCMD cat /built\n" >/build/Containerfile'
}
pods() { engine exec pods podman "${pods_options[@]}" "$@"; }
pods_options=()

# An image, a container and a build, with the storage of $pods_options.
uses_podman() {
  expect_ok pods import /image.tar box
  expect_ok pods run --rm box sh -c 'echo hello $(uname -r)'
  expect_equal "hello $(engine exec pods uname -r)" "$out" "what a container in the container says"
  expect_ok pods build -t made /build
  expect_ok pods run --rm made
  expect_equal built "$out" "what the image that was built says"
}

podman_on_overlay() {
  begin_podman
  expect_equal "overlay true" "$(pods info --format '{{.Store.GraphDriverName}} {{index .Store.GraphStatus "Native Overlay Diff"}}' 2>/dev/null)" "the storage, and whether it is the kernel's"
  uses_podman
}

# On the container's own files, which are the host's (virtio-fs).
podman_on_fuse() {
  pods_options=(--root /own --storage-driver overlay --storage-opt overlay.mount_program=/usr/bin/fuse-overlayfs)
  uses_podman
}

podman_network() {
  expect_ok pods run -d --name web -p 8080:80 localhost/box sh -c 'while true; do echo "from the inside" | nc -l -p 80; done'
  eventually 20 reaches_from_outside "$(engine inspect -f '{{.NetworkSettings.IPAddress}}' pods)"
  expect_ok pods stop -t 1 web
  expect_ok engine stop -t 1 pods
  expect_ok engine rm pods
}

begin_docker || { report "not ok" "there is no Docker (scripts/install-deps test)" ""; end_topic; }
import_images
it "dockerd with overlay2, and a container in it" runs_a_container 300
it "a published port, from inside and from outside" published_port 120
it "docker build" builds 120
it "it stops" ends 120
it "podman with the kernel's overlay: a container, podman build" podman_on_overlay 300
it "podman with fuse-overlayfs on the container's own files: the same" podman_on_fuse 300
it "podman publishes a port, and stops" podman_network 120
