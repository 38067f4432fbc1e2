// Which volumes a new VM may have, of those in use and those without a user.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import type { VmSpec } from "../../../../agent/contract/spec.ts";
import { imageKey } from "../../../../agent/state/operations/subject.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import type { Vm, VmDisk } from "../../../../agent/vm/model/vm.ts";
import { sourceDisk } from "../../../../agent/vm/operations/volume-source.ts";
import { noOtherNames } from "../../../../agent/vm/storage/storage-names.ts";
import { lookAt } from "../../../../agent/vm/storage/volume-look.ts";
import {
  requireDisksFree,
  requireNotAttached,
  requireUsable,
  type Users,
} from "../../../../agent/vm/storage/volume-users.ts";
import type { ResolvedVolume } from "../../../../agent/vm/storage/volumes.ts";
import { anyRawFiles } from "../../../support/vm/raw-files.ts";

/** Properties that one check reads of one user of volumes, on average. */
const MOST_READS = 8;

const RED = "aaaaaaaa-0000-4000-8000-000000000000";
const EVIL = "bbbbbbbb-0000-4000-8000-000000000000";
const GONE = "cccccccc-0000-4000-8000-000000000000";

const specOf = (id: string, tenant: string, more: object): VmSpec =>
  checkSpec(
    { name: `vm-${id.slice(0, 4)}`, id, tenant, vcpus: 1, memoryBytes: 2 ** 25, ...more },
    { bridges: [], allowSpoofing: false },
  );
const attached = (volume: string, readOnly = false): object => ({
  disks: [{ name: "a", source: { kind: "volume", volume: { pool: "images", volume } }, readOnly }],
});
const over = (baseVolume: string): object => ({
  disks: [{ name: "a", source: { kind: "new", pool: "images", baseVolume } }],
});
const booted = (volume: string): object => ({ kernelBoot: { kernel: { pool: "images", volume } } });
const vmOf = (spec: VmSpec, disks: readonly VmDisk[] = []): Vm =>
  withEtag({
    ...{ id: spec.id, name: spec.name, presence: "present", observedAtMs: 1, state: "stopped" },
    ...{ stateReason: "", managed: true, vcpus: 1, memoryBytes: 1, cells: [], labels: {}, placementEpoch: 0 },
    ...{ tenant: spec.tenant, spec, disks, nics: [] },
  });
const foreign = (disk: Omit<VmDisk, "device">): Vm => {
  const { spec: _, ...vm } = vmOf(specOf(GONE, "", booted("k")), [{ device: "vda", ...disk }]);
  return withEtag({ ...vm, name: "foreign", managed: false });
};

const golden = { pool: "images", volume: "golden.img" };
const disk0 = `socle-${RED}-a.qcow2`;
const writer = vmOf(specOf(RED, "red", attached("b1.img")));
const reader = vmOf(specOf(RED, "red", attached("iso.img", true)));
const overlay = vmOf(specOf(RED, "red", over("base.qcow2")));

const at = (path: string, ...beneath: string[]): ResolvedVolume => ({
  path,
  format: "raw",
  capacityBytes: 1,
  beneath: beneath.map((name) => ({ name, path: `/p/${name}` })),
});

/** The outcome for a VM of the tenant "evil" with this request, beside those users. */
function outcomeOf(
  more: object,
  vms: readonly Vm[],
  options: { tenantOnly?: boolean; creations?: Users["creations"]; tenant?: string } = {},
): string {
  const { tenantOnly = false, creations = [], tenant = "evil" } = options;
  try {
    requireUsable(specOf(EVIL, tenant, more), { vms, creations }, tenantOnly);
    return "may";
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError);
    if (tenantOnly && thrown.kind === "denied") assert.doesNotMatch(thrown.message, /vm-aaaa|foreign/);
    return `${thrown.reason}: ${thrown.message}`;
  }
}

