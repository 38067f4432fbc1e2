import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { runChild } from "../../../../agent/hardware/privileged/child.ts";
import { readDisks } from "../../../../agent/hardware/storage/disks.ts";
import { isNotWatched } from "../../../../agent/hardware/reading.ts";
import { parseSmartReport } from "../../../../agent/hardware/storage/smart-report.ts";
import { SmartProbe } from "../../../../agent/hardware/storage/smart.ts";
import { notRead } from "../../../../agent/host/health/conditions/condition.ts";
import { unpackHost } from "../../../support/tree.ts";

const limits = { timeoutMs: 60_000, maxOutputBytes: 1024 ** 2, anyExitCode: true };
const never = new AbortController().signal;

/** A smartctl with recorded output for each device, and the devices that it was called for. */
function recorded(root: string) {
  const queried: string[] = [];
  const run = (name: string) => {
    queried.push(name);
    return runChild(["cat", join(root, "smartctl", `${name}.json`)], limits);
  };
  return { queried, run };
}

test("worn and failing disks of an array are read, beside healthy ones", async (context) => {
  const host = await unpackHost(context, "worn-compute-node");
  const reading = await new SmartProbe(host, recorded(host.root).run).read(never);
  assert.ok(reading.kind === "read", JSON.stringify(reading));
  const found = reading.value.map(({ disk, health }) => {
    assert.ok(health.kind === "read", JSON.stringify(health));
    const { warnings, ...numbers } = health.value;
    return [disk.name, disk.model, numbers, [...warnings].flatMap(([warning, is]) => (is ? [warning] : []))];
  });
  const samsung = "SAMSUNG MZQL23T8HCLS-00A07";
  // All four have the same power-on time.
  const since = {
    powerOnSeconds: 26_480 * 3600,
    powerCycles: 18,
    unsafeShutdowns: 9,
    readBytes: 1_287_361_220 * 512_000,
    writtenBytes: 3_311_928_401 * 512_000,
  };
  const numbers = (wear: number, spare: number, errors: number, temperature: number) => ({
    wearRatio: wear,
    spareRatio: spare,
    spareThresholdRatio: 0.1,
    mediaErrors: errors,
    temperatureCelsius: temperature,
    ...since,
  });
  assert.deepEqual(found, [
    ["nvme0", samsung, numbers(0.12, 1, 0, 38), []],
    ["nvme1", samsung, numbers(0.93, 1, 0, 41), []],
    ["nvme2", "INTEL SSDPE2KX040T8", numbers(0.71, 0.04, 118, 44), ["spare", "read_only"]],
    ["nvme3", "INTEL SSDPE2KX040T8", numbers(0.7, 0.97, 0, 43), []],
  ]);
});

test("the output of a real smartctl for QEMU's NVMe is read", async (context) => {
  const host = await unpackHost(context, "qemu-storage-guest");
  const reading = await new SmartProbe(host, recorded(host.root).run).read(never);
  assert.ok(reading.kind === "read" && reading.value[0]?.health.kind === "read", JSON.stringify(reading));
  const { disk, health } = reading.value[0];
  assert.deepEqual(disk, {
    name: "nvme0",
    model: "QEMU NVMe Ctrl",
    serial: "S5XANE0R100001",
    firmware: "10.0.13",
    state: "live",
    asleep: false,
  });
  assert.equal(health.value.temperatureCelsius, 50);
  assert.ok([...health.value.warnings.values()].every((is) => !is));
});

test("a sleeping disk is not queried, and its last values stay known", async (context) => {
  const host = await unpackHost(context, "worn-compute-node");
  const { queried, run } = recorded(host.root);
  const probe = new SmartProbe(host, run);
  await probe.read(never);
  assert.ok(queried.includes("nvme1"));
  queried.length = 0;
  const { writeFile } = await import("node:fs/promises");
  await writeFile(join(host.sysRoot, "devices/pci0000:60/0000:62:00.0/power/runtime_status"), "suspended\n");
  const reading = await probe.read(never);
  assert.deepEqual(queried, ["nvme0", "nvme2", "nvme3"]);
  assert.ok(reading.kind === "read");
  const health = reading.value[1]?.health;
  assert.ok(health?.kind === "read", JSON.stringify(health));
  assert.equal(health.value.wearRatio, 0.93);
  assert.equal("temperatureCelsius" in health.value, false, "its current temperature is unknown");
  const first = await new SmartProbe(host, run).read(never);
  assert.equal(first.kind === "read" ? first.value[1]?.health.kind : "", "unsupported");
});

