import assert from "node:assert/strict";
import test from "node:test";
import { anywhere, type PlacementRequest } from "../../../../agent/contract/spec.ts";
import type { HostDevice, HostDevices } from "../../../../agent/host/capacity/device-capacity.ts";
import type { Growth } from "../../../../agent/state/reservations/footprint.ts";
import { cell, GIB, ledgerOf, refusal, seen, small } from "../../../support/host/ledger-stage.ts";

const vm = { ...small, tenant: "blue" };
const [NEAR, FAR, SOUND] = ["0000:3b:00.0", "0000:af:00.0", "0000:af:00.1"] as const;
const device = (address: string, parts: Partial<HostDevice> = {}): HostDevice => ({
  ...{ address, alias: "gpu", iommuGroup: 1, group: [address], healthy: true },
  ...parts,
});
const offered = [
  device(NEAR, { cell: 0 }),
  device(FAR, { cell: 1, group: [FAR, SOUND] }),
  device(SOUND, { alias: "sound", cell: 1, group: [FAR, SOUND] }),
];
const withheld: HostDevices["withheld"] = [
  { address: "0000:5e:00.0", alias: "disk", cause: "host_driver", why: "the host uses it" },
];
const growth = (...devices: string[]): Growth => ({
  ...{ tenant: "blue", volumes: [], diskBytes: 0 },
  size: { id: vm.holder, devices },
});

function stage() {
  const { ledger, clock } = ledgerOf([cell(0), cell(1)]);
  ledger.setDevices(offered, withheld);
  ledger.setFootprints([seen(vm)], true);
  const place = (
    name: string,
    request: Partial<PlacementRequest> = {},
    cells: number[] = [],
    vmId = vm.holder,
  ) => ledger.placeDevice({ vmId, device: name, placementRequest: { ...anywhere, ...request }, cells });
  const states = () => ledger.capacity.devices.map(({ state, holder = "" }) => `${state} ${holder}`.trim());
  const create = (name: string) => {
    const placementRequest = { ...anywhere, devices: [name] };
    return ledger.claim({ holder: "other", vcpus: 1, memoryBytes: GIB, placementRequest });
  };
  return { ledger, clock, place, states, create };
}

test("a device of a change is its VM's from the claim on, and of one VM alone", () => {
  const { ledger, place, states, create } = stage();
  const grown = ledger.grow(growth(place("gpu")));
  const mine = `claimed ${vm.holder}`;
  assert.deepEqual(states(), [mine, "free", "free"]);
  for (const again of [() => place(NEAR), () => ledger.grow(growth(NEAR)), () => create(NEAR)])
    assert.equal(refusal(again).reason, "NO_CAPACITY");
  assert.deepEqual(create("gpu").placement.devices, [FAR], "another VM gets another one");
  grown.released();
  assert.deepEqual(states(), ["free", "claimed other", "claimed other"]);
});

test("a device is counted once, and until its VM is seen without it", () => {
  const { ledger, clock, states } = stage();
  const mine = `allocated ${vm.holder}`;
  ledger.grow(growth(NEAR)).made();
  assert.equal(states()[0], `claimed ${vm.holder}`);
  ledger.setFootprints([{ ...seen(vm), devices: [NEAR] }], true);
  assert.equal(states()[0], mine);
  ledger.setFootprints([seen(vm)], true);
  assert.equal(states()[0], "free");
  const seenWith = { ...seen(vm), devices: [NEAR] };
  ledger.setFootprints([seenWith], true);
  ledger.regrow(growth(NEAR)).made();
  ledger.setFootprints([seen(vm)], true);
  assert.equal(states()[0], "free", "the VM had shown it before the change ended");
  const before = seen(vm);
  ledger.setFootprints([before], true);
  ledger.grow(growth(NEAR)).made();
  clock.advance(3_600_000);
  ledger.setFootprints([before], true);
  assert.equal(states()[0], `claimed ${vm.holder}`, "a guest that hangs shows nothing, and may have it");
  ledger.setFootprints([], true);
  assert.equal(states()[0], "free", "the VM is gone");
});

test("a claim of an earlier agent holds its device, also before the VM is listed again", () => {
  const { ledger, states, create } = stage();
  ledger.setFootprints([], false);
  ledger.regrow(growth(FAR));
  assert.deepEqual(states(), ["free", `claimed ${vm.holder}`, `claimed ${vm.holder}`]);
  assert.equal(refusal(() => create(SOUND)).reason, "NO_CAPACITY");
});

test("the rest of an IOMMU group is free to the VM that holds it, and to no other", () => {
  const { ledger, place } = stage();
  ledger.setFootprints([{ ...seen(vm), devices: [FAR] }], true);
  assert.equal(place("sound"), SOUND);
  assert.equal(refusal(() => place("sound", {}, [], "other")).reason, "NO_CAPACITY");
  assert.equal(refusal(() => place(FAR)).reason, "NO_CAPACITY", "it has that one already");
  ledger.setDevices(offered.map((each) => (each.address === SOUND ? { ...each, healthy: false } : each)));
  assert.match(refusal(() => place("sound")).message, /unhealthy/);
});

test("a device is near the VM where possible, and with a strict cell policy nowhere else", () => {
  const { place } = stage();
  assert.equal(place("gpu", {}, [1]), FAR);
  assert.equal(place("gpu", {}, [0]), NEAR);
  assert.equal(place("sound", {}, [0]), SOUND);
  const refused = refusal(() => place("sound", { cellPolicy: "strict" }, [0]));
  assert.deepEqual([refused.reason, refused.details.metadata?.["dimension"]], ["NO_CAPACITY", "device"]);
  assert.match(refused.message, /cell 0/);
});

test("a device that no VM can have is refused with the cause, by address and alias", () => {
  const { place, create } = stage();
  for (const name of ["0000:5e:00.0", "disk"])
    for (const ask of [() => place(name), () => create(name)]) {
      const { kind, reason, message, details } = refusal(ask);
      assert.deepEqual(
        [kind, reason, details.metadata?.["cause"]],
        ["conflict", "DEVICE_NOT_ASSIGNABLE", "host_driver"],
      );
      assert.match(message, /the host uses it/);
    }
  assert.equal(refusal(() => place("tape0")).reason, "NO_SUCH_DEVICE");
});
