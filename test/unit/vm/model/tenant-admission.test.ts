// What callers of one tenant may request, and what all VMs of a tenant may take.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { anywhere } from "../../../../agent/contract/spec.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import { admission, GIB } from "../../../support/vm/admission-stage.ts";

const OWN = "00000000-0000-4000-8000-000000000009";
const scoped = { tenantOnly: true };
const nic = (more: object = {}) => ({
  nics: [{ name: "net", source: { kind: "network", network: "acme-net" }, ...more }],
});

/** The error's kind, reason and metadata; "taken" without an error. */
async function outcome(created: Promise<unknown>): Promise<[string, string?, unknown?]> {
  try {
    await created;
    return ["taken"];
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError, String(thrown));
    return [thrown.kind, thrown.reason, thrown.details.metadata ?? {}];
  }
}
const reason = async (created: Promise<unknown>): Promise<string> => {
  const [kind, why] = await outcome(created);
  return why === undefined ? kind : `${kind} ${why}`;
};

test("a tenant's caller is denied what its tenant is not allowed; an unscoped caller is not", async (t) => {
  const { create } = await admission(t);
  const requested: [string, Record<string, unknown>][] = [
    ["NETWORK_NOT_ALLOWED", nic()],
    ["NETWORK_NOT_ALLOWED", { nics: [{ name: "net", source: { kind: "bridge", bridge: "br0" } }] }],
    ["DEVICE_NOT_ALLOWED", { placement: { devices: ["gpu"] } }],
    ["HUGE_PAGES_NOT_ALLOWED", { placement: { pageSizeBytes: 2 * 1024 ** 2 } }],
    ["DEDICATED_CPUS_NOT_ALLOWED", { placement: { dedicatedCpus: true } }],
  ];
  for (const [why, spec] of requested) {
    assert.equal(await reason(create(spec, scoped)), `denied ${why}`);
    assert.equal(await reason(create(spec, { ...scoped, validateOnly: true })), `denied ${why}`);
    // It may fail because such a device is missing, but it is not denied.
    assert.doesNotMatch(await reason(create(spec)), /^denied/);
  }
  assert.equal(await reason(create({}, scoped)), "taken");
});

test("a tenant's caller may use only addresses in its tenant's ranges", async (t) => {
  const { create } = await admission(t, {
    permissions: {
      networks: ["acme-net"],
      macAddresses: ["52:54:00:aa", "52:54:00:01:02:03"],
      addresses: ["10.1.0.0/24", "fd00:1::/64", "192.0.2.7"],
    },
  });
  const own = { allowedAddresses: ["10.1.0.9"] };
  const allowed = [
    { ...own, mac: "52:54:00:aa:00:01" },
    { ...own, mac: "52:54:00:01:02:03" },
    { allowedAddresses: ["10.1.0.9", "fd00:1::9", "192.0.2.7"] },
  ];
  for (const requested of allowed) assert.equal(await reason(create(nic(requested), scoped)), "taken");
  assert.deepEqual(await outcome(create(nic({ mac: "52:54:00:ab:00:01" }), scoped)), [
    "denied",
    "MAC_NOT_ALLOWED",
    { tenant: "acme", nic: "net", mac: "52:54:00:ab:00:01" },
  ]);
  for (const address of ["10.1.1.9", "192.0.2.8", "fd00:2::9", "::ffff:10.9.9.9"])
    assert.deepEqual(await outcome(create(nic({ allowedAddresses: [address] }), scoped)), [
      "denied",
      "ADDRESS_NOT_ALLOWED",
      { tenant: "acme", nic: "net", address },
    ]);
  assert.equal(await reason(create(nic({ allowSpoofing: true }), scoped)), "denied SPOOFING_NOT_ALLOWED");
  assert.equal(
    await reason(create(nic(), scoped)),
    "denied ADDRESS_REQUIRED",
    "the guest would choose its address",
  );
});

