import assert from "node:assert/strict";
import { test } from "node:test";
import type { CallContext } from "../../../../agent/api/services/handler.ts";
import { networkService } from "../../../../agent/api/services/network-service.ts";
import { storageService } from "../../../../agent/api/services/storage-service.ts";
import type { Volume } from "../../../../agent/gen/socle/v1/Volume.ts";
import type { HostNetwork, StoragePool } from "../../../../agent/host/host.ts";
import { Slice } from "../../../../agent/kernel/concurrency/slice.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { storeOfNothing } from "../../../support/vm/image-parts.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { FakeHost, vm } from "../../../support/api/fakes.ts";

const acmeId = "11111111-1111-4111-8111-111111111111";
const evilId = "22222222-2222-4222-8222-222222222222";
const strayId = "33333333-3333-4333-8333-333333333333";
const goneId = "44444444-4444-4444-8444-444444444444";

const by = (tenant?: string): CallContext => ({
  caller: { name: "caller", role: "scheduler", ...(tenant === undefined ? {} : { tenant }) },
  slice: () => new Slice(),
  signal: new AbortController().signal,
});
const everyone = by();
const acme = by("acme");

const pool = (name: string, more: Partial<StoragePool> = {}): StoragePool => ({
  name,
  type: "dir",
  active: true,
  presence: "present",
  observedAtMs: 1_700_000_000_000,
  capacityBytes: 1000,
  allocatedBytes: 100,
  thinRatio: 2,
  path: `/pools/${name}`,
  sharedId: `shared-${name}`,
  ...more,
});

const read = <T>(value: T) => ({ kind: "read", value }) as const;
const details = {
  type: "dir",
  active: true,
  accessible: true,
  autostart: true,
  capacityBytes: 0,
  allocatedBytes: 0,
  availableBytes: 0,
};

interface Contents {
  readonly pools: readonly StoragePool[];
  readonly volumes: Readonly<Record<string, readonly string[]>>;
  readonly networks?: readonly HostNetwork[];
  readonly unreadable?: ReadonlyMap<string, string>;
}

/** Each volume has 10 bytes, of which 4 are occupied. */
function look(host: FakeHost, { pools, volumes, networks = [], unreadable = new Map() }: Contents): void {
  const found = new Map(
    Object.entries(volumes).map(([name, list]) => {
      const bytes = new Map(list.map((volume): [string, number] => [volume, 10]));
      const allocatedBytes = new Map(list.map((volume): [string, number] => [volume, 4]));
      return [name, read({ bytes, allocatedBytes, unreadable })];
    }),
  );
  host.ledger.storage.see({
    pools: new Map(pools.map((one) => [one.name, one])),
    volumes: found,
    startedAtMs: 0,
  });
  const listed = pools.map(({ name }) => ({ name, details: read(details) }));
  host.listings.see(
    { pools: read(listed), networks: read(networks), volumes: found },
    { storagePools: pools, networks },
    1_700_000_000_000,
  );
}

const specOf = (id: string, tenant: string, more: Record<string, unknown>): Pick<Vm, "tenant" | "spec"> => ({
  tenant,
  spec: checkSpec(
    { name: `vm-${id}`, id, vcpus: 1, memoryBytes: 2 ** 30, tenant, ...more },
    {
      bridges: [],
      allowSpoofing: false,
    },
  ),
});

const named = (volume: string, readOnly = false) => ({
  name: "data",
  source: { kind: "volume", volume: { pool: "images", volume } },
  readOnly,
});

/** Two tenants' VMs, and one that Socle did not make. */
function table(): VmTable {
  const vms = new VmTable();
  const ofAcme = {
    disks: [
      { name: "root", source: { kind: "new", pool: "images", baseVolume: "debian.qcow2" } },
      named("iso.raw", true),
    ],
    kernelBoot: { kernel: { pool: "images", volume: "vmlinuz" } },
  };
  const ofEvil = {
    disks: [
      { name: "root", source: { kind: "new", pool: "images", baseVolume: "debian.qcow2" } },
      named("evil-data.raw"),
    ],
  };
  vms.put(vm(acmeId, specOf(acmeId, "acme", ofAcme)));
  vms.put(vm(evilId, specOf(evilId, "evil", ofEvil)));
  const path = "/pools/images/stray.raw";
  vms.put(vm(strayId, { managed: false, disks: [{ device: "vda", path }] }));
  vms.completed(1);
  return vms;
}

const all = [
  "debian.qcow2",
  "evil-data.raw",
  "free.raw",
  "iso.raw",
  `socle-${acmeId}-root.qcow2`,
  `socle-${evilId}-root.qcow2`,
  `socle-${goneId}-root.qcow2`,
  "stray.raw",
  "vmlinuz",
];

const images: Contents = {
  pools: [pool("images"), pool("idle", { active: false })],
  volumes: { images: all },
};
const whole = { pageSize: 0, pageToken: "", pool: "" };
const networksOf = () => ["acme-net", "shared-net"];

function services(vmView = table(), contents = images) {
  const [host, imageStore] = [new FakeHost(), storeOfNothing()];
  look(host, contents);
  const storage = storageService({ host, vmView, imageStore });
  return { host, vmView, imageStore, ...storage, ...networkService({ host, networksOf }) };
}