test("a volume that another VM writes to is refused with that VM's name, also while it is stopped", () => {
  for (const more of [attached("b1.img"), attached("b1.img", true), over("b1.img"), booted("b1.img")])
    assert.match(
      outcomeOf(more, [writer]),
      /^VOLUME_IN_USE: the volume images\/b1\.img is in use by VM vm-aaaa, /,
    );
  for (const more of [attached(disk0), over(disk0)])
    assert.match(outcomeOf(more, [overlay]), /^VOLUME_IN_USE: .* VM vm-aaaa, /);
  const { spec } = writer;
  assert.match(
    outcomeOf(attached("b1.img"), [], { creations: spec === undefined ? [] : [spec] }),
    /^VOLUME_IN_USE: .* VM vm-aaaa \(being created\)/,
  );
  assert.equal(outcomeOf(attached("b2.img"), [writer]), "may");
});

test("VMs share a volume that all of them read, and none of them writes to it", () => {
  for (const more of [attached("iso.img", true), over("iso.img"), booted("iso.img")])
    assert.equal(outcomeOf(more, [reader]), "may");
  assert.equal(outcomeOf(over("base.qcow2"), [overlay]), "may");
  assert.match(outcomeOf(attached("iso.img"), [reader]), /^VOLUME_IN_USE: .* attach it read-only/);
  assert.match(outcomeOf(attached("base.qcow2"), [overlay]), /^VOLUME_IN_USE/);
});

test("a volume that an import reads is refused to VMs, and the import is shown only to those that may have it", () => {
  const creations = [
    { ...{ id: imageKey(GONE), name: "i", tenant: "", nics: [] }, disks: [sourceDisk(golden)] },
  ];
  for (const more of [
    attached("golden.img"),
    attached("golden.img", true),
    over("golden.img"),
    booted("golden.img"),
  ])
    assert.equal(
      outcomeOf(more, [], { creations }),
      "VOLUME_IN_USE: the volume images/golden.img is in use, an import reads it: wait for its end, or cancel it",
    );
  assert.equal(outcomeOf(attached("b1.img"), [], { creations }), "may");
  const ofTenant = { creations, tenantOnly: true };
  assert.match(
    outcomeOf(attached("golden.img", true), [], ofTenant),
    /^VOLUME_IN_USE: .* an import reads it/,
  );
  assert.match(outcomeOf(attached("golden.img"), [], ofTenant), /^VOLUME_DENIED: (?!.*import)/);
});

test("a tenant's caller is denied a volume of another tenant's VM without its name", () => {
  const only = { tenantOnly: true };
  for (const more of [attached("b1.img"), attached("b1.img", true), over("b1.img"), booted("b1.img")])
    assert.match(outcomeOf(more, [writer], only), /^VOLUME_DENIED/);
  assert.match(outcomeOf(attached("iso.img"), [reader], only), /^VOLUME_DENIED/);
  assert.match(outcomeOf(attached(disk0), [overlay], only), /^VOLUME_DENIED/);
  assert.match(outcomeOf(over(disk0), [overlay], only), /^VOLUME_DENIED/);
  const inUse = outcomeOf(attached("b1.img"), [writer], { tenantOnly: true, tenant: "red" });
  assert.match(inUse, /^VOLUME_IN_USE/);
  // Without its VM the caller could not use the disk any more.
  assert.doesNotMatch(inUse, /keep_disks/);
  assert.match(outcomeOf(attached("b1.img"), [writer]), /keep_disks/);
});

test("a volume made for a tenant is for its VMs and the provider's, also to write and without a VM that has it", () => {
  const volume = "socle-volume-red+data.qcow2";
  for (const more of [attached(volume), attached(volume, true), over(volume), booted(volume)])
    for (const tenantOnly of [true, false]) {
      assert.match(outcomeOf(more, [], { tenantOnly }), /^VOLUME_DENIED/);
      assert.equal(outcomeOf(more, [], { tenantOnly, tenant: "red" }), "may");
      // Another tenant learns no user of it.
      const used = vmOf(specOf(RED, "red", attached(volume)));
      assert.match(outcomeOf(more, [used], { tenantOnly }), /^VOLUME_DENIED: .* made for another tenant/);
    }
  assert.equal(outcomeOf(attached(volume), [], { tenant: "" }), "may");
});