test("a smartctl that hangs is killed and fails alone; it gets no second child while the first lives", async (context) => {
  const host = await unpackHost(context, "worn-compute-node");
  const { queried, run } = recorded(host.root);
  const probe = new SmartProbe(host, (disk) => {
    if (disk !== "nvme0") return run(disk);
    queried.push("nvme0");
    const child = runChild(["sleep", "60"], { ...limits, timeoutMs: 200 });
    return { output: child.output, gone: new Promise(() => undefined) };
  });
  for (const round of [1, 2]) {
    const reading = await probe.read(never);
    assert.ok(reading.kind === "read");
    assert.deepEqual(
      reading.value.map(({ health }) => health.kind),
      ["failed", "read", "read", "read"],
      `round ${round}`,
    );
  }
  assert.equal(queried.filter((name) => name === "nvme0").length, 1);
});

test("without smartctl or disks there is no reading", async (context) => {
  const host = await unpackHost(context, "worn-compute-node");
  const missing = await new SmartProbe(host, () => runChild(["/nonexistent/smartctl"], limits)).read(never);
  assert.deepEqual(missing, { kind: "failed", reason: "smartctl is not installed", code: "ENOENT" });
  const virtual = await unpackHost(context, "worn-compute-node", { "sys/class/nvme": null });
  const none = await new SmartProbe(virtual).read(never);
  assert.deepEqual(none, { kind: "unsupported", reason: "no disk reports its health" });
});

test("disks that the agent may not query are denied, not silent", async (context) => {
  const host = await unpackHost(context, "worn-compute-node");
  const denied = report(2, {}, "Smartctl open device: /dev/nvme0 failed: Permission denied");
  const all = await new SmartProbe(host, () => runChild(["echo", denied], limits)).read(never);
  assert.ok(all.kind === "failed" && all.code === "EACCES", JSON.stringify(all));
  assert.match(all.reason, /may not query .*nvme0.*Permission denied/);
});

