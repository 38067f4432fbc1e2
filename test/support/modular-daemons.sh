#!/usr/bin/env bash
# Starts those of libvirt's modular daemons that do not run, inside the namespaces of private-host.sh.
#
# Debian 13 builds libvirt for one daemon: of the packages of libvirt 11.3.0-3+deb13u3, libvirt-daemon-driver-* bring
# libvirt_driver_*.so, and none brings virtqemud or its siblings (`dpkg -c` of them all). Those are libvirtd's own code
# around one driver; so here libvirtd itself runs once per driver, finds only that driver, knows that it is not all
# of libvirt (modular-daemon.S), and has its socket where the daemon of that name has it. Each has its own process,
# socket, driver and death. One difference stays: a real virtqemud passes on calls that belong to its siblings, this
# one refuses them, so that a call sent to the wrong daemon is seen.
set -euo pipefail

here=$(dirname "$0")
drivers=$(dirname "$(find /usr/lib -path '*/connection-driver/libvirt_driver_qemu.so')")
run=/run/modular
# A daemon's driver calls the other drivers' daemons when a guest starts: virtqemud comes last.
daemons=(virtsecretd:secret virtstoraged:storage virtnodedevd:nodedev virtnwfilterd:nwfilter virtnetworkd:network
  virtqemud:qemu)

runs() { kill -0 "$(cat "$run/$1/pid" 2>/dev/null)" 2>/dev/null; }

start() { # daemon, driver
  local dir=$run/$1
  mkdir -p "$dir/drivers"
  # The process has the daemon's name.
  ln -sf "$(command -v libvirtd)" "$dir/$1"
  ln -sf "$drivers/libvirt_driver_$2.so" "$dir/drivers/"
  sed "s|/libvirtd\.log|/$1.log|" /etc/libvirt/libvirtd.conf >"$dir/conf"
  echo "unix_sock_dir = \"$dir\"" >>"$dir/conf"
  LD_PRELOAD=$run/modular-daemon.so LIBVIRT_DRIVER_DIR=$dir/drivers \
    "$dir/$1" --daemon --config "$dir/conf" --pid-file "$dir/pid" </dev/null >/dev/null
  mv -f "$dir/libvirt-sock" "/run/libvirt/$1-sock"
}

mkdir -p "$run"
if [ ! -e $run/modular-daemon.so ]; then
  as -o $run/modular-daemon.o "$here/modular-daemon.S"
  ld -shared -o $run/modular-daemon.so $run/modular-daemon.o
  # Debian's library looks for libvirtd unless told otherwise.
  echo 'remote_mode = "direct"' >/etc/libvirt/libvirt.conf
fi
for daemon in "${daemons[@]}"; do
  runs "${daemon%:*}" || start "${daemon%:*}" "${daemon#*:}"
done