test("a VM's seed is its tenant's alone to read, and no VM may write to it", () => {
  const seeded = vmOf(specOf(GONE, "red", { ...over("base.qcow2"), cloudInit: { pool: "images" } }));
  const seed = `socle-${GONE}-seed.iso`;
  for (const more of [attached(seed), attached(seed, true), booted(seed)]) {
    assert.match(outcomeOf(more, [seeded], { tenantOnly: true }), /^VOLUME_DENIED/);
    assert.match(outcomeOf(more, [], { tenantOnly: true }), /^VOLUME_DENIED/);
  }
  assert.equal(outcomeOf(attached(seed, true), [seeded], { tenantOnly: true, tenant: "red" }), "may");
  assert.match(outcomeOf(attached(seed), [seeded]), /^VOLUME_IN_USE/);
});

test("a tenant's caller may read an unused volume, but not write it, nor use a removed VM's disk", () => {
  const only = { tenantOnly: true };
  assert.match(outcomeOf(attached("free.img"), [], only), /^VOLUME_DENIED: .* read-only/);
  for (const more of [attached("free.img", true), over("free.img"), booted("free.img")])
    assert.equal(outcomeOf(more, [], only), "may");
  const left = `socle-${GONE}-a.qcow2`;
  for (const more of [attached(left), attached(left, true), over(left)])
    assert.match(outcomeOf(more, [], only), /^VOLUME_DENIED/);
  // A VM of the same tenant with the removed id does not own its disks.
  const successor = vmOf(
    specOf(GONE, "evil", {
      disks: [{ name: "b", source: { kind: "new", pool: "images", capacityBytes: 1 } }],
    }),
  );
  for (const more of [attached(left), attached(left, true), over(left)])
    assert.match(outcomeOf(more, [successor], only), /^VOLUME_DENIED: .* not yours or no longer exists$/);
  // Nor does a VM in creation with that id that requests new disks with the same names, and is about to be
  // refused.
  const source = { kind: "new", pool: "images", capacityBytes: 1 };
  const claimant = specOf(GONE, "evil", { disks: [{ name: "a", source, readOnly: true }] });
  for (const more of [attached(left, true), over(left)])
    assert.match(outcomeOf(more, [], { ...only, creations: [claimant] }), /^VOLUME_DENIED/);
  assert.equal(outcomeOf(attached(left), []), "may");
});

