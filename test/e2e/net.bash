# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Network namespaces, programs for containers, and pictures of networks to compare.

copy_program() {  # ROOTFS PROGRAM: with its libraries
  ldd "$2" | grep -o '/[^ ]*' | xargs cp -L --parents -t "$1" "$2"
}

# Debian's python3, as far as net_tool needs it, and net_tool itself, as /net_tool.
copy_net_tool() {  # ROOTFS
  local python
  python=$(readlink -f /usr/bin/python3)
  copy_program "$1" "$python" && ln -s "${python##*/}" "$1/usr/bin/python3" && cp "$here/net_tool" "$1/net_tool"
  mkdir -p "$1/usr/lib/${python##*/}/lib-dynload"
  "$python" -IS -c 'import encodings.idna, os, socket, struct, sys, threading, zlib
for module in sys.modules.values():
    for file in getattr(module, "__file__", None), getattr(module, "__cached__", None):
        if file and os.path.exists(file): print(file)' | sort -u | xargs cp --preserve=timestamps --parents -t "$1"
}

# A link of two ends, each in a namespace that `ip` knows by its name or by a pid.
add_link() {  # NAMESPACE NAME MTU PEER_NAMESPACE PEER_NAME
  ip link add name "$2" mtu "$3" netns "$1" type veth peer name "$5" mtu "$3" netns "$4" && ip -n "$4" link set "$5" up
}

# Namespaces of tests begin with "$namespaces"; the topic has them taken away at its end, with the links in them.
namespaces=huske2e-$run_id
new_namespace() { ip netns add "$1" && ip -n "$1" link set lo up; }  # NAME
drop_namespaces() {
  local file
  for file in "/run/netns/$namespaces"*; do
    [[ ! -e $file ]] || ip netns del "${file##*/}"
  done
}

# What a namespace has, one line of JSON for each thing, in a stable order. Left out is
# - what names links by number, and what the link is made of, as the guest's is a virtio card: ifindex, link_index,
#   link, link_netnsid, qdisc, permaddr (the card's own address); and husk's own taps;
# - operstate, which virtio says differently ("UNKNOWN" of lo is the same);
# - lifetimes, which run; and that an address was made without a search for others who have it (nodad): the search
#   was over on the host;
# - neighbours that were found, not set: each finds its own;
# - broadcast routes that older kernels make for the network's first address, and who made a route of the table
#   "local" by itself.
picture_script='for what in addr "-4 route show table all" "-6 route show table all" rule "-6 rule" \
  "neigh show nud permanent" "neigh show proxy"; do echo "\"$what\""; /usr/sbin/ip -N -j $what; done'
picture_filter='def shown: del(.ifindex, .link_index, .link, .link_netnsid, .qdisc, .permaddr, .operstate)
    | if .addr_info then .addr_info |= (map(del(.valid_life_time, .preferred_life_time, .nodad, .protocol)) | sort) else . end;
  if type == "array" then map(select(((.ifname // .dev // "") | startswith("husk") | not) and .type != "3") | shown) | sort | .[] else . end'
picture() {  # COMMAND_THAT_ENTERS...
  "$@" sh -c "$picture_script" | jq -cS "$picture_filter"
}

same_picture() {  # NAMESPACE CONTAINER
  diff <(picture ip netns exec "$1") <(picture husk exec "$2")
}

# What must stay as it is: of the host's own namespace, or of another.
surroundings() {  # COMMAND_THAT_ENTERS...
  "$@" sh -c 'ip -d -o link; ip -o addr; ip -4 route show table all; ip -6 route show table all; ip rule; ip -6 rule
    tc qdisc; iptables-save; ip6tables-save; nft list ruleset' 2>/dev/null |
    sed -E 's/(expires|valid_lft|preferred_lft) [0-9]+sec//g; s/[a-z]+_timer +[0-9.]+//g; s/\[[0-9]+:[0-9]+\]//; /^#/d'
}
