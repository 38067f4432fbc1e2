#!/usr/bin/env bash
# Boots the Debian root of $1 with systemd as PID 1, $2 bound to /mnt in it. What it writes is gone when it ends.
# systemd wants a cgroup2 of its own, which the machine need not have mounted; the hardware helper wants the kernel's log,
# and what a host's root may.
exec unshare --mount --propagation private bash -c '
  umount -R -l /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  exec systemd-nspawn -D "$0" --bind-ro="$1:/mnt" --volatile=overlay --machine=socle-e2e --register=no --keep-unit \
    --bind-ro=/dev/kmsg --capability=CAP_SYSLOG,CAP_SYS_RAWIO,CAP_BPF,CAP_PERFMON --boot --console=pipe --private-network --kill-signal=SIGRTMIN+3
' "$1" "$2"
