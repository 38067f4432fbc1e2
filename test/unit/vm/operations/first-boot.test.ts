import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { GuestKeys } from "../../../../agent/vm/keys/guest-keys.ts";
import { KeyWrap } from "../../../../agent/vm/keys/key-wrap.ts";
import { erasureOf } from "../../../../agent/vm/operations/erasure.ts";
import { Creations, sizeOf } from "../../../../agent/vm/operations/creations.ts";
import { holdSeed } from "../../../../agent/vm/operations/first-boot.ts";
import { newDiskBytes, ownVolumes, SEED_BYTES, vmOfVolume } from "../../../../agent/vm/model/volume-names.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { unbound } from "../../../../agent/state/reservations/placement.ts";
import { folder } from "../../../support/state/folder.ts";
import { admission } from "../../../support/vm/admission-stage.ts";
import { answering } from "../../../support/vm/libvirt-answers.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const secrets = { userData: "#cloud-config\npassword: hunter2\n" };
const cloudInit = { pool: "images" };
const MIB = 1024 * 1024;
const specOf = (tenant: string, more: object = {}) => {
  const kernelBoot = { kernel: { pool: "images", volume: "vmlinuz" } };
  const size = { vcpus: 1, memoryBytes: MIB };
  const asked = { name: "web", id: ID, tenant, ...size, kernelBoot, cloudInit, ...more };
  return checkSpec(asked, { bridges: [], allowSpoofing: false });
};

async function keysWith(t: TestContext, mode?: number): Promise<GuestKeys> {
  const file = join(await folder(t), "volume.key");
  if (mode !== undefined) await writeFile(file, randomBytes(32), { mode });
  return new GuestKeys(answering({}).calls, systemClock, new KeyWrap({ file, environment: {} }));
}

test("with a volume key the secret parts wait sealed, for their VM alone", async (t) => {
  const keys = await keysWith(t, 0o600);
  const held = await holdSeed(keys, ID, secrets);
  assert.equal(held?.form, "sealed");
  assert.doesNotMatch(JSON.stringify(held), /hunter2/);
  assert.deepEqual(JSON.parse(await keys.unseal(held.text, `socle seed 1 ${ID}`)), secrets);
  await assert.rejects(keys.unseal(held.text, `socle seed 1 ${ID.replace("6", "7")}`), {
    reason: "SEALED_KEY_DAMAGED",
  });
  assert.equal(await holdSeed(keys, ID, {}), undefined);
});

test("without a volume key they wait as they are, and an unusable key is reported", async (t) => {
  assert.deepEqual(await holdSeed(await keysWith(t), ID, secrets), {
    form: "plain",
    text: JSON.stringify(secrets),
  });
  await assert.rejects(holdSeed(await keysWith(t, 0o644), ID, secrets), { reason: "VOLUME_KEY_UNUSABLE" });
});

test("an admitted creation keeps its seed's secret parts in its intent over a restart, apart from the spec", async (t) => {
  const directory = await folder(t);
  const before = await admission(t, { directory });
  const { id } = await before.create({ cloudInit }, { seed: secrets });
  await before.operations.drain(0);
  const { operations } = await admission(t, { directory });
  const { spec, seed } = operations.get(id).intent as { spec: object; seed: { text: string } };
  assert.deepEqual(JSON.parse(seed.text), secrets);
  assert.doesNotMatch(JSON.stringify(spec), /hunter2/);
});

test("a request with other secret parts under the same id is another request", async (t) => {
  const { create } = await admission(t);
  const same = { name: "web", cloudInit };
  const first = await create(same, { requestId: "r", seed: secrets });
  assert.equal((await create(same, { requestId: "r", seed: secrets })).id, first.id);
  await assert.rejects(create(same, { requestId: "r", seed: { userData: "#!/bin/sh" } }), {
    reason: "REQUEST_ID_REUSED",
  });
});

test("user data that waits in creations is bounded for each tenant, and leaves room for others", async (t) => {
  const { create } = await admission(t);
  // JSON makes six bytes of each.
  const seed = { userData: "\u0001".repeat(64 * 1024) };
  const make = (tenant: string) => create({ tenant, memoryBytes: 1 << 20, cloudInit }, { seed });
  let begun = 0;
  const fill = async (): Promise<void> => {
    for (; ; begun += 1) await make("acme");
  };
  await assert.rejects(fill(), { reason: "TOO_MANY_OPERATIONS", message: /of the tenant acme/ });
  assert.equal(begun, 10);
  await make("other");
  await make("");
  await create({ tenant: "acme", memoryBytes: 1 << 20, cloudInit });
});

test("a creation that has ended makes room for the user data of others, one of unknown outcome does not", () => {
  const room = { begun: () => Promise.resolve(), consume: () => undefined, release: () => undefined };
  const creations = new Creations({
    host: { reclaim: () => ({ ...room, placement: unbound }) },
    table: { get: () => undefined },
  });
  const take = (tenant: string) => creations.take(specOf(tenant), { ...room, placement: unbound }, 4 * MIB);
  const isFull = (tenant: string): boolean => {
    try {
      creations.seedRoom.require(tenant, 1);
      return false;
    } catch {
      return true;
    }
  };
  for (const how of ["made", "not made", "unknown"] as const) {
    const tenant = how.replace(" ", "-");
    const taken = take(tenant);
    assert.ok(isFull(tenant));
    taken.ended(how);
    assert.equal(isFull(tenant), how === "unknown");
  }
  assert.ok(!isFull("another"));
  for (let tenants = 0; tenants < 7; tenants += 1) take(`t${tenants}`);
  assert.ok(isFull("another") && isFull(""));
});

test("the seed volume is the VM's own: claimed, counted, deleted and erased with it", () => {
  const disks = [
    { name: "seed", source: { kind: "new", pool: "images", capacityBytes: MIB, format: "raw" } },
  ];
  const spec = specOf("", { disks });
  const seed = { pool: "images", volume: `socle-${ID}-seed.iso` };
  // A disk may have any name.
  assert.deepEqual(ownVolumes(spec), [{ pool: "images", volume: `socle-${ID}-seed.raw` }, seed]);
  assert.equal(vmOfVolume(seed.volume), ID);
  assert.deepEqual(sizeOf(spec, "tcg").volumes.at(-1), { ...seed, capacityBytes: SEED_BYTES });
  assert.equal(newDiskBytes(spec), MIB + SEED_BYTES);
  assert.deepEqual(erasureOf(spec).disks.at(-1), { disk: "seed", volume: seed, encrypted: false });
});
