import { once } from "node:events";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { spawnBound } from "../support/bound-child.ts";
import { unpackHost, unpackTree } from "../support/tree.ts";
import type { Run } from "./bench.ts";

const hosts = join(import.meta.dirname, "..", "fixtures", "hosts");
const SOCKETS = 2;
const CORES_PER_SOCKET = 32;
const THREADS = 2 * SOCKETS * CORES_PER_SOCKET;

/**
 * A mount namespace in which this machine looks like a rack server with two sockets: its sysfs, its counters in /proc, an
 * IPMI device, and programs that print recorded output of ipmitool and smartctl. Returns the pid of a process in it, until the
 * end of the run. The latency of real sensors is missing, which is hardly CPU time.
 */
export async function startRackServer(run: Run): Promise<number> {
  const context = { after: (clean: () => void) => run.cleanUp(clean) };
  const { root } = await unpackHost(context, "sick-server", asManyAsThere());
  for (const name of ["two-sockets", "worn-compute-node"])
    unpackTree(await readFile(join(hosts, `${name}.txt`), "utf8"), root);
  await mkdir(join(root, "sys/fs/cgroup"), { recursive: true });
  await mkdir(join(root, "devices"));
  await mkdir(join(root, "bin"));
  for (const [name, script] of Object.entries(programs(root))) {
    await writeFile(join(root, "bin", name), script);
    await chmod(join(root, "bin", name), 0o755);
  }
  for (const [name, text] of Object.entries(bmcReading))
    await writeFile(join(root, `ipmitool-${name}`), text);
  const namespace = spawnBound("unshare", [
    ...["--mount", "--propagation", "private"],
    ...["bash", "-euc", inside, "rack-server", root],
  ]);
  let failure = "";
  namespace.stderr.on("data", (text: Buffer) => (failure += text.toString()));
  run.cleanUp(async () => {
    const gone = once(namespace, "exit");
    if (namespace.exitCode === null && namespace.kill("SIGKILL")) await gone;
  });
  const [printed] = (await Promise.race([
    once(namespace.stdout, "data"),
    once(namespace, "exit"),
  ])) as unknown[];
  const { pid } = namespace;
  if (String(printed) !== "ready\n" || pid === undefined) throw new Error(`no mount namespace: ${failure}`);
  return pid;
}

/** The rest of /proc belongs to the process itself. */
const inside = `
for file in stat cpuinfo meminfo diskstats loadavg vmstat pressure/cpu pressure/io pressure/memory; do
  [ ! -e "/proc/$file" ] || mount --bind "$1/proc/$file" "/proc/$file"
done
mount -t tmpfs tmpfs "$1/devices"
for node in null zero full random urandom kvm; do
  [ ! -e "/dev/$node" ] || { touch "$1/devices/$node"; mount --bind "/dev/$node" "$1/devices/$node"; }
done
touch "$1/devices/ipmi0"
cp "$1/dev/kmsg" "$1/devices/kmsg"
mount --rbind /sys/fs/cgroup "$1/sys/fs/cgroup"
mount --bind "$1/bin" /usr/local/sbin
mount --rbind "$1/sys" /sys
mount --rbind "$1/devices" /dev
echo ready
exec sleep infinity
`;

const programs = (root: string) => ({
  ipmitool: `#!/bin/sh
case "$*" in
  *"sdr elist") exec cat ${root}/ipmitool-sensors ;;
  *"sel info") exec cat ${root}/ipmitool-log-info ;;
  *"sel elist"*) exec cat ${root}/ipmitool-log ;;
  *"power reading") exec cat ${root}/ipmitool-power ;;
  *"chassis status") exec cat ${root}/ipmitool-chassis ;;
  *"mc info") exec cat ${root}/ipmitool-firmware ;;
esac
exit 1
`,
  smartctl: `#!/bin/sh
for disk; do :; done
exec cat "${root}/smartctl/\${disk##*/}.json"
`,
});

