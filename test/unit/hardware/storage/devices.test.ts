import assert from "node:assert/strict";
import test from "node:test";
import { runChild } from "../../../../agent/hardware/privileged/child.ts";
import { readFirmware } from "../../../../agent/hardware/system/firmware.ts";
import { GpuProbe } from "../../../../agent/hardware/pci/gpu.ts";
import { readKsm } from "../../../../agent/hardware/memory/ksm.ts";
import { readNuma } from "../../../../agent/hardware/memory/numa.ts";
import { valueOf } from "../../../../agent/hardware/reading.ts";
import { readWatchdogs } from "../../../../agent/hardware/system/watchdog.ts";
import { unpackHost } from "../../../support/tree.ts";
import { GIB } from "../../../support/hardware/fixture.ts";

const never = new AbortController().signal;
const limits = { timeoutMs: 60_000, maxOutputBytes: 65_536 };

test("1 GiB huge pages of both cells are read, free ones too", async (context) => {
  const cells = valueOf(await readNuma(await unpackHost(context, "worn-compute-node"))) ?? [];
  assert.deepEqual(
    cells.map(({ id, hugepages }) => [id, valueOf(hugepages)?.find(({ sizeBytes }) => sizeBytes === GIB)]),
    [
      [0, { sizeBytes: GIB, total: 16, free: 3 }],
      [1, { sizeBytes: GIB, total: 16, free: 16 }],
    ],
  );
});

test("memory that KSM saves is computed with this machine's page size", async (context) => {
  const ksm = valueOf(await readKsm(await unpackHost(context, "worn-compute-node")));
  const pageBytes = Number((await runChild(["getconf", "PAGESIZE"], limits).output).stdout);
  assert.deepEqual(ksm, { savedBytes: 262_144 * pageBytes });
});

test("a watchdog that reset the machine is read, and one whose driver reports little", async (context) => {
  assert.deepEqual(valueOf(await readWatchdogs(await unpackHost(context, "worn-compute-node"))), [
    {
      name: "watchdog0",
      identity: "iTCO_wdt",
      active: true,
      timeoutSeconds: 30,
      timeLeftSeconds: 21,
      causedLastBoot: true,
    },
    { name: "watchdog1", identity: "IPMI", active: false },
  ]);
});

test("firmware versions known to the kernel are read", async (context) => {
  const firmware = valueOf(await readFirmware(await unpackHost(context, "worn-compute-node")));
  assert.deepEqual(
    firmware?.map(({ component, version }) => `${component} ${version}`),
    [
      "bios 2.7",
      "microcode 0xd0003d1",
      "embedded_controller 1.4",
      "nvme0 GDC5602Q",
      "nvme1 GDC5602Q",
      "nvme2 VDV10131",
      "nvme3 VDV10131",
    ],
  );
});

test("GPUs are read from nvidia-smi; missing values are left out", async () => {
  const lines = `GPU-1a2b, NVIDIA L40S, 00000000:17:00.0, 570.86.10, 41, 88.52, 7, 46068, 1024, 0
GPU-3c4d, NVIDIA T400, 00000000:65:00.0, 570.86.10, 35, [N/A], 0, 2048, 1, [N/A]
`;
  let argv: readonly string[] = [];
  const probe = new GpuProbe((command) => {
    argv = command;
    return runChild(["printf", "%s", lines], limits);
  });
  assert.deepEqual(valueOf(await probe.read(never)), [
    {
      uuid: "GPU-1a2b",
      model: "NVIDIA L40S",
      pciAddress: "00000000:17:00.0",
      driver: "570.86.10",
      temperatureCelsius: 41,
      powerWatts: 88.52,
      utilizationRatio: 0.07,
      memoryTotalBytes: 46_068 * 1024 ** 2,
      memoryUsedBytes: 1024 ** 3,
      uncorrectedErrors: 0,
    },
    {
      uuid: "GPU-3c4d",
      model: "NVIDIA T400",
      pciAddress: "00000000:65:00.0",
      driver: "570.86.10",
      temperatureCelsius: 35,
      utilizationRatio: 0,
      memoryTotalBytes: 2 * 1024 ** 3,
      memoryUsedBytes: 1024 ** 2,
    },
  ]);
  assert.equal(argv[0], "nvidia-smi");
});

test("a missing driver or program is no fault; a failing driver is", async () => {
  const kinds = async (argv: readonly [string, ...string[]]) =>
    (await new GpuProbe(() => runChild(argv, limits)).read(never)).kind;
  assert.equal(await kinds(["/nonexistent/nvidia-smi"]), "unsupported");
  assert.equal(await kinds(["sh", "-c", "echo 'No devices were found' >&2; exit 6"]), "unsupported");
  assert.equal(
    await kinds(["sh", "-c", "echo 'Unable to determine the device handle' >&2; exit 15"]),
    "failed",
  );
});