test("a tenant without addresses needs learnedAddresses for a NIC whose guest chooses its address", async (t) => {
  const networks = ["acme-net"];
  const { create } = await admission(t, { permissions: { networks } });
  assert.equal(await reason(create(nic(), scoped)), "denied ADDRESS_REQUIRED");
  assert.equal(await reason(create(nic())), "taken", "an unscoped caller is trusted with it");
  const learned = await admission(t, { permissions: { networks, learnedAddresses: true } });
  assert.equal(await reason(learned.create(nic(), scoped)), "taken");
});

test("a MAC address belongs to one NIC on the host, for every caller, also during creation", async (t) => {
  const { create, table } = await admission(t);
  const mac = "52:54:00:00:00:01";
  const mine = { tenant: "acme" };
  await create({ ...nic({ mac }), tenant: "evil" });
  assert.equal(await reason(create(nic({ mac }))), "conflict MAC_IN_USE");
  const foreign = withEtag({
    ...{ id: "00000000-0000-4000-8000-000000000001", name: "by-hand", presence: "present", observedAtMs: 1 },
    ...{ state: "running", stateReason: "", managed: false, vcpus: 1, memoryBytes: 1, cells: [] },
    ...{ labels: {}, placementEpoch: 0, tenant: "", disks: [], nics: [{ mac: "52:54:00:00:00:02" }] },
  });
  table.put(foreign);
  const [, , metadata] = await outcome(create(nic({ mac: "52:54:00:00:00:02" })));
  assert.deepEqual(metadata, { mac: "52:54:00:00:00:02", users: foreign.id });
  const pair = [
    { name: "a", source: { kind: "network", network: "n" }, mac: "52:54:00:00:00:03" },
    { name: "b", source: { kind: "network", network: "m" }, mac: "52:54:00:00:00:03" },
  ];
  assert.equal(await reason(create({ nics: pair, ...mine })), "conflict MAC_IN_USE");
  assert.equal(await reason(create({ ...nic({ mac: "52:54:00:00:00:04" }), ...mine })), "taken");
});

test("a filter address belongs to one tenant per network, and another tenant's caller does not see which", async (t) => {
  const { create } = await admission(t, {
    permissions: { networks: ["acme-net", "other"], addresses: ["10.0.0.0/8", "fd00::/8"] },
  });
  const at = (address: string, network = "acme-net") =>
    nic({ allowedAddresses: [address], source: { kind: "network", network } });
  await create({ ...at("10.1.0.1"), tenant: "evil" });
  await create({ ...at("fd00::1"), tenant: "evil" });
  assert.deepEqual(await outcome(create(at("10.1.0.1"), scoped)), [
    "conflict",
    "ADDRESS_IN_USE",
    { address: "10.1.0.1" },
  ]);
  assert.equal(await reason(create(at("fd00:0:0::1"), scoped)), "conflict ADDRESS_IN_USE");
  assert.equal(await reason(create(at("10.1.0.1", "other"), scoped)), "taken");
  assert.equal(await reason(create({ ...at("10.1.0.1"), tenant: "evil" })), "taken");
});

const disk = (capacityBytes: number) => ({
  disks: [{ name: "d", source: { kind: "new", pool: "images", capacityBytes } }],
});

test("a tenant's quota binds every caller, and its refusal names the dimension", async (t) => {
  for (const [dimension, quota, spec, used, requested] of [
    ["vms", { vms: 1 }, {}, 1, 1],
    ["vcpus", { vcpus: 4 }, { vcpus: 3 }, 3, 3],
    ["memory", { memoryBytes: 3 * GIB }, { memoryBytes: 2 * GIB }, 2 * GIB, 2 * GIB],
    ["disk", { diskBytes: 3 * GIB }, disk(2 * GIB), 2 * GIB, 2 * GIB],
  ] as const) {
    const { create } = await admission(t, { quota });
    assert.equal(await reason(create(spec, scoped)), "taken");
    const [limit] = Object.values(quota);
    const metadata = {
      tenant: "acme",
      dimension,
      limit: String(limit),
      used: String(used),
      requested: String(requested),
    };
    const refused = ["exhausted", "TENANT_QUOTA_EXCEEDED", metadata];
    for (const options of [scoped, {}, { validateOnly: true }])
      assert.deepEqual(await outcome(create(spec, options)), refused, dimension);
    assert.equal(await reason(create({ ...spec, tenant: "other" })), "taken");
    assert.equal(await reason(create({ ...spec, tenant: "" })), "taken");
    assert.equal(await reason(create({ ...spec, tenant: "" })), "taken", "the provider has no quota");
  }
});

