import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { appendFile, constants, open, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { promisify } from "node:util";
import { memoryErrorsReader } from "../../../../agent/hardware/memory/edac.ts";
import { sensorsReader } from "../../../../agent/hardware/sensors/hwmon.ts";
import { kernelLogReader, type KernelLogSeen } from "../../../../agent/hardware/system/kernel-log.ts";
import { pcieReader } from "../../../../agent/hardware/pci/pcie.ts";
import { energyReader } from "../../../../agent/hardware/sensors/rapl.ts";
import { valueOf, type Reading } from "../../../../agent/hardware/reading.ts";
import { systemRoots } from "../../../../agent/hardware/roots.ts";
import { throttlingReader } from "../../../../agent/hardware/cpu/throttling.ts";
import { unpackHost } from "../../../support/tree.ts";

const { signal } = new AbortController();
const still = (): number => 0;

function read<T>(reading: Reading<T>): T {
  const value = valueOf(reading);
  assert.ok(value !== undefined, `not read: ${JSON.stringify(reading)}`);
  return value;
}

test("temperatures have chip, label and critical point; faulty or unreadable ones are left out", async (context) => {
  const sensors = read(await sensorsReader(await unpackHost(context, "sick-server"), still)(signal));
  const of = (chip: string) => sensors.temperatures.filter((sensor) => sensor.chip === chip);
  assert.deepEqual(of("coretemp.0")[0], {
    chip: "coretemp.0",
    sensor: "Package id 0",
    celsius: 96,
    criticalCelsius: 100,
  });
  assert.equal(of("coretemp.1").length, 5);
  assert.deepEqual(
    of("nct6798").map(({ sensor, celsius }) => [sensor, celsius]),
    [["temp1", 34]],
  );
  // 65261 °C is the drive maker's value in an unused field.
  assert.deepEqual(of("nvme0"), [
    { chip: "nvme0", sensor: "Composite", celsius: 38.85, criticalCelsius: 84.85 },
    { chip: "nvme0", sensor: "Sensor 1", celsius: 38.85 },
  ]);
  assert.deepEqual(of("thermal_zone0"), [
    { chip: "thermal_zone0", sensor: "x86_pkg_temp", celsius: 96, criticalCelsius: 105 },
  ]);
  assert.deepEqual(sensors.voltages, [
    { chip: "nct6798", sensor: "CPU Vcore", volts: 1.016 },
    { chip: "nct6798", sensor: "in2", volts: 3.36 },
  ]);
  assert.deepEqual(sensors.currents, [{ chip: "power_meter-ACPI000D:00", sensor: "PSU1 in", amperes: 1.79 }]);
  assert.deepEqual(sensors.powers, [{ chip: "power_meter-ACPI000D:00", sensor: "power1", watts: 412 }]);
});

test("a chip's alarm is current; a processor's latches until the next boot, so it is ignored", async (context) => {
  const alarm = "1\n";
  const roots = await unpackHost(context, "sick-server", {
    "sys/class/hwmon/hwmon1/temp1_crit_alarm": alarm,
    "sys/class/hwmon/hwmon3/temp1_crit_alarm": alarm,
  });
  const { temperatures } = read(await sensorsReader(roots, still)(signal));
  const alarms = temperatures.filter(({ criticalAlarm }) => criticalAlarm === true);
  assert.deepEqual(
    alarms.map(({ chip, sensor }) => `${chip} ${sensor}`),
    ["nct6798 temp1"],
  );
});

test("a fan has failed when its chip reports it, or when it turned and stops; an empty header has not", async (context) => {
  const roots = await unpackHost(context, "sick-server");
  const look = sensorsReader(roots, still);
  const failed = async (): Promise<string[]> =>
    read(await look(signal))
      .fans.filter(({ isFailed }) => isFailed)
      .map(({ sensor }) => sensor);
  assert.deepEqual(await failed(), ["SYS_FAN2"]);
  await writeFile(join(roots.sysRoot, "class/hwmon/hwmon3/fan1_input"), "0\n");
  assert.deepEqual(await failed(), ["SYS_FAN1", "SYS_FAN2"]);
});

test("a chip that never answers affects only itself: it is named, and skipped until the next scan", async (context) => {
  const roots = await unpackHost(context, "sick-server", { "sys/class/hwmon/hwmon2/temp1_input": null });
  let nowMs = 0;
  const look = sensorsReader(roots, () => nowMs);
  // Reading a pipe without a writer waits for ever, like a file of a dead chip.
  const pipe = join(roots.sysRoot, "class/hwmon/hwmon2/temp1_input");
  await promisify(execFile)("mkfifo", [pipe]);
  const sensors = read(await look(signal));
  assert.deepEqual(sensors.silent, ["nvme0"]);
  assert.equal(sensors.temperatures.filter(({ chip }) => chip === "coretemp.0").length, 5);
  await rm(pipe);
  await promisify(execFile)("mkfifo", [pipe]);
  assert.deepEqual(read(await look(signal)).silent, ["nvme0"]);
  // A pipe with an open or waiting reader can be opened for writing.
  await assert.rejects(open(pipe, constants.O_WRONLY | constants.O_NONBLOCK), { code: "ENXIO" });
  await rm(pipe);
  nowMs = 5 * 60_000;
  assert.deepEqual(read(await look(signal)).silent, []);
});

test("chips are scanned again after five minutes, and a machine without any has no sensors", async (context) => {
  const roots = await unpackHost(context, "sick-server");
  let nowMs = 0;
  const look = sensorsReader(roots, () => nowMs);
  await look(signal);
  await writeFile(join(roots.sysRoot, "class/hwmon/hwmon0/temp9_input"), "40000\n");
  const temperatures = async (): Promise<number> => read(await look(signal)).temperatures.length;
  const before = await temperatures();
  nowMs = 5 * 60_000;
  assert.equal(await temperatures(), before + 1);
  const empty = await sensorsReader({ ...roots, sysRoot: join(roots.root, "none") }, still)(signal);
  assert.equal(empty.kind, "unsupported");
});

test("chips that change their numbers keep their names, and a missing one has no sensors", async (context) => {
  const roots = await unpackHost(context, "sick-server");
  const look = sensorsReader(roots, still);
  const celsius = async (chip: string): Promise<number | undefined> =>
    read(await look(signal)).temperatures.find((sensor) => sensor.chip === chip)?.celsius;
  assert.deepEqual([await celsius("coretemp.0"), await celsius("coretemp.1")], [96, 61]);
  const hwmon = (number: number): string => join(roots.sysRoot, `class/hwmon/hwmon${number}`);
  const swap = async (one: number, other: number): Promise<void> => {
    await rename(hwmon(one), hwmon(99));
    await rename(hwmon(other), hwmon(one));
    await rename(hwmon(99), hwmon(other));
  };
  await swap(0, 1);
  assert.deepEqual([await celsius("coretemp.0"), await celsius("coretemp.1")], [96, 61]);
  await swap(1, 2);
  assert.deepEqual([await celsius("coretemp.0"), await celsius("nvme0")], [96, 38.85]);
  await rm(hwmon(0), { recursive: true });
  const { temperatures, unread } = read(await look(signal));
  assert.equal(
    temperatures.some(({ chip }) => chip === "coretemp.1"),
    false,
  );
  assert.deepEqual(unread.temperatures, []);
});

test("memory errors are keyed by the board's name of the slot, or by position without one", async (context) => {
  const roots = await unpackHost(context, "sick-server");
  const modules = read(await memoryErrorsReader(roots, still)(signal));
  assert.deepEqual(
    modules.map(({ dimm, correctedErrors }) => [dimm, correctedErrors]),
    [
      ["CPU_SrcID#0_MC#0_Chan#0_DIMM#0", 0],
      ["CPU_SrcID#0_MC#0_Chan#1_DIMM#0", 1204],
      ["mc0/unattributed", 0],
      ["mc1/dimm0", 0],
      ["mc1/dimm1", 0],
      ["mc1/unattributed", 0],
    ],
  );
});

test("an old driver's rows count as modules; without a driver there are no counters", async (context) => {
  const roots = await unpackHost(context, "sick-server", {
    "sys/devices/system/edac/mc/mc0": null,
    "sys/devices/system/edac/mc/mc1": null,
    "sys/devices/system/edac/mc/mc0/csrow0/ce_count": "3\n",
    "sys/devices/system/edac/mc/mc0/csrow0/ue_count": "1\n",
    "sys/devices/system/edac/mc/mc0/csrow0/ch0_dimm_label": "DIMM_A1\n",
  });
  assert.deepEqual(read(await memoryErrorsReader(roots, still)(signal)), [
    { dimm: "DIMM_A1", correctedErrors: 3, uncorrectedErrors: 1 },
  ]);
  await rm(join(roots.sysRoot, "devices/system/edac/mc/mc0"), { recursive: true });
  assert.equal((await memoryErrorsReader(roots, still)(signal)).kind, "unsupported");
});

test("PCI errors are read of each device that counts them, and lanes of endpoints, without virtual functions", async (context) => {
  const roots = await unpackHost(context, "sick-server");
  const devices = read(await pcieReader(roots, still)(signal));
  const none = { correctable: 0, nonfatal: 0, fatal: 0 };
  assert.deepEqual(devices, [
    { device: "0000:17:00.0", errors: none },
    { device: "0000:18:00.0", errors: { ...none, correctable: 37 }, linkWidth: 8, linkWidthMax: 16 },
    { device: "0000:5e:00.0", errors: none, linkWidth: 4, linkWidthMax: 4 },
  ]);
});

test("a removed PCI device is gone at the next read", async (context) => {
  const roots = await unpackHost(context, "sick-server");
  const look = pcieReader(roots, still);
  const names = async (): Promise<string[]> => read(await look(signal)).map(({ device }) => device);
  assert.deepEqual(await names(), ["0000:17:00.0", "0000:18:00.0", "0000:5e:00.0"]);
  await rm(join(roots.sysRoot, "bus/pci/devices/0000:5e:00.0"), { recursive: true });
  assert.deepEqual(await names(), ["0000:17:00.0", "0000:18:00.0"]);
});

test("energy is counted over the wrap of its counter, from the first read on", async (context) => {
  const roots = await unpackHost(context, "sick-server");
  const look = energyReader(roots);
  const joules = async (): Promise<Record<string, number>> =>
    Object.fromEntries(read(await look(signal)).map((zone) => [zone.zone, zone.joules]));
  assert.deepEqual(await joules(), { "package-0": 0, "package-0/dram": 0, "package-1": 0 });
  await writeFile(join(roots.sysRoot, "class/powercap/intel-rapl:0/energy_uj"), "971150\n");
  await writeFile(join(roots.sysRoot, "class/powercap/intel-rapl:1/energy_uj"), "7500000\n");
  assert.deepEqual(await joules(), { "package-0": 1, "package-0/dram": 0, "package-1": 2.5 });
});

test("a missing or failing energy zone affects only itself, and its parts keep their names", async (context) => {
  const roots = await unpackHost(context, "sick-server", {
    "sys/class/powercap/intel-rapl:1/energy_uj": null,
    "sys/class/powercap/intel-rapl:0/energy_uj": null,
    "sys/class/powercap/intel-rapl:2/name": "psys\n",
    "sys/class/powercap/intel-rapl:2/energy_uj": "7\n",
    "sys/class/powercap/intel-rapl:2/max_energy_range_uj": "900\n",
    "sys/class/powercap/intel-rapl:3/name": "psys\n",
    "sys/class/powercap/intel-rapl:3/energy_uj": "8\n",
    "sys/class/powercap/intel-rapl:3/max_energy_range_uj": "900\n",
  });
  // The kernel answers EIO for it, as for a counter that its processor does not have.
  await symlink("/proc/self/mem", join(roots.sysRoot, "class/powercap/intel-rapl:0/energy_uj"));
  const zones = read(await energyReader(roots)(signal));
  assert.deepEqual(
    zones.map(({ zone }) => zone),
    ["package-0/dram", "psys", "psys 2"],
  );
});

test("energy that only root may read is a failure that states it", async (context) => {
  const denied = ["intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1"].flatMap((zone) => [
    [`sys/class/powercap/${zone}/energy_uj`, null] as const,
    [`sys/class/powercap/${zone}/energy_uj/x`, ""] as const,
  ]);
  const roots = await unpackHost(context, "sick-server", Object.fromEntries(denied));
  const energy = await energyReader(roots)(signal);
  assert.equal(energy.kind, "failed");
});

test("throttling is counted by socket: each core once, by any of its threads", async (context) => {
  const roots = await unpackHost(context, "sick-server");
  assert.deepEqual(read(await throttlingReader(roots, still)(signal)), [
    { socket: "0", package: 812, cores: 5 },
    { socket: "1", package: 0, cores: 0 },
  ]);
});

test("throttling of 192 CPUs is read, more files than one child gets", async (context) => {
  const cpu = (index: number): [string, string][] => [
    [`sys/devices/system/cpu/cpu${index}/topology/physical_package_id`, "0\n"],
    [`sys/devices/system/cpu/cpu${index}/topology/core_id`, `${index}\n`],
    [`sys/devices/system/cpu/cpu${index}/thermal_throttle/core_throttle_count`, "1\n"],
    [`sys/devices/system/cpu/cpu${index}/thermal_throttle/package_throttle_count`, "7\n"],
  ];
  const cpus = Object.fromEntries(Array.from({ length: 192 }, (_, index) => cpu(index)).flat());
  const roots = await unpackHost(context, "small-vm", cpus);
  assert.deepEqual(read(await throttlingReader(roots, still)(signal)), [
    { socket: "0", package: 7, cores: 192 },
  ]);
});

test("counted throttles stay counted when a core goes offline, and when its threads differ", async (context) => {
  const roots = await unpackHost(context, "sick-server");
  const cpu = (index: number, file: string): string =>
    join(roots.sysRoot, `devices/system/cpu/cpu${index}`, file);
  let nowMs = 0;
  const look = throttlingReader(roots, () => nowMs);
  const counted = async () => read(await look(signal)).find(({ socket }) => socket === "0");
  assert.deepEqual(await counted(), { socket: "0", package: 812, cores: 5 });
  await rm(cpu(0, "topology"), { recursive: true });
  await rm(cpu(0, "thermal_throttle"), { recursive: true });
  assert.deepEqual(await counted(), { socket: "0", package: 812, cores: 5 });
  nowMs = 5 * 60_000;
  assert.deepEqual(await counted(), { socket: "0", package: 812, cores: 5 });
  await writeFile(cpu(1, "thermal_throttle/core_throttle_count"), "9\n");
  assert.equal((await counted())?.cores, 14);
});

test("the kernel's log is read from the end of the last read; lines written by users do not count", async (context) => {
  const roots = await unpackHost(context, "sick-server");
  const log = kernelLogReader(roots);
  context.after(log.close);
  const first = read(await log.read(signal));
  assert.deepEqual(
    first.faults.map(({ kind, ageMs }) => [kind, Math.round(ageMs / 1000)]),
    [
      ["machine_check", 3701],
      ["io_error", 301],
      ["hung_task", 201],
    ],
  );
  await appendFile(
    join(roots.devRoot, "kmsg"),
    [
      "4,1300,7199000000,-;BUG: kernel NULL pointer dereference, address: 0000000000000008",
      "4,1301,7199000100,-;Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI",
      "4,1302,7199000200,-;CPU: 3 UID: 64055 PID: 812 Comm: qemu-system-x86 Not tainted 6.12.48+deb13-amd64 #1",
      "0,1303,7200000000,-;mce: [Hardware Error]: CPU 2: Machine Check Exception: 5 Bank 4: be00000000800400",
      "",
    ].join("\n"),
  );
  const second = read(await log.read(signal));
  const [oops, machineCheck] = second.faults.slice(-2);
  assert.deepEqual([oops?.kind, oops?.task, second.counts.get("oops")], ["oops", "qemu-system-x86", 1]);
  assert.deepEqual([machineCheck?.kind, machineCheck?.isUncorrected], ["machine_check", true]);
  assert.equal(second.counts.get("hung_task"), 1);
});

test("a restarted agent continues the counts of the previous one, until the next boot", async (context) => {
  const roots = await unpackHost(context, "sick-server", { "proc/sys/kernel/random/boot_id": "one\n" });
  const kmsg = join(roots.devRoot, "kmsg");
  const oops = (record: number): string => `4,${record},${record}000000,-;Oops: Oops: 0000 [#1] SMP\n`;
  let kept: KernelLogSeen | undefined;
  const look = async () => {
    const log = kernelLogReader(roots, { seen: () => kept, keep: (seen) => (kept = seen) });
    const { counts, faults } = read(await log.read(signal));
    await log.close();
    return [counts.get("oops"), faults.length];
  };
  await writeFile(kmsg, [1, 3, 5, 7, 9].map(oops).join(""));
  assert.deepEqual(await look(), [5, 5]);
  assert.deepEqual(await look(), [5, 5]);
  // Lost lines of the kernel's buffer stay counted, lines without an agent are counted, and remaining lines
  // are known.
  await writeFile(kmsg, [7, 9, 11].map(oops).join(""));
  assert.deepEqual(await look(), [6, 3]);
  await writeFile(join(roots.procRoot, "sys/kernel/random/boot_id"), "two\n");
  await writeFile(kmsg, oops(2));
  assert.deepEqual(await look(), [1, 1]);
});

test("the real kernel log of this machine is read, or the failure states why not", async (context) => {
  const { read: look, close } = kernelLogReader(systemRoots);
  context.after(close);
  const log = await look(signal);
  if (log.kind === "read") assert.ok(log.value.counts.get("oops") !== undefined);
  else assert.match(log.reason, /kmsg/);
});
