// Changes of a disk's limits: their admission, and their effect on libvirt.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import type { Disk } from "../../../../agent/libvirt/xml/index.ts";
import { DomainDevices } from "../../../../agent/vm/hypervisor/domain-devices.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { ioTuneOf } from "../../../../agent/vm/model/io-tune.ts";
import type { VmDomain } from "../../../../agent/vm/model/vm-domain.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import { admission } from "../../../support/vm/admission-stage.ts";
import { answering, sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const WEB = "00000000-0000-4000-8000-000000000001";

/** A stopped VM with the disk `root`. */
async function stage(t: TestContext) {
  const { vms, table } = await admission(t);
  const disks = [{ name: "root", source: { kind: "volume", volume: { pool: "images", volume: "a.raw" } } }];
  const spec = checkSpec(
    { id: WEB, name: "web", tenant: "acme", vcpus: 1, memoryBytes: 2 ** 30, disks },
    { bridges: [], allowSpoofing: false },
  );
  const seen = { presence: "present", observedAtMs: 1, stateReason: "", managed: true } as const;
  const plain = { labels: {}, placementEpoch: 0, cells: [], disks: [], nics: [] };
  const of = { id: WEB, name: "web", tenant: "acme", spec, state: "stopped", vcpus: 1 } as const;
  table.put(withEtag({ ...seen, ...plain, ...of, memoryBytes: 2 ** 30 }));
  let requests = 0;
  return (disk: string, limits?: object, more: object = {}) =>
    vms.begin(
      "UPDATE_DISK",
      { requestId: `r-${(requests += 1)}`, vm: "web", disk, limits, ...more },
      "operator",
    );
}

async function refusal(begun: Promise<unknown>): Promise<string> {
  try {
    await begun;
    return "accepted";
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError, String(thrown));
    const fields = Object.keys(thrown.details.fields ?? {});
    return [thrown.kind, thrown.reason, ...fields].join(" ");
  }
}

test("limits that are wrong, of another disk, or none at all are refused and name the field", async (t) => {
  const update = await stage(t);
  for (const [limits, why] of [
    [{ totalIops: 5, writeIops: 5 }, "invalid SPEC_INVALID limits.totalIops"],
    [
      { totalBytesPerSecond: 4096, readBytesPerSecond: 4096 },
      "invalid SPEC_INVALID limits.totalBytesPerSecond",
    ],
    [{ readBytesPerSecond: 1 }, "invalid SPEC_INVALID limits.readBytesPerSecond"],
    [{ readIops: 0 }, "invalid SPEC_INVALID limits.readIops"],
    [undefined, "invalid UPDATE_EMPTY limits"],
    [{ totalIops: 5, readBytesPerSecond: 4096 }, "accepted"],
    [{ totalIops: 5, totalBurstIops: 5 }, "accepted"],
    [{ totalBurstIops: 5 }, "invalid SPEC_INVALID limits.totalBurstIops"],
    [{ totalIops: 5, readBurstIops: 5 }, "invalid SPEC_INVALID limits.readBurstIops"],
    [{ readIops: 5, readBurstIops: 4 }, "invalid SPEC_INVALID limits.readBurstIops"],
    [
      { writeIops: 5, writeBurstBytesPerSecond: 4096 },
      "invalid SPEC_INVALID limits.writeBurstBytesPerSecond",
    ],
    [{ writeIops: 5, burstSeconds: 2 }, "invalid SPEC_INVALID limits.burstSeconds"],
    [{ writeIops: 5, writeBurstIops: 9, burstSeconds: 0 }, "invalid SPEC_INVALID limits.burstSeconds"],
    [{ writeIops: 5, writeBurstIops: 9, burstSeconds: 86_401 }, "invalid SPEC_INVALID limits.burstSeconds"],
    [{ writeIops: 5, writeBurstIops: 1e15, burstSeconds: 1 }, "accepted"],
    [{ writeIops: 5, writeBurstIops: 1e15, burstSeconds: 2 }, "invalid SPEC_INVALID limits.burstSeconds"],
  ] as const)
    assert.equal(await refusal(update("root", limits)), why, JSON.stringify(limits));
  assert.match(await refusal(update("none", { readIops: 1 })), /^not_found DISK_NOT_FOUND/);
  assert.equal(await refusal(update("root", { readIops: 1 }, { etag: "old" })), "conflict ETAG_MISMATCH");
  assert.deepEqual((await update("root", {}, { validateOnly: true })).result, {
    validated: "true",
    ...{ disk: "root", limits: "none", applies: "at the next start" },
  });
});

