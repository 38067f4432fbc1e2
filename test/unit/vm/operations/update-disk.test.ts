// Changes of a disk's limits: their admission, and their effect on libvirt.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import type { Disk } from "../../../../agent/libvirt/xml/index.ts";
import { DomainDevices } from "../../../../agent/vm/hypervisor/domain-devices.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
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
  ] as const)
    assert.equal(await refusal(update("root", limits)), why, JSON.stringify(limits));
  assert.match(await refusal(update("none", { readIops: 1 })), /^not_found DISK_NOT_FOUND/);
  assert.equal(await refusal(update("root", { readIops: 1 }, { etag: "old" })), "conflict ETAG_MISMATCH");
  assert.deepEqual((await update("root", {}, { validateOnly: true })).result, {
    validated: "true",
    ...{ disk: "root", limits: "none", applies: "at the next start" },
  });
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
  const counted = {
    ...calls,
    call: ((procedure, ...rest) => {
      at += 1;
      return calls.call(procedure, ...rest);
    }) as typeof calls.call,
  };
  const devices = new DomainDevices(counted, sleepingClock(), {
    state: () => Promise.resolve({ state: isRunning ? "running" : "stopped" }),
    document: () => Promise.resolve(documentOf()),
  });
  const outcome = await refusal(devices.limitDisk(WEB, "ua-disk-root", { writeOpsPerSecond: 7 }));
  return { outcome, set: called.filter((name) => name === "DOMAIN_SET_BLOCK_IO_TUNE").length };
}

test("limits that the disk has already are not set again, and others are read back", async () => {
  const wanted = { writeOpsPerSecond: 7 };
  assert.deepEqual(await limited([wanted], true), { outcome: "accepted", set: 0 });
  assert.deepEqual(await limited([{ totalOpsPerSecond: 9 }, wanted], true), { outcome: "accepted", set: 1 });
  assert.deepEqual(await limited([undefined, wanted], false), { outcome: "accepted", set: 1 });
  const { outcome } = await limited([undefined], true);
  assert.equal(outcome, "unavailable EFFECT_NOT_OBSERVED");
});
