#!/usr/bin/env bash
# A libvirtd and virtlogd of one's own, beside whatever runs on the machine: own mount, network, UTS and PID
# namespaces, so that its /run, /etc/libvirt, state, logs, networks and cgroups are private, its guests' orphans are
# reaped at once (destroying a guest takes 0.2 s, not seconds), and nothing outlives it.
#
#   private-host.sh DIR            DIR holds everything, the socket too (DIR/run/libvirt/libvirt-sock); it is deleted
#                                  at the end. DIR/etc/{libvirtd.conf,qemu.conf} are the caller's.
#   private-host.sh DIR modular    In the place of libvirtd, a daemon for each driver: see modular-daemons.sh.
#
# Prints `ready` on stdout once libvirtd answers. Each line `start` on stdin starts libvirtd again after it was
# killed, answered by `ready`. When stdin ends, because the caller closed it or died, everything inside is killed.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"

# The cgroups of this host, one line each: mount point, directory. v1: below our own, whatever limits us; v2: below
# the root, since a group that holds processes cannot hand controllers down.
cgroups() { # name
  local mount kind options own
  while read -r _ mount kind options _; do
    case "$kind" in
      cgroup2) echo "$mount $mount/$1" ;;
      cgroup)
        own=$(awk -F: -v options=",$options," '$2 && index(options, "," $2 ",") { print $3 }' /proc/self/cgroup)
        echo "$mount $mount${own%/}/$1"
        ;;
    esac
  done </proc/mounts
}

inside() { # dir, kind of libvirt: runs as PID 1 of the namespaces, and reaps
  local dir=$1 name mount group
  name=$(basename "$dir")
  hostname "$name"
  printf '127.0.0.1 localhost %s\n::1 localhost\n' "$name" >"$dir/hosts"
  mount --bind "$dir/hosts" /etc/hosts
  ip link set lo up

  # A sysfs that shows this network namespace, and this host's cgroups as if they were all there are.
  mount --rbind /sys/fs/cgroup "$dir/cgroup"
  mount -t sysfs sysfs /sys
  mount --rbind "$dir/cgroup" /sys/fs/cgroup
  while read -r mount group; do
    mount --bind "$group" "$mount"
    [ ! -e "$mount/cgroup.controllers" ] || { mkdir "$mount/daemons" && echo $$ >"$mount/daemons/cgroup.procs"; }
  done <"$dir/cgroups"

  mount --bind "$dir/etc" /etc/libvirt
  mount --bind "$dir/lib" /var/lib/libvirt
  mount --bind "$dir/log" /var/log/libvirt
  mount --bind "$dir/cache" /var/cache/libvirt
  mount --bind "$dir/run" /run

  export PATH="$dir/bin:$PATH"
  virtlogd -d
  local command=start
  while [ "$command" = start ]; do
    case "$2" in
      modular) "$BASH" "$(dirname "$0")/modular-daemons.sh" ;;
      *) libvirtd -d </dev/null >/dev/null ;;
    esac
    echo ready
    read -r command || exit 0
  done
}

# libvirt's qemu-img: a key of LUKS takes 2 s of CPU by default, at a volume's creation and at each start of its guest.
make_qemu_img() {
  mkdir "$dir/bin"
  cat >"$dir/bin/qemu-img" <<SH
#!/bin/sh
for word; do
  shift
  case "\$word" in key-secret=*) word=\$word,iter-time=10 ;; esac
  set -- "\$@" "\$word"
done
exec $(command -v qemu-img) "\$@"
SH
  chmod 755 "$dir/bin/qemu-img"
}

make_cgroups() {
  local mount group file
  while read -r mount group; do
    mkdir "$group"
    if [ -e "$mount/cgroup.controllers" ]; then
      for file in $(cat "$mount/cgroup.controllers"); do echo "+$file" >"$mount/cgroup.subtree_control" || true; done 2>/dev/null
    elif [ -e "$group/cpuset.cpus" ]; then
      for file in cpuset.cpus cpuset.mems; do cat "$group/../$file" >"$group/$file"; done
    fi
  done <"$dir/cgroups"
}

remove_cgroups() {
  local group
  while read -r _ group; do
    [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + || true
  done <"$dir/cgroups"
}

if [ "$1" = --inside ]; then
  inside "$2" "$3"
  exit
fi

dir=$1
name=$(basename "$dir")
trap 'remove_cgroups; rm -rf --one-file-system "$dir"' EXIT
mkdir -p "$dir"/{etc/qemu/networks,lib,log,cache,run/lock,run/libvirt,cgroup}
# The sockets that its QEMUs make for an agent (guest.socketDirectory).
install -d -m 2770 -o libvirt-qemu -g "$(id -g)" "$dir/sockets" 2>/dev/null || install -d -m 2770 "$dir/sockets"
[ ! -d /etc/libvirt/nwfilter ] || cp -a /etc/libvirt/nwfilter "$dir/etc/"
cp /usr/share/libvirt/networks/default.xml "$dir/etc/qemu/networks/"
# A libvirt without a cache takes over a second to probe QEMU's capabilities. It validates the cache that it finds.
known=/var/cache/libvirt/qemu/capabilities
[ ! -d "$known" ] || { mkdir "$dir/cache/qemu" && cp -a "$known" "$dir/cache/qemu/"; }
make_qemu_img
cgroups "$name" >"$dir/cgroups"
make_cgroups
(
  # The cgroup namespace takes the groups that its maker is in for its roots.
  while read -r _ group; do echo $BASHPID >"$group/cgroup.procs"; done <"$dir/cgroups"
  exec unshare --mount --propagation private --net --uts --cgroup --pid --fork --kill-child --mount-proc \
    "$BASH" "$0" --inside "$dir" "${2:-monolithic}"
)
