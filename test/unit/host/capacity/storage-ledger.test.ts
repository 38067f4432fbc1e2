import assert from "node:assert/strict";
import test from "node:test";
import type { StoragePool } from "../../../../agent/host/host.ts";
import { StorageLedger, type VolumeCapacities } from "../../../../agent/host/capacity/storage-ledger.ts";
import type { NewVolume } from "../../../../agent/state/reservations/footprint.ts";
import type { Reading } from "../../../../agent/hardware/reading.ts";
import { toSocleError, type SocleError } from "../../../../agent/kernel/errors.ts";

const GIB = 1024 ** 3;

function pool(name: string, parts: Partial<StoragePool> = {}): StoragePool {
  const seen = { presence: "present", observedAtMs: 0, active: true, type: "dir" } as const;
  return { ...seen, name, capacityBytes: 100 * GIB, thinRatio: 1, ...parts };
}

const disk = (gib: number, { of = "images", volume = "disk" } = {}): NewVolume[] => [
  { pool: of, volume, capacityBytes: gib * GIB },
];

type Volumes = Readonly<Record<string, number>> | string;

/** Volumes in GiB by pool, or why they could not be read. */
function look(ledger: StorageLedger, pools: readonly StoragePool[], of: Record<string, Volumes>, atMs = 0) {
  const read = ([name, found]: [string, Volumes]): [string, Reading<VolumeCapacities>] => [
    name,
    typeof found === "string"
      ? { kind: "failed", reason: found }
      : {
          kind: "read",
          value: { bytes: new Map(Object.entries(found).map(([volume, gib]) => [volume, gib * GIB])) },
        },
  ];
  ledger.see({
    pools: new Map(pools.map((each) => [each.name, each])),
    volumes: new Map(Object.entries(of).map(read)),
    startedAtMs: atMs,
  });
}

function ledgerOf(volumes: Volumes = {}, parts: Partial<StoragePool> = {}): StorageLedger {
  const ledger = new StorageLedger();
  look(ledger, [pool("images", parts)], { images: volumes });
  return ledger;
}

function refusal(work: () => void): SocleError {
  try {
    work();
  } catch (thrown) {
    return toSocleError(thrown);
  }
  assert.fail("it was accepted");
}

const isFull = (ledger: StorageLedger, gib: number): boolean => {
  try {
    ledger.claim("probe", disk(gib, { volume: "probe" }));
    ledger.release("probe");
    return false;
  } catch (thrown) {
    assert.equal(toSocleError(thrown).reason, "NO_CAPACITY");
    return true;
  }
};

