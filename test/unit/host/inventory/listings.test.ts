import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reading } from "../../../../agent/hardware/reading.ts";
import type { VolumeCapacities } from "../../../../agent/host/capacity/storage-ledger.ts";
import { Listings } from "../../../../agent/host/inventory/listings.ts";

const pool = { name: "a", type: "dir", active: true, presence: "present", observedAtMs: 1 } as const;
const details = {
  type: "dir",
  active: true,
  accessible: true,
  autostart: true,
  capacityBytes: 1,
  allocatedBytes: 1,
  availableBytes: 1,
};
const read = <T>(value: T) => ({ kind: "read", value }) as const;
const failed = (reason: string) => ({ kind: "failed", reason }) as const;
const away = failed("libvirt is not connected");

test("nothing is listed before the first reading", () => {
  const { pools, networks } = new Listings();
  assert.deepEqual([pools.complete, pools.observedAtMs, networks.items], [false, undefined, []]);
});

test("a pool that libvirt lists and cannot read is listed as unknown, with the reason", () => {
  const listings = new Listings();
  const sources = {
    pools: read([
      { name: "b", details: failed("it hangs") },
      { name: "a", details: read(details) },
      { name: "c", details: read(details) },
    ]),
    networks: away,
    volumes: new Map<string, Reading<VolumeCapacities>>([
      ["a", read({ bytes: new Map<string, number>(), missing: "1 cannot be read" })],
      ["c", failed("3 of 9 were read so far")],
    ]),
  };
  listings.see(sources, { storagePools: [pool, { ...pool, name: "c" }], networks: [] }, 7);
  const { items, complete, observedAtMs } = listings.pools;
  assert.deepEqual(
    items.map(({ name, item, problem }) => [name, item?.presence, problem]),
    [
      ["a", "present", "volumes: 1 cannot be read"],
      ["b", undefined, "it hangs"],
      ["c", "present", "volumes: 3 of 9 were read so far"],
    ],
  );
  assert.deepEqual([complete, observedAtMs], [true, 7]);
  assert.deepEqual(
    ["a", "b", "c"].map((name) => listings.hasVolumes(name)),
    [true, false, false],
  );
});

test("without libvirt the same pools and networks are listed, as last seen at their time", () => {
  const listings = new Listings();
  const network = { name: "n", bridge: "b", active: true, presence: "present", observedAtMs: 1 } as const;
  const sources = { pools: read([{ name: "a", details: read(details) }]), volumes: new Map() };
  listings.see({ ...sources, networks: read([network]) }, { storagePools: [pool], networks: [network] }, 1);
  const unknown = { presence: "unknown" } as const;
  listings.see(
    { pools: away, networks: away, volumes: new Map() },
    { storagePools: [{ ...pool, ...unknown }], networks: [{ ...network, ...unknown }] },
    2,
  );
  for (const { items, complete, observedAtMs } of [listings.pools, listings.networks])
    assert.deepEqual(
      [items.map(({ item }) => item?.presence), complete, observedAtMs],
      [["unknown"], false, 1],
    );
});
