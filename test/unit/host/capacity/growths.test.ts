import assert from "node:assert/strict";
import test from "node:test";
import { Ledger } from "../../../../agent/host/capacity/ledger.ts";
import type { Growth } from "../../../../agent/state/reservations/footprint.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";
import {
  cell,
  GIB,
  ledgerOf,
  MIB,
  on,
  refusal,
  row,
  seen,
  small,
} from "../../../support/host/ledger-stage.ts";

const vm = { ...small, tenant: "blue" };
const growth = (size: Omit<NonNullable<Growth["size"]>, "id">): Growth => ({
  tenant: "blue",
  volumes: [],
  diskBytes: 0,
  size: { id: vm.holder, ...size },
});
const available = (ledger: Ledger, resource: string, on = 0): number => row(ledger, on, resource).available;

test("a growth is claimed before the VM has it, and counted once when the VM shows it", () => {
  const { ledger } = ledgerOf([cell(0)]);
  ledger.setFootprints([seen(vm)], true);
  const free = { cpu: available(ledger, "cpu"), memory: available(ledger, "memory") };
  const grown = ledger.grow(growth({ vcpus: 4, memoryBytes: 3 * GIB }));
  // 2 GiB, their page tables, and 1 MiB for each vCPU.
  const after = [2, 2 * GIB + (2 * GIB) / 256 + 2 * MIB];
  const taken = (): number[] => [
    free.cpu - available(ledger, "cpu"),
    free.memory - available(ledger, "memory"),
  ];
  assert.deepEqual(taken(), after);
  grown.made();
  assert.deepEqual(taken(), after, "until the VM is seen with it");
  ledger.setFootprints([seen({ ...vm, vcpus: 4, memoryBytes: 3 * GIB })], true);
  assert.deepEqual(taken(), after);
  ledger.setFootprints([seen(vm)], true);
  assert.deepEqual(taken(), [0, 0], "the growth has ended");
});

test("a growth that is released, or never seen, is given back", () => {
  const { ledger, clock } = ledgerOf([cell(0)]);
  ledger.setFootprints([seen(vm)], true);
  const before = available(ledger, "cpu");
  ledger.grow(growth({ vcpus: 3 })).released();
  assert.equal(available(ledger, "cpu"), before);
  ledger.grow(growth({ vcpus: 3 })).made();
  assert.equal(available(ledger, "cpu"), before - 1);
  clock.advance(60_000);
  ledger.setFootprints([seen(vm)], true);
  assert.equal(available(ledger, "cpu"), before);
});

test("a growth beyond its cells is refused, and less than the VM has needs nothing", () => {
  const { ledger } = ledgerOf([cell(0), cell(1)]);
  ledger.setFootprints([seen({ ...vm, ...on(1) })], true);
  const refused = refusal(() => ledger.grow(growth({ vcpus: 5 })));
  assert.deepEqual([refused.reason, refused.details.metadata?.["dimension"]], ["NO_CAPACITY", "cpu"]);
  assert.equal(refused.details.metadata?.["free_cpu"], "2");
  assert.equal(refusal(() => ledger.grow(growth({ memoryBytes: 40 * GIB }))).reason, "NO_CAPACITY");
  assert.equal(available(ledger, "cpu", 1), 2);
  ledger.grow(growth({ vcpus: 1, memoryBytes: MIB }));
  ledger.grow(growth({ vcpus: 4 }));
  assert.equal(available(ledger, "cpu", 1), 0);
  // The growth of another VM is refused; an earlier agent's promise is kept.
  const other: Growth = { ...growth({}), size: { id: "vm-b", vcpus: 3 } };
  ledger.setFootprints(
    [seen({ ...vm, ...on(1) }), seen({ ...vm, holder: "vm-b", vcpus: 0, ...on(1) })],
    true,
  );
  assert.equal(refusal(() => ledger.grow(other)).reason, "NO_CAPACITY");
  ledger.regrow(other);
  assert.equal(available(ledger, "cpu", 1), -3);
});

function ledgerWithQuota(quota: Partial<Record<"vcpus" | "memoryBytes" | "diskBytes", number>>): Ledger {
  return new Ledger({
    policy: {
      reservedCpus: 0,
      reservedMemoryBytes: 0,
      cpuOvercommitRatio: 1,
      memoryOvercommitRatio: 1,
      dedicatedCpus: [],
    },
    scheduling: () => ({ state: "active", reason: "", sinceMs: 0 }),
    quotaOf: () => ({ vms: null, vcpus: null, memoryBytes: null, diskBytes: null, ...quota }),
    clock: new FakeClock(),
    changed: () => undefined,
  });
}

test("a growth counts in its tenant's quota", () => {
  const ledger = ledgerWithQuota({ vcpus: 3, memoryBytes: 2 * GIB });
  ledger.setCells([cell(0)]);
  ledger.setFootprints([{ ...seen(vm), tenant: "blue" }], true);
  assert.equal(refusal(() => ledger.grow(growth({ vcpus: 4 }))).reason, "TENANT_QUOTA_EXCEEDED");
  assert.equal(refusal(() => ledger.grow(growth({ memoryBytes: 3 * GIB }))).reason, "TENANT_QUOTA_EXCEEDED");
  ledger.grow(growth({ vcpus: 3 }));
  const { vcpus, vms } = ledger.tenantUse().get("blue") ?? { vcpus: 0, vms: 0 };
  assert.deepEqual([vcpus, vms], [3, 1]);
});

test("a tenant's volume grows within the tenant's quota, also in a VM of another tenant or the provider", () => {
  const ledger = ledgerWithQuota({ diskBytes: 10 * GIB });
  const pool = { name: "images", type: "dir", active: true, presence: "present", observedAtMs: 0 } as const;
  ledger.setStorage({
    pools: new Map([["images", { ...pool, capacityBytes: 100 * GIB }]]),
    volumes: new Map([["images", { kind: "read", value: { bytes: new Map() } }]]),
    startedAtMs: 0,
  });
  const volumes = (gib: number) => [
    { pool: "images", volume: "socle-volume-blue+data.raw", capacityBytes: gib * GIB },
  ];
  for (const tenant of ["", "red", "blue"]) {
    const refused = refusal(() => ledger.grow({ tenant, volumes: volumes(11), diskBytes: 0 }));
    assert.deepEqual([refused.reason, /blue/.test(refused.message)], ["TENANT_QUOTA_EXCEEDED", true], tenant);
    ledger.grow({ tenant, volumes: volumes(10), diskBytes: 0 }).released();
  }
});

test("a VM in huge pages grows by huge pages, and a pinned VM on the CPUs that it shares", () => {
  const pages = [{ sizeBytes: 2 * MIB, total: 1024, free: 1024 }];
  const { ledger } = ledgerOf([cell(0, { pages }), cell(1)]);
  const pinned = {
    hugepageBytes: 2 * MIB,
    vcpuPins: [
      [4, 5],
      [4, 5],
    ],
  };
  ledger.setCells([cell(0, { pages }), cell(1, { cpus: [4, 5, 6, 7] })]);
  ledger.setFootprints([{ ...seen({ ...vm, ...on(0) }), ...pinned }], true);
  assert.equal(
    refusal(() => ledger.grow(growth({ memoryBytes: 3 * GIB }))).details.metadata?.["dimension"],
    "memory_2m",
  );
  ledger.grow(growth({ memoryBytes: 2 * GIB, vcpus: 4 }));
  assert.equal(available(ledger, "memory_2m"), 0);
  assert.deepEqual([available(ledger, "cpu", 0), available(ledger, "cpu", 1)], [4, 0]);
});
