import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { configSchema } from "../../../../../agent/config/schema.ts";
import { parseSensors } from "../../../../../agent/hardware/bmc/bmc-text.ts";
import { HOUR, type Trigger } from "../../../../../agent/host/health/conditions/condition.ts";
import { fanAndPsuConditions, lostVerdict } from "../../../../../agent/host/health/conditions/fan-and-psu.ts";
import { Growth } from "../../../../../agent/host/health/conditions/growth.ts";
import {
  memoryErrorConditions,
  pcieConditions,
} from "../../../../../agent/host/health/conditions/hardware-errors.ts";
import { faultVerdict } from "../../../../../agent/host/health/conditions/kernel-fault.ts";
import { hostConditions } from "../../../../../agent/host/health/conditions/table.ts";
import { alarmVerdict, hotVerdict } from "../../../../../agent/host/health/conditions/thermal.ts";
import { Health } from "../../../../../agent/host/health/health.ts";
import { SeenHardware } from "../../../../../agent/host/health/seen.ts";
import type { LeftOn } from "../../../../../agent/state/records/health-record.ts";
import { unpackHost } from "../../../../support/tree.ts";
import { HostOfTree } from "../../../../support/host/host-of-tree.ts";

const healthy = {
  "sys/class/hwmon/hwmon0/temp1_input": "60000\n",
  "sys/class/hwmon/hwmon0/temp2_input": "60000\n",
  "sys/class/hwmon/hwmon0/temp3_input": "60000\n",
  "sys/class/hwmon/hwmon0/temp4_input": "60000\n",
  "sys/class/hwmon/hwmon0/temp5_input": "60000\n",
  "sys/class/thermal/thermal_zone0/temp": "60000\n",
  "sys/class/hwmon/hwmon3/fan2_alarm": "0\n",
  "dev/kmsg": "5,0,0,-;Linux version 6.12.48+deb13-amd64\n",
};

async function start(context: test.TestContext, changes: Readonly<Record<string, string | null>> = {}) {
  const roots = await unpackHost(context, "sick-server", changes);
  const host = await new HostOfTree(roots).start();
  context.after(() => host.stop());
  const write = (path: string, text: string): Promise<void> => writeFile(join(roots.root, path), text);
  return { host, write };
}

test("a healthy server has no hardware condition, and none that is unknown", async (context) => {
  const { host } = await start(context, healthy);
  for (const type of [
    "Thermal",
    "Fan",
    "MemoryUncorrected",
    "MemoryCorrected",
    "PcieErrors",
    "KernelFault",
  ] as const) {
    assert.match(host.condition(type), /^false none Healthy: /, type);
  }
  assert.equal(
    host.condition("Psu"),
    "unknown none NotPresent: not present: no BMC: no /dev/ipmi0, none configured",
    "no source reports one",
  );
});

test("a CPU within 5 °C of critical for a minute forbids new VMs, until ten minutes below 10", async (context) => {
  const { host, write } = await start(context, healthy);
  await write("sys/class/hwmon/hwmon0/temp1_input", "96000\n");
  await host.readAgain("sensors", 6);
  assert.match(host.condition("Thermal"), /^false/);
  await host.readAgain("sensors", 1);
  assert.match(
    host.condition("Thermal"),
    /^true no_schedule NearCriticalTemperature: coretemp\.0 Package id 0 has 96 °C, 100 °C is critical/,
  );
  await write("sys/class/hwmon/hwmon0/temp1_input", "92000\n");
  await host.readAgain("sensors", 2);
  assert.match(host.condition("Thermal"), /^true/);
  await write("sys/class/hwmon/hwmon0/temp1_input", "80000\n");
  await host.readAgain("sensors", 60);
  assert.match(host.condition("Thermal"), /^true/);
  await host.readAgain("sensors", 1);
  assert.match(host.condition("Thermal"), /^false/);
});

