// Who may enlarge a disk that is a volume of its own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import type { Admission } from "../../../../agent/vm/operations/definition.ts";
import { resizeDisk } from "../../../../agent/vm/operations/resize-disk.ts";

const MIB = 2 ** 20;
const onVolume = (name: string, volume: string) => ({
  name,
  source: { kind: "volume", volume: { pool: "images", volume } },
});

/** The reason for which a caller is refused to enlarge the disk of acme's VM. */
function refusal(disk: string, byTenant: boolean): string {
  const spec = checkSpec(
    {
      ...{ id: "00000000-0000-4000-8000-000000000001", name: "web", tenant: "acme", vcpus: 1 },
      memoryBytes: 2 ** 30,
      disks: [onVolume("plain", "a.raw"), onVolume("own", "socle-volume-acme+data.raw")],
    },
    { bridges: [], allowSpoofing: false },
  );
  const { id, name, tenant, vcpus, memoryBytes } = spec;
  const vm = withEtag({
    ...{ id, name, tenant, vcpus, memoryBytes, spec, state: "stopped", stateReason: "" },
    ...{ presence: "present", observedAtMs: 1, managed: true },
    ...{ labels: {}, placementEpoch: 0, cells: [], disks: [], nics: [] },
  });
  try {
    // The admission reads nothing else of its surroundings.
    resizeDisk.admit?.({ disk, capacityBytes: 2 * MIB, fromBytes: MIB }, vm, { byTenant } as Admission);
    return "none";
  } catch (thrown) {
    return toSocleError(thrown).reason;
  }
}

test("the growth of a disk with snapshots is claimed for each of its layers", () => {
  const volume = { pool: "images", volume: "socle-x-root.aaaaaaaa.qcow2" };
  const grown = { disk: "root", volume, capacityBytes: 30, fromBytes: 10, ownBytes: 10 };
  const claimed = (layers?: string[]) =>
    resizeDisk.grows?.({ ...grown, ...(layers === undefined ? {} : { layers }) }, "x");
  assert.deepEqual(claimed(), { volumes: [{ ...volume, capacityBytes: 30 }], diskBytes: 20 });
  const { volumes = [], diskBytes } = claimed(["socle-x-root.qcow2", "socle-x-root.bbbbbbbb.qcow2"]) ?? {};
  assert.deepEqual([volumes.length, diskBytes], [3, 60]);
  assert.ok(volumes.every(({ pool, capacityBytes }) => pool === "images" && capacityBytes === 30));
});

test("a tenant's caller enlarges its tenant's volumes, which the quota counts, and no other", () => {
  assert.equal(refusal("own", true), "none");
  assert.equal(refusal("plain", true), "VOLUME_DENIED");
  assert.equal(refusal("plain", false), "none");
});