const shown = ({ name, role, users = [] }: Volume): string => [name, role ?? "", ...users].join(" ");

test("a provider sees each volume with its use, and the VMs that use it", async () => {
  const { ListVolumes } = services();
  const { volumes = [], totalSize, observation, incompletePools } = await ListVolumes(whole, everyone);
  assert.deepEqual(volumes.map(shown), [
    `debian.qcow2 VOLUME_ROLE_BASE ${acmeId} ${evilId}`,
    `evil-data.raw VOLUME_ROLE_DISK ${evilId}`,
    "free.raw VOLUME_ROLE_FREE",
    `iso.raw VOLUME_ROLE_DISK ${acmeId}`,
    `socle-${acmeId}-root.qcow2 VOLUME_ROLE_DISK ${acmeId}`,
    `socle-${evilId}-root.qcow2 VOLUME_ROLE_DISK ${evilId}`,
    `socle-${goneId}-root.qcow2 VOLUME_ROLE_FREE`,
    `stray.raw VOLUME_ROLE_DISK ${strayId}`,
    `vmlinuz VOLUME_ROLE_KERNEL ${acmeId}`,
  ]);
  assert.deepEqual([totalSize, observation?.presence, incompletePools], [9, "PRESENCE_UNKNOWN", ["idle"]]);
  const [base, , , , own] = volumes;
  assert.deepEqual(
    [base?.format, base?.capacityBytes, base?.allocatedBytes, base?.vmId, own?.vmId],
    ["DISK_FORMAT_QCOW2", 10, 4, "", acmeId],
  );
  const one = await ListVolumes({ ...whole, pool: "images" }, everyone);
  assert.deepEqual([one.observation?.presence, one.incompletePools], ["PRESENCE_PRESENT", []]);
});

test("a caller of one tenant sees its VMs' volumes and those that it may read, and no trace of another tenant", async () => {
  const { ListVolumes, ListPools, ListNetworks, host } = services();
  const networks = ["acme-net", "evil-net", "shared-net"].map((name): HostNetwork => ({
    name,
    bridge: `br-${name}`,
    active: name !== "shared-net",
    presence: "present",
    observedAtMs: 1,
    uuid: evilId,
    addresses: ["192.0.2.1/24"],
  }));
  look(host, {
    ...images,
    networks,
    unreadable: new Map([["broken.raw", "cannot open /pools/images/broken.raw"]]),
  });
  const listed = await ListVolumes(whole, acme);
  assert.deepEqual(listed.volumes?.map(shown), [
    "broken.raw ",
    `debian.qcow2 VOLUME_ROLE_BASE ${acmeId}`,
    "free.raw ",
    `iso.raw VOLUME_ROLE_DISK ${acmeId}`,
    `socle-${acmeId}-root.qcow2 VOLUME_ROLE_DISK ${acmeId}`,
    `vmlinuz VOLUME_ROLE_KERNEL ${acmeId}`,
  ]);
  const page = { pageSize: 0, pageToken: "" };
  const pools = await ListPools(page, acme);
  assert.deepEqual(pools.pools, [
    { name: "idle", state: "POOL_STATE_INACTIVE" },
    { name: "images", state: "POOL_STATE_ACTIVE" },
  ]);
  const nets = await ListNetworks(page, acme);
  assert.deepEqual(nets.networks, [
    { name: "acme-net", state: "NETWORK_STATE_ACTIVE" },
    { name: "shared-net", state: "NETWORK_STATE_INACTIVE" },
  ]);
  const text = JSON.stringify([listed, pools, nets]);
  for (const foreign of ["evil", evilId, goneId, strayId, "stray", "/pools"])
    assert.ok(!text.includes(foreign), `${foreign} is in an answer`);
  assert.deepEqual((await ListNetworks(page, everyone)).networks?.length, 3);
});

test("a tenant's volume is listed with its tenant, and to no caller of another tenant", async () => {
  const [own, foreign] = ["socle-volume-acme+a.qcow2", "socle-volume-evil+e.raw"];
  const { ListVolumes } = services(table(), {
    pools: [pool("images")],
    volumes: { images: [own, foreign] },
  });
  const listed = async (caller: CallContext) =>
    (await ListVolumes(whole, caller)).volumes?.map(({ name, tenant }) => [name, tenant]);
  assert.deepEqual(await listed(acme), [[own, "acme"]]);
  assert.deepEqual(await listed(everyone), [
    [own, "acme"],
    [foreign, "evil"],
  ]);
});