test("volumes are matched by path and backing image too, as in unmanaged VMs", async () => {
  const check = async (
    more: object,
    image: ResolvedVolume,
    vms: readonly Vm[],
    { tenantOnly = false, overlays = [] as { pool: string; volume: string }[] } = {},
  ): Promise<string> => {
    const spec = specOf(EVIL, "evil", more);
    const volumes = {
      resolve: () => Promise.resolve(image),
      dependents: () => Promise.resolve({ paths: [], overlays, backings: [] }),
      rawFiles: anyRawFiles,
    };
    try {
      requireUsable(spec, { vms, creations: [] }, tenantOnly, await lookAt(volumes, spec));
      return "may";
    } catch (thrown) {
      return thrown instanceof SocleError ? `${thrown.reason}: ${thrown.message}` : String(thrown);
    }
  };
  const raw = foreign({ path: "/p/b1.img" });
  assert.match(
    await check(attached("b1.img", true), at("/p/b1.img"), [raw]),
    /^VOLUME_IN_USE: .* VM foreign/,
  );
  const denied = await check(over("b1.img"), at("/p/b1.img"), [raw], { tenantOnly: true });
  assert.match(denied, /^VOLUME_DENIED: .* images\/b1\.img is in use by a VM that is not yours/);
  assert.doesNotMatch(denied, /\/p\//);
  assert.match(await check(over("x.qcow2"), at("/p/x.qcow2", "b1.img"), [raw]), /^VOLUME_IN_USE/);
  assert.match(await check(over("x.qcow2"), at("/p/x.qcow2", "b1.img"), [writer]), /^VOLUME_IN_USE/);
  const cdrom = foreign({ path: "/p/b1.img", readOnly: true });
  assert.equal(await check(attached("b1.img", true), at("/p/b1.img"), [cdrom]), "may");
  assert.match(await check(attached("b1.img"), at("/p/b1.img"), [cdrom]), /^VOLUME_IN_USE/);
  const byVolume = foreign({ volume: { pool: "images", volume: "b1.img" } });
  assert.match(outcomeOf(attached("b1.img"), [byVolume]), /^VOLUME_IN_USE/);
  const overlays = [{ pool: "images", volume: "kept.qcow2" }];
  assert.match(
    await check(attached("b1.img"), at("/p/b1.img"), [], { overlays }),
    /^VOLUME_IN_USE: .* volume kept\.qcow2, an overlay of it/,
  );
});

test("a VM is not started while a running guest has its disk open", async () => {
  const names = { of: () => Promise.resolve(noOtherNames) };
  const path = "/p/b1.img";
  const mine = vmOf(specOf(RED, "red", attached("b1.img")), [{ device: "vda", path }]);
  await requireDisksFree(mine, [mine], names);
  await assert.rejects(requireDisksFree(mine, [mine, foreign({ path })], names), {
    reason: "VOLUME_IN_USE",
    message: /^the volume \S+ is in use by VM foreign, which writes to it: stop that one first$/,
  });
});

test("a VM has a volume that it writes to only once", () => {
  const twice = (readOnly: boolean): object => {
    const source = { kind: "volume", volume: { pool: "images", volume: "b1.img" } };
    return { disks: ["a", "b"].map((name) => ({ name, source, readOnly })) };
  };
  assert.throws(() => specOf(EVIL, "", twice(false)), {
    reason: "SPEC_INVALID",
    message: /^spec\.disks\[1\] /,
  });
  specOf(EVIL, "", twice(true));
  const made = { name: "made", source: { kind: "new", pool: "images", capacityBytes: 1 } };
  const named = {
    name: "named",
    source: { kind: "volume", volume: { pool: "images", volume: "undefined" } },
  };
  specOf(EVIL, "", { disks: [made, named] });
});

test("the users of a volume are found in one pass over VMs and creations that reads their disks once", () => {
  let reads = { disks: 0, others: 0 };
  const counted = <T extends object>(of: T): T =>
    new Proxy(of, {
      get: (target, name, receiver) => {
        reads[name === "disks" ? "disks" : "others"] += 1;
        return Reflect.get(target, name, receiver) as unknown;
      },
    });
  const creations = Array.from({ length: 10_000 }, (_, index) =>
    counted(specOf(`dddddddd-0000-4000-8000-${String(index).padStart(12, "0")}`, "red", over("base.qcow2"))),
  );
  const vms = Array.from({ length: 1000 }, () => counted(overlay));
  const look = (): typeof reads => {
    reads = { disks: 0, others: 0 };
    assert.equal(outcomeOf(over("base.qcow2"), vms, { creations, tenantOnly: true }), "may");
    return reads;
  };
  const users = creations.length + vms.length;
  const [first, second] = [look(), look()];
  assert.ok(first.disks + first.others <= MOST_READS * users, JSON.stringify(first));
  // The disks of a spec do not change; those of an existing VM do.
  assert.ok(second.disks <= MOST_READS * vms.length, JSON.stringify(second));
  assert.ok(second.others <= MOST_READS * users, JSON.stringify(second));
});

test("a VM gets no second disk with the storage of another one, unless it only reads both", () => {
  const vm = vmOf(specOf(RED, "red", attached("b1.img")), [{ device: "vda", path: "/p/b1.img" }]);
  const add = (more: object, path: string): void =>
    requireNotAttached(
      specOf(RED, "red", more),
      { vms: [vm], creations: [] },
      {
        places: [{ at: path, role: "disk", writes: false }],
      },
    );
  assert.throws(() => add(attached("other.img", true), "/p/b1.img"), {
    reason: "VOLUME_IN_USE",
    message: "the volume /p/b1.img is in use by VM vm-aaaa, as another of its disks: name another volume",
  });
  add(attached("other.img"), "/p/other.img");
  const cdrom = vmOf(specOf(RED, "red", attached("iso.img", true)), []);
  requireNotAttached(
    specOf(RED, "red", attached("iso.img", true)),
    { vms: [cdrom], creations: [] },
    { places: [] },
  );
  // Other VMs are not looked at.
  const theirs = { vms: [foreign({ path: "/p/b2.img" })], creations: [] };
  requireNotAttached(specOf(RED, "red", attached("b2.img")), theirs, {
    places: [{ at: "/p/b2.img", role: "disk", writes: true }],
  });
});
