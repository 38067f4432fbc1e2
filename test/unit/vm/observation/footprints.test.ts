import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Footprint } from "../../../../agent/state/reservations/footprint.ts";
import { footprintFeed } from "../../../../agent/vm/observation/footprints.ts";
import type { VmSpec } from "../../../../agent/contract/spec.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { eventually } from "../../../support/wait.ts";
import { vm } from "../../../support/metrics/fixed-sources.ts";

interface Published {
  readonly footprints: readonly Footprint[];
  readonly complete: boolean;
}

function follow(t: TestContext, table: VmTable): Published[] {
  const published: Published[] = [];
  const end = new AbortController();
  const feed = footprintFeed(table, (footprints, complete) => published.push({ footprints, complete }));
  const done = feed.run(end.signal, () => undefined);
  t.after(async () => {
    end.abort();
    await done;
  });
  return published;
}

test("an unchanged footprint stays the same object, also while its VM is unknown", async (t) => {
  const table = new VmTable();
  table.put(vm(1, { vcpuPins: [[1], [2]] }));
  table.put(vm(2));
  table.completed(1);
  const published = follow(t, table);
  table.markUnknown();
  await eventually(() => published.length === 2);
  assert.deepEqual([published[0]?.complete, published[1]?.complete], [true, false]);
  assert.equal(published[1]?.footprints[0], published[0]?.footprints[0]);
  table.put(vm(2, { vcpus: 7 }));
  await eventually(() => published.length === 3);
  assert.equal(published[2]?.footprints[0], published[0]?.footprints[0]);
  assert.equal(published[2]?.footprints[1]?.vcpus, 7);
});

test("a VM counts with the greater of what it has and what was asked for", async (t) => {
  const table = new VmTable();
  const asked = (vcpus: number, memoryBytes: number) =>
    ({ disks: [], vcpus, memoryBytes }) as unknown as VmSpec;
  table.put(vm(1, { vcpus: 2, memoryBytes: 8, spec: asked(4, 4) }));
  table.put(vm(2, { vcpus: 3, memoryBytes: 8, spec: asked(1, 16) }));
  // It takes this again once it continues.
  table.put(vm(3, { state: "stopped", vcpus: 1, memoryBytes: 8, savedMemoryBytes: 24, spec: asked(1, 8) }));
  table.completed(1);
  const published = follow(t, table);
  await eventually(() => published.length === 1);
  assert.deepEqual(
    published[0]?.footprints.map(({ vcpus, memoryBytes }) => [vcpus, memoryBytes]),
    [
      [4, 8],
      [3, 16],
      [1, 24],
    ],
  );
});

test("a sampling round without changes publishes too, so that a missing VM is detected", async (t) => {
  const table = new VmTable();
  const published = follow(t, table);
  table.sampled({ atMs: 1, atMonotonicMs: 1, durationMs: 1, ok: true });
  await eventually(() => published.length === 2);
  assert.equal(published[1]?.footprints, published[0]?.footprints);
});

test("an unreadable VM counts for its known tenant, or for the one in its metadata", async (t) => {
  const table = new VmTable();
  const spec = { ...vm(1).spec, disks: [{ source: { kind: "new", capacityBytes: 5 } }] } as unknown as VmSpec;
  const { spec: _spec, ...broken } = vm(1, { tenant: "", unreadable: "spec: it is not JSON", vcpus: 3 });
  table.put(vm(1, { tenant: "acme", spec }));
  table.put({ ...broken, id: vm(2).id, name: "broken-at-first-sight", claimedTenant: "globex" });
  const published = follow(t, table);
  const counted = () =>
    published
      .at(-1)
      ?.footprints.map(({ tenant = "", vcpus, diskBytes }) => ({ tenant, vcpus, diskBytes }))
      .toSorted((a, b) => a.tenant.localeCompare(b.tenant));
  await eventually(() => published.length > 0);
  table.put({ ...broken, claimedTenant: "globex", etag: "2" });
  await eventually(() => counted()?.[0]?.vcpus === 3);
  assert.deepEqual(counted(), [
    { tenant: "acme", vcpus: 3, diskBytes: 5 },
    { tenant: "globex", vcpus: 3, diskBytes: 0 },
  ]);
});