test("a caller of one tenant sees the volumes of its own images and the public ones", async () => {
  const [open, own, foreign, left] = ["", "acme", "evil", undefined].map((tenant, index) => ({
    tenant,
    id: `00000000-0000-4000-8000-00000000010${index}`,
  }));
  const nameOf = (of: typeof own): string => `socle-image-${of?.id}.raw`;
  const every = [open, own, foreign, left].map(nameOf);
  const { ListVolumes, imageStore } = services(table(), {
    pools: [pool("images")],
    volumes: { images: every },
  });
  for (const { id, tenant } of [open, own, foreign].flatMap((image) => image ?? []))
    imageStore.publish({
      ...{ id, name: id, tenant: tenant ?? "", sha256: "ab".repeat(32), format: "raw", pool: "images" },
      ...{ sizeBytes: 1, capacityBytes: 1, createdAtMs: 1 },
    });
  const seenBy = async (caller: typeof acme): Promise<(string | undefined)[] | undefined> =>
    (await ListVolumes(whole, caller)).volumes?.map(({ name }) => name);
  assert.deepEqual(await seenBy(acme), [nameOf(open), nameOf(own)]);
  assert.deepEqual(await seenBy(everyone), every);
});

test("a volume that another tenant's VM writes to through another pool is hidden", async () => {
  const vms = table();
  vms.put(vm(evilId, { tenant: "evil", disks: [{ device: "vda", path: "/pools/images/shared.raw" }] }));
  const twin = pool("twin", { path: "/pools/images" });
  const { ListVolumes } = services(vms, { pools: [twin], volumes: { twin: ["other.raw", "shared.raw"] } });
  const { volumes = [] } = await ListVolumes(whole, acme);
  assert.deepEqual(
    volumes.map(({ name }) => name),
    ["other.raw"],
  );
});

test("while VMs are unknown no volume is called free, and a tenant sees only its own VMs' volumes", async () => {
  const vms = table();
  vms.markUnknown();
  const { ListVolumes } = services(vms);
  const { volumes = [], observation } = await ListVolumes({ ...whole, pool: "images" }, everyone);
  assert.equal(observation?.presence, "PRESENCE_UNKNOWN");
  assert.ok(volumes.every(({ role }) => role !== "VOLUME_ROLE_FREE"));
  const own = await ListVolumes(whole, acme);
  assert.ok(own.volumes?.every(({ users }) => users?.includes(acmeId)));
});

test("a pool has the sizes of the ledger's reading; one that was never read has none", async () => {
  const { ListPools, host } = services();
  const hung = { name: "hung", details: { kind: "failed", reason: "it hangs" } } as const;
  const [first] = images.pools;
  host.listings.see(
    {
      pools: read([{ name: "images", details: read(details) }, hung]),
      networks: read([]),
      volumes: new Map(),
    },
    { storagePools: first === undefined ? [] : [first], networks: [] },
    1_700_000_000_000,
  );
  const { pools, observation } = await ListPools({ pageSize: 0, pageToken: "" }, everyone);
  assert.deepEqual(pools, [
    {
      name: "hung",
      state: "POOL_STATE_UNKNOWN",
      observation: { presence: "PRESENCE_UNKNOWN", observedAt: null },
      type: "",
      sharedId: "",
      problem: "it hangs",
    },
    {
      name: "images",
      state: "POOL_STATE_ACTIVE",
      observation: { presence: "PRESENCE_PRESENT", observedAt: { seconds: 1_700_000_000, nanos: 0 } },
      type: "dir",
      sharedId: "shared-images",
      problem: "",
      capacityBytes: 1000,
      allocatedBytes: 100,
      availableBytes: 2000 - 9 * 10,
      thinRatio: 2,
      volumes: 9,
    },
  ]);
  assert.equal(observation?.presence, "PRESENCE_PRESENT");
});

test("pages of volumes follow each other over pools, and hold each volume once", async () => {
  // "a-b" is after "a", though "a-b/" is before "a/".
  const pools = ["a", "a-b"].map((name) => pool(name));
  const { ListVolumes } = services(new VmTable(), {
    pools,
    volumes: { "a-b": ["x", "y"], a: ["z", "w", "v"] },
  });
  const names: string[] = [];
  for (let pageToken = ""; ;) {
    const page = await ListVolumes({ ...whole, pageSize: 2, pageToken }, everyone);
    names.push(...(page.volumes ?? []).map(({ pool: of, name }) => `${of}/${name}`));
    assert.equal(page.totalSize, 5);
    pageToken = page.nextPageToken ?? "";
    if (pageToken === "") break;
  }
  assert.deepEqual(names, ["a/v", "a/w", "a/z", "a-b/x", "a-b/y"]);
  const { nextPageToken = "" } = await ListVolumes({ ...whole, pageSize: 2 }, everyone);
  const other = Promise.resolve(
    ListVolumes({ ...whole, pageSize: 2, pageToken: nextPageToken, pool: "a" }, everyone),
  );
  await assert.rejects(other, { reason: "PAGE_TOKEN_INVALID" });
});

test("a pool that does not exist is refused once libvirt listed them, and never before", async () => {
  const { ListVolumes } = services();
  const asked = { ...whole, pool: "none" };
  await assert.rejects(Promise.resolve(ListVolumes(asked, everyone)), { reason: "POOL_NOT_FOUND" });
  const early = storageService({
    host: new FakeHost(),
    vmView: new VmTable(),
    imageStore: storeOfNothing(),
  });
  const { volumes, observation } = await early.ListVolumes(asked, everyone);
  assert.deepEqual([volumes, observation?.presence], [[], "PRESENCE_UNKNOWN"]);
});