test("a refused burst names the limit that it needs, or the seconds that it may last", async (t) => {
  const update = await stage(t);
  for (const [limits, message] of [
    [{ readBurstIops: 5 }, /readBurstIops needs readIops: give it, or no burst/],
    [
      { totalIops: 5, readBurstIops: 5 },
      /readBurstIops needs readIops, which totalIops excludes: give totalBurstIops/,
    ],
    [{ readIops: 50, readBurstIops: 5 }, /readBurstIops must be at least readIops, which is 50/],
    [
      { readIops: 5, readBurstIops: 1e13, burstSeconds: 101 },
      /burstSeconds must be at most 100 with this readBurstIops/,
    ],
    [{ readIops: 5, burstSeconds: 5 }, /burstSeconds needs a burst: give one, .*or no burstSeconds/],
  ] as const)
    await assert.rejects(update("root", limits), { message });
});

test("each burst has the spec's seconds in libvirt, or one", () => {
  const limits = { totalIops: 5, totalBurstIops: 9, readBytesPerSecond: 4096, readBurstBytesPerSecond: 8192 };
  const rates = {
    ...{ totalOpsPerSecond: 5, totalMaxOpsPerSecond: 9 },
    ...{ readBytesPerSecond: 4096, readMaxBytesPerSecond: 8192 },
  };
  assert.deepEqual(ioTuneOf(limits), { ...rates, totalMaxOpsSeconds: 1, readMaxBytesSeconds: 1 });
  assert.deepEqual(ioTuneOf({ ...limits, burstSeconds: 30 }), {
    ...rates,
    ...{ totalMaxOpsSeconds: 30, readMaxBytesSeconds: 30 },
  });
  assert.deepEqual(ioTuneOf({ writeIops: 7 }), { writeOpsPerSecond: 7 });
});

/** Limits a disk that the domain has so, and returns the calls that set limits. */
async function limited(shown: readonly Disk["ioTune"][], isRunning: boolean) {
  let at = 0;
  const documentOf = (): VmDomain => {
    const ioTune = shown[Math.min(at, shown.length - 1)];
    const disk = { device: "disk", target: { device: "vda" }, alias: "ua-disk-root" };
    return {
      devices: { disks: [ioTune === undefined ? disk : { ...disk, ioTune }], interfaces: [] },
    } as unknown as VmDomain;
  };
  const { calls, called } = answering({ DOMAIN_SET_BLOCK_IO_TUNE: [{}] });
  const sent: unknown[] = [];
  const counted = {
    ...calls,
    call: ((procedure, ...rest) => {
      at += 1;
      sent.push(...(rest[0] as { params: readonly unknown[] }).params);
      return calls.call(procedure, ...rest);
    }) as typeof calls.call,
  };
  const devices = new DomainDevices(counted, sleepingClock(), {
    state: () => Promise.resolve({ state: isRunning ? "running" : "stopped" }),
    document: () => Promise.resolve(documentOf()),
  });
  const outcome = await refusal(devices.limitDisk(WEB, "ua-disk-root", { writeOpsPerSecond: 7 }));
  return { outcome, sent, set: called.filter((name) => name === "DOMAIN_SET_BLOCK_IO_TUNE").length };
}

test("limits that the disk has already are not set again, and others are read back", async () => {
  const wanted = { writeOpsPerSecond: 7 };
  const burst = { ...wanted, writeMaxOpsPerSecond: 9, writeMaxOpsSeconds: 1 };
  for (const [shown, isRunning, times] of [
    [[wanted], true, 0],
    [[{ totalOpsPerSecond: 9 }, wanted], true, 1],
    [[undefined, wanted], false, 1],
    [[burst, wanted], true, 1],
    // libvirt 11.3 keeps the second of a burst that is gone, and no more than one.
    [[{ ...wanted, writeMaxOpsSeconds: 1 }], true, 0],
    [[{ ...wanted, writeMaxOpsSeconds: 30 }, wanted], false, 1],
  ] as const) {
    const { outcome, set } = await limited(shown, isRunning);
    assert.deepEqual([outcome, set], ["accepted", times]);
  }
  const { outcome } = await limited([undefined], true);
  assert.equal(outcome, "unavailable EFFECT_NOT_OBSERVED");
});

test("libvirt keeps a burst that it is not sent, so that all are sent, the unset ones as 0", async () => {
  const { sent } = await limited([undefined, { writeOpsPerSecond: 7 }], true);
  const fields = ["bytes_sec", "iops_sec"].flatMap((unit) =>
    ["total", "read", "write"].flatMap((direction) =>
      ["", "_max", "_max_length"].map((suffix) => `${direction}_${unit}${suffix}`),
    ),
  );
  const isSet = (field: string) => field === "write_iops_sec";
  assert.deepEqual(
    new Map((sent as { field: string; value: unknown }[]).map(({ field, value }) => [field, value])),
    new Map(fields.map((field) => [field, { type: "ullong", value: isSet(field) ? 7 : 0 }])),
  );
});