test("a temperature that its chip reports as critical asks for an evacuation", async (context) => {
  const alarm = "sys/class/hwmon/hwmon3/temp1_crit_alarm";
  const { host, write } = await start(context, { ...healthy, [alarm]: "0\n" });
  // The processor's alarm was set once since boot, and never ends.
  await write("sys/class/hwmon/hwmon1/temp1_crit_alarm", "1\n");
  await host.readAgain("sensors", 2);
  assert.match(host.condition("Thermal"), /^false none/);
  await write(alarm, "1\n");
  await host.readAgain("sensors", 2);
  assert.match(host.condition("Thermal"), /^true evacuate CriticalTemperature: nct6798 temp1/);
});

test("one fan lost for a minute degrades, two forbid new VMs", async (context) => {
  const { host, write } = await start(context, { ...healthy, "sys/class/hwmon/hwmon3/fan2_alarm": "1\n" });
  await host.readAgain("sensors", 6);
  assert.match(host.condition("Fan"), /^true degraded FanLost: nct6798 SYS_FAN2 of 3 failed/);
  await write("sys/class/hwmon/hwmon3/fan1_input", "0\n");
  await host.readAgain("sensors", 2);
  assert.match(
    host.condition("Fan"),
    /^true no_schedule SeveralFansLost: nct6798 SYS_FAN1, nct6798 SYS_FAN2/,
  );
});

test("a fan that turned since boot has failed when it stops, whichever agent reads it", async (context) => {
  const still = { ...healthy, "sys/class/hwmon/hwmon3/fan1_input": "0\n" };
  const { host: before } = await start(context, healthy);
  const { host: after } = await start(context, still);
  await after.readAgain("sensors", 1);
  assert.match(after.condition("Fan"), /^false none/);
  after.health.seen.restore(before.health.seen.all);
  await after.readAgain("sensors", 7);
  assert.match(after.condition("Fan"), /^true degraded FanLost: nct6798 SYS_FAN1/);
});

test("new corrected memory errors degrade at 51 a day and evacuate at 1001 an hour; older ones do not count", async (context) => {
  const { host, write } = await start(context, healthy);
  const count = (errors: number): Promise<void> =>
    write("sys/devices/system/edac/mc/mc0/dimm1/dimm_ce_count", `${errors}\n`);
  assert.match(host.condition("MemoryCorrected"), /^false/);
  await count(1204 + 50);
  await host.readAgain("memoryErrors");
  assert.match(host.condition("MemoryCorrected"), /^false/);
  await count(1204 + 51);
  await host.readAgain("memoryErrors");
  assert.match(
    host.condition("MemoryCorrected"),
    /^true degraded ManyCorrectedMemoryErrors: 51 corrected memory errors within 24 h at CPU_SrcID#0_MC#0_Chan#1_DIMM#0/,
  );
  await count(1204 + 1001);
  await host.readAgain("memoryErrors");
  assert.match(host.condition("MemoryCorrected"), /^true evacuate CorrectedMemoryErrorStorm/);
});

test("errors counted over hours survive the agent that counted them", () => {
  const rules = hostConditions({ config: configSchema.parse({}), offersKvm: () => undefined });
  const at = { wallMs: 0, monotonicMs: 0 };
  const agent = (leftOn: readonly LeftOn[] = []) => {
    const health: Health = new Health({
      rules,
      flapping: { flips: 3, withinMs: 1 },
      at,
      onChange: () => undefined,
    });
    health.restore(leftOn, "boot-1", at);
    const look = (kind: "good" | "bad", monotonicMs: number): string[] => {
      const [now, verdict] = [
        { wallMs: 0, monotonicMs },
        { kind, evidence: kind },
      ];
      for (const trigger of ["perDay", "perHour"] as const)
        health.observe("MemoryCorrected", trigger, verdict, now);
      for (const trigger of ["fatal", "nonfatal", "corrected"] as const)
        health.observe("PcieErrors", trigger, verdict, now);
      return health.conditions.flatMap(({ type, status }) => (status === "true" ? [type] : []));
    };
    return { health, look };
  };
  const first = agent();
  first.look("bad", 0);
  first.look("bad", 2 * HOUR);
  const next = agent(first.health.leftOn);
  assert.deepEqual(next.look("good", HOUR - 1).sort(), ["MemoryCorrected", "PcieErrors"]);
  assert.deepEqual(next.look("good", HOUR), ["MemoryCorrected"]);
  assert.deepEqual(next.look("good", 25 * HOUR), []);
});