test("a thin disk of 10 TiB on a pool of 100 GiB is refused, with dimension, pool and amounts", () => {
  const ledger = ledgerOf({ base: 30 });
  const refused = refusal(() => ledger.claim("vm", disk(10 * 1024)));
  assert.deepEqual([refused.kind, refused.reason], ["exhausted", "NO_CAPACITY"]);
  assert.match(refused.message, /: 10 TiB wanted, 70 GiB available \(30 GiB promised of 100 GiB x/);
  assert.deepEqual(refused.details.metadata, {
    dimension: "storage",
    pool: "images",
    wanted: String(10 * 1024 * GIB),
    free_storage: String(70 * GIB),
  });
});

test("thin disks may take the thin ratio of a pool, to the last byte", () => {
  const ledger = ledgerOf({ base: 30 }, { thinRatio: 2 });
  assert.ok(isFull(ledger, 170 + 1 / GIB));
  assert.ok(!isFull(ledger, 170));
});

test("of two concurrent claims the second does not get the last space, until the first releases it", () => {
  const ledger = ledgerOf();
  ledger.claim("one", disk(60, { volume: "one" }));
  assert.ok(isFull(ledger, 60));
  ledger.release("one");
  assert.ok(!isFull(ledger, 60));
});

test("all disks of a VM count together, and one that does not fit takes nothing", () => {
  const ledger = ledgerOf();
  const two = [...disk(60, { volume: "a" }), ...disk(60, { volume: "b" })];
  assert.equal(refusal(() => ledger.claim("vm", two)).details.metadata?.["wanted"], String(120 * GIB));
  assert.ok(!isFull(ledger, 100));
});

test("a volume counts once, during creation, created and observed, also by a scan that began before its creation", () => {
  const ledger = ledgerOf();
  const counts60 = () => isFull(ledger, 41) && !isFull(ledger, 40);
  ledger.claim("vm", disk(60));
  look(ledger, [pool("images")], { images: { disk: 60 } }, 1000);
  assert.ok(counts60());
  ledger.made("vm", 2000);
  look(ledger, [pool("images")], { images: {} }, 1500);
  assert.ok(counts60());
  look(ledger, [pool("images")], { images: "no answer" }, 3000);
  assert.ok(counts60());
  look(ledger, [pool("images")], { images: { disk: 60 } }, 4000);
  assert.ok(counts60());
  look(ledger, [pool("images")], { images: {} }, 5000);
  assert.ok(!isFull(ledger, 100));
});

test("claims from before the agent's crash count, with or without capacity", () => {
  const ledger = new StorageLedger();
  ledger.reclaim("vm", disk(120));
  look(ledger, [pool("images")], { images: {} });
  assert.ok(isFull(ledger, 1));
  ledger.release("vm");
  assert.ok(!isFull(ledger, 100));
});

test("the capacity of a deleted volume is free at once", () => {
  const ledger = ledgerOf({ disk: 60 });
  ledger.claim("vm", disk(40, { volume: "new" }));
  ledger.made("vm", 0);
  ledger.deleted(
    [
      { pool: "images", volume: "disk" },
      { pool: "images", volume: "new" },
    ],
    0,
  );
  assert.ok(!isFull(ledger, 100));
});

test("pools in one filesystem share its bytes", () => {
  const ledger = new StorageLedger();
  const same = { sharedId: "local:8:1" };
  const mountedThere = pool("mounted", { ...same, capacityBytes: GIB });
  look(ledger, [pool("images", same), pool("isos", same), pool("other"), mountedThere], {
    images: { a: 30 },
    isos: { b: 30 },
    other: { c: 90 },
    mounted: { d: 1 },
  });
  assert.ok(isFull(ledger, 41));
  const both = [...disk(30, { of: "isos" }), ...disk(30)];
  assert.equal(refusal(() => ledger.claim("vm", both)).details.metadata?.["wanted"], String(60 * GIB));
  assert.ok(!isFull(ledger, 40));
});

test("while a pool's provisioned bytes are unknown no claim is decided; once known they stay known", () => {
  const ledger = new StorageLedger();
  const unknown = (why: RegExp) => {
    const refused = refusal(() => ledger.claim("vm", disk(1)));
    assert.deepEqual([refused.kind, refused.reason], ["unavailable", "CAPACITY_UNKNOWN"]);
    assert.match(refused.message, why);
  };
  unknown(/has not been read yet/);
  look(ledger, [pool("images")], { images: "3 of 5 were read so far" });
  unknown(/3 of 5 were read so far/);
  ledger.see({ pools: new Map([["images", undefined]]), volumes: new Map(), startedAtMs: 0 });
  unknown(/has not been read yet/);
  look(ledger, [pool("images")], { images: { base: 30 } });
  look(ledger, [pool("images")], { images: "no answer" });
  assert.ok(isFull(ledger, 71));
  assert.ok(!isFull(ledger, 70));
});

test("a VM without new disks needs no pool; the creation reports a missing or inactive one", () => {
  new StorageLedger().claim("vm", []);
  const { capacityBytes: _, ...inactive } = pool("images", { active: false });
  const ledger = new StorageLedger();
  look(ledger, [inactive], {});
  ledger.claim("vm", [...disk(1), ...disk(1, { of: "nowhere" })]);
});

test("a scan that began before a volume was deleted does not bring it back", () => {
  const ledger = ledgerOf({ disk: 90 });
  ledger.deleted([{ pool: "images", volume: "disk" }], 50);
  look(ledger, [pool("images")], { images: { disk: 90 } }, 40);
  assert.equal(isFull(ledger, 100), false);
  // Another client created a volume of that name again, which a later scan has found.
  look(ledger, [pool("images")], { images: { disk: 90 } }, 60);
  assert.equal(isFull(ledger, 11), true);
});

test("an image counts with its bytes, and not with the disk that it holds", () => {
  const ledger = ledgerOf();
  const [image] = disk(10, { volume: "socle-image" });
  assert.ok(image !== undefined);
  ledger.claimImage("i", "acme", image);
  assert.equal(refusal(() => ledger.claim("vm", disk(91))).reason, "NO_CAPACITY");
  // libvirt reports the capacity of the disk in a qcow2 file.
  look(ledger, [pool("images")], { images: { "socle-image": 500 } }, 1);
  ledger.keepImage("i", "acme", image);
  ledger.claim("vm", disk(90));
  assert.deepEqual(
    ledger.images().map(({ tenant, diskBytes, vms }) => [tenant, diskBytes, vms]),
    [["acme", 10 * GIB, 0]],
  );
  ledger.release("vm");
  ledger.releaseImage("i");
  ledger.deleted([image], 2);
  ledger.claim("vm", disk(100));
  assert.deepEqual(ledger.images(), []);
});

test("an image in the making counts with both of its files, whatever libvirt reads in their headers", () => {
  const ledger = ledgerOf();
  const of = (volume: string, gib: number): NewVolume => {
    const [one] = disk(gib, { volume });
    assert.ok(one !== undefined);
    return one;
  };
  const [source, data] = [of("source", 10), of("data", 20)];
  const free = (): number => (ledger.availableBytes("images") ?? NaN) / GIB;
  ledger.claimImage("i", "acme", source);
  look(ledger, [pool("images")], { images: { source: 16 * 1024 } }, 1);
  assert.equal(free(), 90);
  // A part of it was written, and libvirt reads no header yet.
  look(ledger, [pool("images")], { images: { source: 4 } }, 2);
  assert.equal(free(), 90);
  ledger.claimImage("i", "acme", data);
  look(ledger, [pool("images")], { images: { source: 16 * 1024, data: 16 * 1024 } }, 3);
  assert.equal(free(), 70);
  assert.deepEqual(
    ledger.images().map(({ diskBytes }) => diskBytes),
    [30 * GIB],
  );
  // The conversion is done.
  ledger.keepImage("i", "acme", data);
  ledger.deleted([source], 4);
  assert.equal(free(), 80);
  look(ledger, [pool("images")], { images: { data: 16 * 1024 } }, 5);
  assert.equal(free(), 80);
  ledger.releaseImage("i");
  ledger.deleted([data], 6);
  assert.equal(free(), 100);
});

test("an image that another host makes in a shared pool counts with what its files take", () => {
  const ledger = new StorageLedger();
  const source = "socle-image-0a1b2c3d-0000-4000-8000-000000000000.source";
  const sizes = { bytes: new Map([[source, 2 ** 44]]), allocatedBytes: new Map([[source, 3 * GIB]]) };
  const volumes = new Map([["images", { kind: "read", value: sizes } as const]]);
  ledger.see({ pools: new Map([["images", pool("images")]]), volumes, startedAtMs: 1 });
  assert.equal(ledger.availableBytes("images"), 97 * GIB);
});

test("a tenant's volume counts once: promised, made, read and deleted", () => {
  const volume = "socle-volume-acme+data.raw";
  const ledger = ledgerOf();
  const use = () => ledger.tenantVolumes().map(({ tenant, diskBytes }) => [tenant, diskBytes / GIB]);
  const growth = (size: number, named: object = {}) => [...ledger.ownedGrowth(disk(size, named))];
  assert.deepEqual(growth(10, { volume }), [["acme", 10 * GIB]]);
  assert.deepEqual(growth(10), []);
  ledger.claim("o", disk(10, { volume }));
  assert.deepEqual(use(), [["acme", 10]]);
  assert.deepEqual(growth(12, { volume }), [["acme", 2 * GIB]]);
  ledger.made("o", 5, disk(10, { volume }));
  assert.deepEqual(use(), [["acme", 10]]);
  assert.equal(ledger.volumesOf("images")?.bytes.get(volume), 10 * GIB);
  look(ledger, [pool("images")], { images: { [volume]: 10 } }, 6);
  assert.deepEqual(use(), [["acme", 10]]);
  ledger.deleted([{ pool: "images", volume }], 7);
  assert.deepEqual(use(), []);
});

test("a deletion does not release what a change that waits behind it will create anew", () => {
  const volume = "socle-volume-acme+data.raw";
  const ledger = ledgerOf({ [volume]: 60 });
  const use = () => ledger.tenantVolumes().map(({ diskBytes }) => diskBytes / GIB);
  ledger.claim("again", disk(60, { volume }));
  ledger.deleted([{ pool: "images", volume }], 5);
  assert.deepEqual(use(), [60]);
  assert.ok(isFull(ledger, 50));
  ledger.made("again", 6, disk(60, { volume }));
  // A reading that began before the deletion.
  look(ledger, [pool("images")], { images: { [volume]: 60 } }, 4);
  assert.deepEqual(use(), [60]);
  look(ledger, [pool("images")], { images: { [volume]: 60 } }, 7);
  assert.deepEqual(use(), [60]);
});

test("what is available is the bound of a claim, and unknown while volumes were never read", () => {
  const ledger = ledgerOf({ base: 30 }, { thinRatio: 1.5 });
  assert.equal(ledger.availableBytes("images"), 120 * GIB);
  ledger.claim("a", disk(20));
  assert.equal(ledger.availableBytes("images"), 100 * GIB);
  ledger.claim("b", disk(100, { volume: "all" }));
  assert.equal(ledger.availableBytes("images"), 0);
  assert.equal(refusal(() => ledger.claim("c", disk(1, { volume: "more" }))).reason, "NO_CAPACITY");
  ledger.reclaim("d", disk(5, { volume: "earlier" }));
  assert.equal(ledger.availableBytes("images"), -5 * GIB);
  const unread = ledgerOf("hangs");
  assert.equal(unread.availableBytes("images"), undefined);
  assert.equal(unread.availableBytes("none"), undefined);
  assert.equal(ledgerOf({}, { active: false }).availableBytes("images"), undefined);
});

test("volumes of two pools on one storage count in what is available of both", () => {
  const ledger = new StorageLedger();
  const [a, b] = ["a", "b"].map((name) => pool(name, { sharedId: "local:/x" }));
  look(ledger, [a ?? assert.fail(), b ?? assert.fail()], { a: { one: 10 }, b: { two: 20 } });
  assert.deepEqual([ledger.availableBytes("a"), ledger.availableBytes("b")], [70 * GIB, 70 * GIB]);
});

test("the volumes of a pool are its last reading's, without those deleted since", () => {
  const ledger = ledgerOf({ one: 1, two: 2 });
  ledger.deleted([{ pool: "images", volume: "one" }], 5);
  look(ledger, [pool("images")], { images: "hangs" }, 9);
  assert.deepEqual([...(ledger.volumesOf("images")?.bytes ?? [])], [["two", 2 * GIB]]);
  assert.equal(ledger.volumesOf("none"), undefined);
});

test("changes of one volume promise the largest, and each releases only its own", () => {
  const ledger = ledgerOf({ disk: 10 });
  ledger.claim("resize", disk(60));
  ledger.claim("plan", disk(20));
  assert.equal(ledger.availableBytes("images"), 40 * GIB);
  ledger.release("plan");
  assert.equal(ledger.availableBytes("images"), 40 * GIB);
  ledger.release("resize");
  assert.equal(ledger.availableBytes("images"), 90 * GIB);
});