/** The tree has a few of each kind, as samples. */
function asManyAsThere(): Record<string, string> {
  const files: Record<string, string> = {};
  const put = (directory: string, of: Record<string, string | number>): void => {
    for (const [name, value] of Object.entries(of)) files[`sys/${directory}${name}`] = `${value}\n`;
  };
  for (let cpu = 0; cpu < THREADS; cpu += 1) {
    const directory = `devices/system/cpu/cpu${cpu}`;
    const [socket, core] = [cpu % SOCKETS, Math.floor(cpu / SOCKETS) % CORES_PER_SOCKET];
    put(`${directory}/topology/`, { physical_package_id: socket, core_id: core });
    put(`${directory}/thermal_throttle/`, { core_throttle_count: 0, package_throttle_count: 0 });
    put(`${directory}/cpufreq/`, { scaling_cur_freq: 2_900_000 });
  }
  for (let socket = 0; socket < SOCKETS; socket += 1)
    for (let core = 0; core < CORES_PER_SOCKET; core += 1)
      put(`class/hwmon/hwmon${socket}/temp${core + 2}_`, {
        ...{ label: `Core ${core}`, input: 61_000 + core, crit: 100_000, crit_alarm: 0 },
      });
  for (let dimm = 0; dimm < 32; dimm += 1)
    put(`devices/system/edac/mc/mc${dimm >> 1}/dimm${dimm & 1}/dimm_`, {
      ...{ label: `CPU${dimm >> 4}_DIMM_${dimm}`, ce_count: 0, ue_count: 0 },
    });
  for (let device = 0; device < 40; device += 1) {
    const directory = `bus/pci/devices/0000:80:${device.toString(16).padStart(2, "0")}.0/`;
    put(directory, { class: "0x010802", current_link_width: 4, max_link_width: 4 });
    put(`${directory}aer_dev_`, {
      correctable: "RxErr 0\nBadTLP 0\nTOTAL_ERR_COR 0",
      nonfatal: "DLP 0\nTOTAL_ERR_NONFATAL 0",
      fatal: "DLP 0\nTOTAL_ERR_FATAL 0",
    });
  }
  return files;
}

const lines = (count: number, line: (number: number) => string): string =>
  Array.from({ length: count }, (_, index) => `${line(index + 1)}\n`).join("");

/** By command: the output of ipmitool 1.8.19, with the sensors of a server of this size. */
const bmcReading = {
  sensors:
    lines(
      72,
      (at) =>
        `Temp ${at},23,degrees C,ok,7.${at},System Board,Temperature,,,,55.000,47.000,42.000,0.000,0.000,0.000,0.000,255.000`,
    ) +
    lines(
      16,
      (at) =>
        `Fan${at} RPM,5400,RPM,ok,29.${at},Fan Device,Fan,,,,0.000,0.000,0.000,600.000,1200.000,1800.000,0.000,15300.000`,
    ) +
    lines(
      40,
      (at) =>
        `Voltage ${at},1.020,Volts,ok,7.${at},System Board,Voltage,,,,0.000,0.000,0.000,0.000,0.000,0.000,0.000,2.550`,
    ) +
    lines(2, (at) => `PS${at} Status,01h,ok,10.${at},Presence detected`),
  "log-info": `SEL Information
Version          : 1.5 (v1.5, v2 compliant)
Entries          : 117
Free Space       : 14128 bytes
Percent Used     : 11%
Last Add Time    : 11/25/2026 00:40:00
Last Del Time    : Not Available
Overflow         : false
`,
  log: lines(
    16,
    (at) => `${at},11/25/2026,00:40:${at + 10},Power Supply PS1 Status,Presence detected,Asserted`,
  ),
  power: "    Instantaneous power reading:                   412 Watts\n",
  chassis: `System Power         : on
Power Overload       : false
Main Power Fault     : false
Power Control Fault  : false
Chassis Intrusion    : inactive
Drive Fault          : false
Cooling/Fan Fault    : false
`,
  firmware: "Firmware Revision         : 7.10\n",
};