test("concurrent creations stop at the tenant's quota", async (t) => {
  const { create, ledger } = await admission(t, { quota: { vms: 5, diskBytes: 3 * GIB } });
  const all = await Promise.all(Array.from({ length: 40 }, () => reason(create(disk(GIB), scoped))));
  assert.equal(all.filter((taken) => taken === "taken").length, 3);
  assert.deepEqual(ledger.tenantUse().get("acme"), {
    vms: 3,
    vcpus: 3,
    memoryBytes: 3 * GIB,
    diskBytes: 3 * GIB,
  });
});

test("a reservation counts against the quota until its VM has claimed it, then the VM counts", async (t) => {
  const { create, reservations, ledger } = await admission(t, { quota: { vms: 2, diskBytes: GIB } });
  const room = {
    tenant: "acme",
    vcpus: 1,
    memoryBytes: GIB,
    accelerator: "tcg",
    placementRequest: anywhere,
  } as const;
  const reserve = (requestId: string) =>
    reservations.reserve({ requestId, caller: "scheduler", fingerprint: "f" }, () => room, 60_000);
  const held = await reserve("a");
  await create({});
  assert.equal(await reason(reserve("b")), "exhausted TENANT_QUOTA_EXCEEDED");
  assert.equal(await reason(create({}, scoped)), "exhausted TENANT_QUOTA_EXCEEDED");
  const inItsPlace = { reservationId: held.id };
  assert.equal(
    await reason(create(disk(2 * GIB), inItsPlace)),
    "exhausted TENANT_QUOTA_EXCEEDED",
    "a reservation holds no disks",
  );
  assert.equal(await reason(create(disk(GIB), inItsPlace)), "taken");
  assert.deepEqual(ledger.tenantUse().get("acme"), {
    vms: 2,
    vcpus: 2,
    memoryBytes: 2 * GIB,
    diskBytes: GIB,
  });
});

test("a refused creation takes nothing from the quota", async (t) => {
  const { create, ledger } = await admission(t, { quota: { vms: 1 } });
  assert.equal(await reason(create({ memoryBytes: 65 * GIB })), "exhausted NO_CAPACITY");
  assert.deepEqual([...ledger.tenantUse()], []);
});

test("a tenant's caller may not leave disks behind that its quota would not count", async (t) => {
  const spec = checkSpec(
    { ...disk(GIB), name: "own", id: OWN, tenant: "acme", vcpus: 1, memoryBytes: GIB },
    { bridges: [], allowSpoofing: false },
  );
  const own = withEtag({
    ...{ id: OWN, name: "own", presence: "present", observedAtMs: 1, state: "stopped", stateReason: "" },
    ...{ managed: true, vcpus: 1, memoryBytes: GIB, cells: [], labels: {}, placementEpoch: 0 },
    ...{ tenant: "acme", spec, disks: [], nics: [] },
  });
  const kept = async (caller: string, keepDisks: boolean): Promise<string> => {
    const { vms, table } = await admission(t, { permissions: { keepDisks: false } });
    table.put(own);
    return await reason(vms.begin("DELETE_VM", { requestId: "r", vm: OWN, keepDisks, force: false }, caller));
  };
  const scheduler = "spiffe://cloud.example/scheduler/s";
  assert.equal(await kept(`${scheduler}/tenant/acme`, true), "denied DISKS_NOT_KEPT");
  assert.equal(await kept(`${scheduler}/tenant/acme`, false), "taken");
  assert.equal(await kept(scheduler, true), "taken");
});
