// The host's document: bounded, built in small steps, and rebuilt only where the host changed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { convertHost, hostToProto } from "../../../../agent/api/convert/host.ts";
import { encodingOf } from "../../../../agent/api/limits/encodings.ts";
import { HostDocuments } from "../../../../agent/api/services/host-document.ts";
import { Slice } from "../../../../agent/kernel/concurrency/slice.ts";
import { pageBytes } from "../../../../agent/kernel/text/message-bytes.ts";
import type { HostSnapshot } from "../../../../agent/host/host.ts";
import { ApiClient, hostSnapshot, protos, startApi } from "../../../support/api/harness.ts";
import { largeHost, largeSize } from "../../../support/api/large-host.ts";

const { responseDeserialize: decode, responseSerialize: encode } = protos.host.GetHost;
const huge = { cells: 64, cpusPerCell: 128, devices: 8000, pools: 2000, networks: 4000, subjects: 8000 };
const more = { position: { bootId: "b", agentEpoch: 7, generation: 3 }, controlEpoch: 9 };

/** Documents, and the names of the encoded parts by message. */
function counted() {
  const parts: string[] = [];
  const counting = <Type extends { serialize: (value: never) => Buffer }>(
    name: string,
    type: Type,
  ): Type => ({
    ...type,
    serialize: (value: never) => {
      parts.push(name);
      return type.serialize(value);
    },
  });
  const { inventory, capacity, health } = protos.hostParts;
  const documents = new HostDocuments({
    host: protos.host,
    hostParts: {
      inventory: counting("inventory", inventory),
      capacity: counting("capacity", capacity),
      health: counting("health", health),
    },
  });
  const make = (snapshot: HostSnapshot) => documents.make(snapshot, [], true, { more, slice: new Slice() });
  return { make, encoded: () => [...new Set(parts.splice(0))] };
}

test("a document built in steps equals one encoded at once", async () => {
  for (const snapshot of [hostSnapshot, largeHost()]) {
    const host = await new HostDocuments(protos).make(snapshot, [], true, { more, slice: new Slice() });
    const bytes = encodingOf(host) ?? Buffer.alloc(0);
    assert.deepEqual(decode(bytes), decode(encode({ ...hostToProto(snapshot, [], true), ...more })));
  }
});

test("only changed parts of the host are encoded again, and a new inventory is visible at once", async () => {
  const { make, encoded } = counted();
  const before = largeHost();
  await make(before);
  assert.deepEqual(encoded(), ["inventory", "capacity", "health"]);
  await make(before);
  assert.deepEqual(encoded(), []);
  const [probed, ...others] = before.health.conditions;
  assert.ok(probed !== undefined);
  const conditions = [{ ...probed, lastProbeMs: probed.lastProbeMs + 5000 }, ...others];
  const after = { ...before, health: { ...before.health, conditions } };
  const host = await make(after);
  assert.deepEqual(encoded(), ["health"]);
  const shown = decode(encodingOf(host) ?? Buffer.alloc(0)).health?.conditions[0];
  assert.equal(shown?.lastProbe?.seconds, (probed.lastProbeMs + 5000) / 1000);
  assert.equal(host.etag, hostToProto(before, [], true).etag, "a new probe time is no change");
});

test("a large host takes a step for each of its devices, pools, cells and conditions", () => {
  const snapshot = largeHost();
  const objects = [
    ...snapshot.inventory.devices,
    ...snapshot.inventory.storagePools,
    ...snapshot.inventory.cells,
    ...snapshot.health.conditions,
  ];
  const steps = [...convertHost(snapshot, [], true)].length;
  assert.ok(steps >= objects.length, `${steps} steps for ${objects.length} objects`);
});

test("the document of the largest host has at most 1 MiB and lists what it leaves out", async () => {
  const host = await new HostDocuments(protos).make(largeHost(huge), [], true, { more, slice: new Slice() });
  const bytes = encodingOf(host) ?? Buffer.alloc(0);
  assert.ok(bytes.length <= pageBytes, `${bytes.length} bytes`);
  const { inventory, capacity, health } = decode(bytes);
  assert.deepEqual([inventory?.complete, capacity?.complete], [false, false]);
  const reasons = [...(inventory?.incompleteReasons ?? []), ...(capacity?.incompleteReasons ?? [])];
  for (const what of ["PCI devices", "storage pools", "networks", "NUMA cells", "devices for guests"])
    assert.ok(
      reasons.some((reason) => reason.includes(`${what} are left out`)),
      `${what} among ${reasons.join(", ")}`,
    );
  for (const { evidence, subjects } of health?.conditions ?? []) {
    const leftOut = huge.subjects - subjects.length;
    assert.ok(evidence.includes(`${leftOut} of ${huge.subjects} subjects are left out`), evidence);
  }
});

test("a host of 512 CPUs, 200 pools and 2,048 devices fits into its document", async () => {
  const snapshot = largeHost({ ...largeSize, devices: 2048 });
  const { inventory, capacity } = await new HostDocuments(protos).make(snapshot, [], true, {
    more,
    slice: new Slice(),
  });
  assert.deepEqual([inventory?.incompleteReasons, capacity?.incompleteReasons], [[], []]);
  assert.deepEqual([inventory?.devices?.length, capacity?.devices?.length], [2048, 2048]);
});

test("a read after a change shows it, whatever else is read meanwhile", async (t) => {
  const api = await startApi(t);
  api.host.change(largeHost());
  const client = new ApiClient(t, `unix:${api.socket}`);
  const read = async () => (await client.call(protos.host.GetHost, {})).schedulingReason;
  for (let round = 0; round < 20; round += 1) {
    const concurrent = read();
    const reason = `round ${round}`;
    await client.call(protos.host.SetSchedulingState, {
      requestId: reason,
      state: "LIFECYCLE_STATE_CORDONED",
      reason,
    });
    assert.equal(await read(), reason);
    await concurrent;
  }
});