test("disks behind a RAID controller are not watched, which is neither healthy nor a failure", async (context) => {
  const host = await unpackHost(context, "worn-compute-node");
  const volume = report(
    2,
    {},
    "Smartctl open device: /dev/sda failed: DELL or MegaRaid controller, please try adding '-d megaraid,N'",
  );
  const all = await new SmartProbe(host, () => runChild(["echo", volume], limits)).read(never);
  assert.ok(all.kind === "failed" && isNotWatched(all), JSON.stringify(all));
  const { kind, evidence } = notRead(all);
  assert.equal(kind, "unwatched");
  assert.match(evidence, /the disks behind .*nvme0: .*MegaRaid.*; the controller's own tool watches them/);
});

test("a disk removed during the query is no disk", async (context) => {
  const host = await unpackHost(context, "worn-compute-node");
  await mkdir(join(host.sysRoot, "class/nvme/nvme9"), { recursive: true });
  const disks = await readDisks(host);
  assert.ok(disks.kind === "read");
  assert.deepEqual(
    disks.value.map(({ name }) => name),
    ["nvme0", "nvme1", "nvme2", "nvme3"],
  );
});

test("SCSI and SATA disks are listed without their partitions; virtual ones are not", async (context) => {
  const host = await unpackHost(context, "worn-compute-node", {
    "sys/class/nvme": null,
    "sys/block/sda/device/vendor": "ATA     ",
    "sys/block/sda/device/model": "Micron_5300_MTFD",
    "sys/block/sdb/device/vendor": "SEAGATE ",
    "sys/block/sdb/device/model": "ST8000NM001A",
    "sys/block/sdb/device/power/runtime_status": "suspended",
    "sys/block/vda/size": "100",
  });
  const disks = await readDisks(host);
  assert.ok(disks.kind === "read");
  assert.deepEqual(
    disks.value.map(({ name, model, asleep }) => [name, model, asleep]),
    [
      ["sda", "Micron_5300_MTFD", false],
      ["sdb", "SEAGATE ST8000NM001A", true],
    ],
  );
});

const report = (exit: number, more: object, message = "") =>
  JSON.stringify({ smartctl: { exit_status: exit, messages: [{ string: message }] }, ...more });

test("a SATA disk's attributes and its own verdict are read", () => {
  const table = [
    // Makers store more than the count there: smartctl's text separates them.
    { id: 5, name: "Reallocated_Sector_Ct", value: 98, raw: { value: 65_548, string: "12 (1 0)" } },
    { id: 177, name: "Wear_Leveling_Count", value: 7, raw: { value: 2900 } },
    { id: 187, name: "Reported_Uncorrect", value: 100, raw: { value: 65_539, string: "3 (1 0)" } },
    // The format of Seagate's drives.
    { id: 240, name: "Head_Flying_Hours", value: 100, raw: { value: 2 ** 60, string: "5310h+17m+04.236s" } },
    { id: 197, name: "Current_Pending_Sector", value: 100, raw: { value: 8, string: "8" } },
    { id: 198, name: "Offline_Uncorrectable", value: 100, raw: { value: 2, string: "2" } },
  ];
  const sata = {
    smart_status: { passed: false },
    ata_smart_attributes: { table },
    temperature: { current: 29 },
    power_on_time: { hours: 36_055, minutes: 12 },
    power_cycle_count: 279,
  };
  assert.deepEqual(parseSmartReport(report(8, sata)), {
    kind: "health",
    health: {
      wearRatio: 0.93,
      mediaErrors: 3,
      temperatureCelsius: 29,
      powerOnSeconds: 36_055 * 3600,
      powerCycles: 279,
      reallocatedSectors: 12,
      pendingSectors: 8,
      uncorrectableSectors: 2,
      warnings: new Map([["self_assessment", true]]),
    },
  });
});

test("a SCSI disk's grown defects are replaced sectors; an absurd count is dropped alone", () => {
  const scsi = { smart_status: { passed: true }, scsi_grown_defect_list: 4, power_cycle_count: -1 };
  assert.deepEqual(parseSmartReport(report(0, { ...scsi, power_on_time: { hours: "many" } })), {
    kind: "health",
    health: { reallocatedSectors: 4, warnings: new Map([["self_assessment", false]]) },
  });
});

test("an NVMe disk with absurd counts is judged by its other values", () => {
  const nvme = { critical_warning: 4, percentage_used: 3, media_errors: 2 ** 64, data_units_read: -1 };
  const parsed = parseSmartReport(
    report(8, { nvme_smart_health_information_log: nvme, temperature: { current: "hot" } }),
  );
  assert.ok(parsed.kind === "health");
  const { warnings, ...found } = parsed.health;
  assert.deepEqual([found, warnings.get("reliability")], [{ wearRatio: 0.03, mediaErrors: 2 ** 64 }, true]);
});

test("a sleeping, denied, missing or broken device gives no values, each with its cause", () => {
  assert.equal(parseSmartReport(report(2, {}, "Device is in STANDBY mode, exit(2)")).kind, "asleep");
  const denied = parseSmartReport(
    report(2, {}, "Smartctl open device: /dev/nvme0 failed: Permission denied"),
  );
  assert.equal(denied.kind, "denied");
  assert.equal(parseSmartReport(report(1, {}, "/dev/vda: Unable to detect device type")).kind, "silent");
  const volume =
    "Smartctl open device: /dev/sda failed: DELL or MegaRaid controller, please try adding '-d megaraid,N'";
  assert.deepEqual(parseSmartReport(report(2, {}, volume)), { kind: "hidden", reason: volume });
  assert.equal(parseSmartReport(report(4, { smart_support: { available: false } })).kind, "silent");
  assert.throws(
    () => parseSmartReport(report(2, {}, "Smartctl open device: /dev/sda failed: No such device")),
    /No such device/,
  );
  assert.throws(() => parseSmartReport("smartctl: not found"));
});