test("any uncorrected memory error asks for an evacuation", async (context) => {
  const { host, write } = await start(context, healthy);
  await write("sys/devices/system/edac/mc/mc1/dimm0/dimm_ue_count", "1\n");
  await host.readAgain("memoryErrors");
  assert.match(
    host.condition("MemoryUncorrected"),
    /^true evacuate UncorrectedMemoryError: mc1\/dimm0 has 1 uncorrected errors/,
  );
  // The counter restarts when its driver is loaded again: that is no reboot, and no acknowledgement.
  await write("sys/devices/system/edac/mc/mc1/dimm0/dimm_ue_count", "0\n");
  await host.readAgain("memoryErrors", 2);
  assert.match(host.condition("MemoryUncorrected"), /^true evacuate/);
});

test("unreadable counters of a DIMM make it unknown, not healthy; another's error still counts", async (context) => {
  const unread = { "sys/devices/system/edac/mc/mc1/dimm0/dimm_ue_count": null };
  const { host, write } = await start(context, { ...healthy, ...unread });
  assert.equal(
    host.condition("MemoryUncorrected"),
    "unknown degraded Unknown: the uncorrected errors of mc1/dimm0 cannot be read",
  );
  await write("sys/devices/system/edac/mc/mc1/dimm1/dimm_ue_count", "1\n");
  await host.readAgain("memoryErrors");
  assert.match(host.condition("MemoryUncorrected"), /^true evacuate UncorrectedMemoryError: mc1\/dimm1/);
});

test("an unreadable fan, or sensor with a critical point, makes its condition unknown", async (context) => {
  const faulty = { "sys/class/hwmon/hwmon0/temp1_fault": "1\n", "sys/class/hwmon/hwmon3/fan1_input": null };
  const { host } = await start(context, {
    ...healthy,
    ...faulty,
    "sys/class/hwmon/hwmon3/fan1_alarm": "0\n",
  });
  assert.match(
    host.condition("Thermal"),
    /^unknown degraded Unknown: no answer from coretemp\.0 Package id 0/,
  );
  assert.match(host.condition("Fan"), /^unknown degraded Unknown: no answer from nct6798 SYS_FAN1/);
});

test("parts that the BMC does not list are unknown, not lost; parts that it reports as lost are lost", () => {
  const { Fan, Psu } = fanAndPsuConditions({ config: configSchema.parse({}), offersKvm: () => undefined });
  const seen = new SeenHardware();
  const look = ({ watches }: Trigger, csv: string): string => {
    const readings = { last: () => ({ kind: "read", value: parseSensors(csv) }) } as never;
    const verdict = watches?.judge(readings, { wallMs: 0, monotonicMs: 0 }, seen);
    assert.ok(verdict !== undefined && "kind" in verdict);
    return `${verdict.kind}: ${verdict.evidence}`;
  };
  const psu = (name: string, isRead: boolean): string =>
    isRead ? `${name},01h,ok,10.1,Presence detected\n` : `${name},00h,ns,10.1,No Reading\n`;
  const neverTold = psu("PS9", false);
  assert.equal(look(Psu.lostMore, psu("PS1", true) + psu("PS2", true) + neverTold), "good: 2 of 2 work");
  assert.equal(look(Psu.lostMore, psu("PS1", false) + psu("PS2", false)), "unknown: no reading of PS1, PS2");
  const beyond = "PS1 Input,0,Volts,Lower Non-Recoverable,10.1,Power Supply,Voltage\n";
  assert.equal(look(Psu.lostMore, beyond + psu("PS1", true)), "bad: PS1 of 1 failed");
  const fan = (value: string, state: string): string => `FAN1,${value},RPM,${state},29.1,Fan Device,Fan\n`;
  assert.equal(look(Fan.bmcLost, fan("", "ns")), "absent: no sensor reports any");
  assert.equal(look(Fan.bmcLost, fan("5400", "ok")), "good: 1 of 1 work");
  assert.equal(look(Fan.bmcLost, fan("", "ns")), "unknown: no reading of FAN1");
  assert.equal(look(Fan.bmcLost, fan("", "Lower Critical")), "bad: FAN1 of 1 failed");
});

