#!/usr/bin/env bash
# Boots the Debian root $1 with systemd as PID 1 and $2 bound to /mnt; with a command as further arguments, runs only that
# command. The root `/` is this machine's own Debian, without its VMs, networks and pools. The node's writes stay in memory
# and are lost at its end.
# systemd needs its own cgroup2, which the machine may not have mounted. The hardware helper needs the kernel's log and the
# capabilities of a host's root.
exec unshare --mount --propagation private bash -c '
  set -euo pipefail
  root=$1 shared=$2 node=$3 parts=/run/systemd/nspawn
  shift 3
  umount -R -l /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mkdir -p $parts
  mount -t tmpfs tmpfs $parts
  mkdir $parts/changes $parts/work $parts/node
  mount -t overlay overlay $parts/node -o "lowerdir=$root,upperdir=$parts/changes,workdir=$parts/work"
  rm -f $parts/node/usr/sbin/policy-rc.d
  options=()
  if [ "$root" = / ]; then
    for directory in /etc/libvirt/{qemu,storage,secrets} /var/lib/libvirt /var/log /etc/socle /var/lib/socle; do
      # In the overlay, which outlives a reboot of the node.
      mkdir -p "$parts/node$directory"
      find "$parts/node$directory" -mindepth 1 -delete
    done
    [ -x /usr/bin/node ] || options+=("--bind-ro=$node:/usr/bin/node")
  fi
  if [ $# -gt 0 ]; then options+=(--as-pid2 "$@"); else options+=(--boot fstab=no); fi
  nspawn() {
    exec setpriv --pdeathsig SIGKILL systemd-nspawn -D $parts/node --bind-ro="$shared:/mnt" --machine=socle-e2e --register=no --keep-unit --link-journal=no \
      --bind-ro=/dev/kmsg --capability=CAP_SYSLOG,CAP_SYS_RAWIO,CAP_BPF,CAP_PERFMON --private-network \
      --console=pipe --kill-signal=SIGRTMIN+3 "${options[@]}"
  }
  # Status 133: the node wants to be booted again.
  status=133
  while [ $status = 133 ]; do
    nspawn &
    trap "kill -TERM $! 2>/dev/null" TERM
    status=0
    wait $! || status=$?
    # A signal ends the wait, not the node.
    while kill -0 $! 2>/dev/null; do
      status=0
      wait $! || status=$?
    done
  done
  exit $status
' boot-node "$1" "$2" "$(command -v node)" "${@:3}"