/** The verdict of a PcieErrors trigger for a device with this counter of that severity. */
function pcieLooks(health: Readonly<Record<string, number>> = {}) {
  const { PcieErrors } = pcieConditions({
    config: configSchema.parse({ health }),
    offersKvm: () => undefined,
  });
  return (trigger: keyof typeof PcieErrors, total: number, minutes: number) => {
    const severity = { fatal: "fatal", nonfatal: "nonfatal", corrected: "correctable" }[trigger];
    const value = [{ device: "0000:18:00.0", errors: { [severity]: total } }];
    const readings = { last: () => ({ kind: "read", value }) } as never;
    const at = { wallMs: 0, monotonicMs: minutes * 60_000 };
    const verdicts = PcieErrors[trigger].watches?.judge(readings, at, new SeenHardware());
    assert.ok(verdicts !== undefined && !("kind" in verdicts));
    return verdicts.get("0000:18:00.0")?.kind;
  };
}

test("a fatal PCI error forbids new VMs, until an hour without one", () => {
  const look = pcieLooks();
  assert.equal(look("fatal", 7, 0), "good");
  assert.equal(look("fatal", 8, 1), "bad");
  assert.equal(look("fatal", 8, 60), "bad");
  assert.equal(look("fatal", 8, 61), "good");
  assert.equal(look("corrected", 0, 0), "good");
  assert.equal(look("corrected", 101, 1), "bad");
  assert.equal(look("corrected", 101, 30), "bad");
  assert.equal(look("corrected", 102, 62), "between");
});

test("a fatal PCI error belongs to its device only", async (context) => {
  const { host, write } = await start(context, healthy);
  await write("sys/bus/pci/devices/0000:5e:00.0/aer_dev_fatal", "Undefined 0\nDLP 1\nTOTAL_ERR_FATAL 1\n");
  await host.readAgain("pcie");
  assert.equal(
    host.condition("PcieErrors"),
    "true no_schedule FatalPcieError: 0000:5e:00.0 had 1 fatal errors within 60 min",
  );
  assert.deepEqual([...host.health.subjectsOn("PcieErrors", "fatal")], ["0000:5e:00.0"]);
  assert.deepEqual([...host.health.subjectsOn("PcieErrors", "nonfatal")], []);
});

test("nonfatal PCI errors count for 10 minutes, and end after a clean hour", () => {
  const look = pcieLooks();
  assert.equal(look("nonfatal", 3, 0), "good");
  assert.equal(look("nonfatal", 4, 1), "bad");
  assert.equal(look("nonfatal", 4, 10), "bad");
  assert.equal(look("nonfatal", 4, 11), "between");
  assert.equal(look("nonfatal", 4, 60), "between");
  assert.equal(look("nonfatal", 4, 61), "good");
});

test("the number and window of nonfatal PCI errors and the clean time are configurable", () => {
  const look = pcieLooks({ pcieNonfatalErrors: 2, pcieNonfatalSeconds: 120, pcieCleanSeconds: 300 });
  assert.equal(look("nonfatal", 0, 0), "good");
  assert.equal(look("nonfatal", 2, 1), "between");
  assert.equal(look("nonfatal", 3, 2), "bad");
  assert.equal(look("nonfatal", 3, 3), "between");
  assert.equal(look("nonfatal", 3, 7), "good");
});

test("corrected memory errors end after a day below half of the limit", () => {
  const { MemoryCorrected } = memoryErrorConditions({
    config: configSchema.parse({}),
    offersKvm: () => undefined,
  });
  const health = new Health({
    rules: { MemoryCorrected },
    flapping: { flips: 3, withinMs: 1 },
    at: { wallMs: 0, monotonicMs: 0 },
    onChange: () => undefined,
  });
  const look = (correctedErrors: number, hours: number): string => {
    const value = [{ dimm: "A1", correctedErrors }];
    const readings = { last: () => ({ kind: "read", value }) } as never;
    health.judge("memoryErrors", readings, { wallMs: 0, monotonicMs: hours * HOUR });
    const [found] = health.conditions;
    return `${found?.status} ${found?.reason}`;
  };
  look(0, 0);
  assert.equal(look(60, 1), "true ManyCorrectedMemoryErrors");
  for (let hour = 2; hour < 25; hour += 1) look(60, hour);
  // The 60 have left the day's window; another 30 are more than half of the limit.
  look(60, 25);
  look(90, 30);
  assert.equal(look(90, 53.9), "true ManyCorrectedMemoryErrors");
  assert.equal(look(90, 55), "true ManyCorrectedMemoryErrors");
  assert.equal(look(90, 78.9), "true ManyCorrectedMemoryErrors");
  assert.equal(look(90, 79), "false Healthy");
});

test("kernel faults count for an hour; those of QEMU and libvirt forbid new VMs", () => {
  const fault = (ageMs: number, task?: string) =>
    ({
      kind: "hung_task",
      atMs: 0,
      text: "INFO: task blocked",
      ageMs,
      ...(task === undefined ? {} : { task }),
    }) as const;
  const log = (...faults: ReturnType<typeof fault>[]) => ({ counts: new Map(), faults });
  const any = (): boolean => true;
  assert.equal(faultVerdict(log(fault(3_599_000)), HOUR, any).kind, "bad");
  assert.equal(faultVerdict(log(fault(3_600_000)), HOUR, any).kind, "good");
});

test("a hung QEMU in the kernel's log forbids new VMs", async (context) => {
  const line = (task: string): string =>
    `3,9,7100000000,-;INFO: task ${task}:812 blocked for more than 120 seconds.\n`;
  const other = await start(context, { ...healthy, "dev/kmsg": line("kworker/0:1") });
  assert.match(other.host.condition("KernelFault"), /^true degraded KernelFault/);
  for (const task of ["CPU 0/KVM", "rpc-libvirtd", "prio-rpc-libvir", "prio-rpc-virtqe"]) {
    const { host } = await start(context, { ...healthy, "dev/kmsg": line(task) });
    assert.match(host.condition("KernelFault"), /^true no_schedule HypervisorKernelFault/, task);
  }
});

test("the hottest sensor by its own critical point decides; a sensor without one does not count", () => {
  const heat = (celsius: number, criticalCelsius?: number) => ({
    name: "cpu",
    celsius,
    isAlarming: false,
    ...(criticalCelsius === undefined ? {} : { criticalCelsius }),
  });
  const margins = { enterCelsius: 5, leaveCelsius: 10 };
  assert.equal(hotVerdict([heat(120)], margins).kind, "absent");
  assert.equal(hotVerdict([heat(60, 100), heat(80, 85)], margins).kind, "bad");
  assert.equal(hotVerdict([heat(91, 100)], margins).kind, "between");
  assert.equal(hotVerdict([heat(90, 100)], margins).kind, "good");
  assert.equal(alarmVerdict([{ ...heat(30), isAlarming: true }]).kind, "bad");
});

test("a part that its machine reports as unrecoverable counts for two", () => {
  const part = (name: string, isLost: boolean, isBeyondRecovery = false) => ({
    name,
    isLost,
    isBeyondRecovery,
  });
  assert.equal(lostVerdict([part("a", true), part("b", false)], 2).kind, "good");
  assert.equal(lostVerdict([part("a", true, true), part("b", false)], 2).kind, "bad");
});

test("growth is counted within a window: a reset counter begins again, older values leave", () => {
  const growth = new Growth(60_000);
  assert.equal(growth.add("a", 100, 0), 0);
  assert.equal(growth.add("a", 110, 10_000), 10);
  assert.equal(growth.add("a", 5, 20_000), 15);
  assert.equal(growth.add("b", 7, 20_000), 0);
  assert.equal(growth.add("a", 5, 69_999), 15);
  assert.equal(growth.add("a", 5, 70_000), 5);
});
