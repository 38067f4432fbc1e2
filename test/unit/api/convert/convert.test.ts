import assert from "node:assert/strict";
import { test } from "node:test";
import { hostToProto } from "../../../../agent/api/convert/host.ts";
import { operationToProto } from "../../../../agent/api/convert/operation.ts";
import { specFromProto, specToProto } from "../../../../agent/api/convert/spec.ts";
import { durationMs, fromTimestamp, toTimestamp } from "../../../../agent/api/convert/time.ts";
import { vmToProto } from "../../../../agent/api/convert/vm.ts";
import { ErrorEncoder, maxOperationText } from "../../../../agent/api/convert/errors.ts";
import type { VmSpec as ProtoSpec } from "../../../../agent/gen/socle/v1/VmSpec.ts";
import type { VmSpec__Output } from "../../../../agent/gen/socle/v1/VmSpec.ts";
import type { SocleError } from "../../../../agent/kernel/errors.ts";
import type { Operation } from "../../../../agent/state/operations/operation.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import type { VmSpec } from "../../../../agent/contract/spec.ts";
import { unlisted } from "../../../support/host/unlisted.ts";
import { hostSnapshot, protos, vm } from "../../../support/api/harness.ts";

/** The message as the other side decodes it. */
function overTheWire(spec: ProtoSpec): VmSpec__Output | null {
  const { requestSerialize, requestDeserialize } = protos.vms.CreateVm;
  return requestDeserialize(requestSerialize({ spec })).spec;
}

const full: VmSpec = {
  name: "web-1",
  id: "11111111-2222-4333-8444-555555555555",
  vcpus: 4,
  cpuTopology: { sockets: 1, cores: 2, threads: 2 },
  cpuMode: "custom",
  cpuModel: "Skylake",
  memoryBytes: 2 ** 40,
  accelerator: "tcg",
  firmware: "uefi-secure-boot",
  disks: [
    { name: "root", source: { kind: "new", pool: "p", format: "qcow2", baseVolume: "b" }, readOnly: false },
    {
      name: "data",
      source: { kind: "new", pool: "p", format: "raw", capacityBytes: 2 ** 41 },
      readOnly: false,
    },
    { name: "iso", source: { kind: "volume", volume: { pool: "p", volume: "v" } }, readOnly: true },
  ],
  nics: [
    {
      name: "n0",
      source: { kind: "network", network: "default" },
      mac: "52:54:00:12:34:56",
      allowSpoofing: false,
      allowedAddresses: ["10.0.0.1", "fd00::1"],
    },
    {
      name: "n1",
      source: { kind: "bridge", bridge: "br0" },
      allowSpoofing: true,
      allowedAddresses: [],
      linkDown: true,
    },
  ],
  kernelBoot: {
    kernel: { pool: "p", volume: "k" },
    initrd: { pool: "p", volume: "i" },
    commandLine: "console=ttyS0",
  },
  guestAgent: true,
  tenant: "blue",
  labels: { app: "x", "a/b.c": "ü" },
  autostart: true,
};
const small: VmSpec = {
  name: "s",
  id: full.id,
  vcpus: 1,
  memoryBytes: 2 ** 20,
  firmware: "bios",
  disks: [{ name: "d", source: { kind: "volume", volume: { pool: "p", volume: "v" } }, readOnly: false }],
  nics: [],
  guestAgent: false,
  tenant: "",
  labels: {},
  autostart: false,
};
/** The parts for which libvirt needs a key when it starts. */
const sealed: VmSpec = {
  ...small,
  firmware: "uefi",
  tpm: true,
  launchSecurity: "sev-snp",
  disks: [
    {
      name: "root",
      source: { kind: "new", pool: "p", format: "raw", capacityBytes: 2 ** 41, encryption: "luks" },
      readOnly: false,
    },
  ],
};
const policy = { bridges: ["br0"], allowSpoofing: true };

test("a spec survives encoding and decoding, whether full, minimal or sealed", () => {
  for (const spec of [full, small, sealed]) {
    assert.deepEqual(checkSpec(specFromProto(overTheWire(specToProto(spec))), policy), spec);
  }
});

test("unset fields are left to the VM layer", () => {
  const input = specFromProto(overTheWire({ name: "s", vcpus: 1 }));
  for (const key of ["id", "accelerator", "cpuMode", "cpuTopology", "cpuModel", "kernelBoot", "firmware"]) {
    assert.ok(!(key in input), key);
  }
});

test("a device without a source and a value of a newer contract are refused with their field", () => {
  const fields = (spec: ProtoSpec): Record<string, string> => {
    try {
      specFromProto(overTheWire(spec));
    } catch (thrown) {
      return { ...(thrown as SocleError).details.fields };
    }
    return {};
  };
  assert.deepEqual(Object.keys(fields({ disks: [{ name: "d" }] })), ["spec.disks[0]"]);
  assert.deepEqual(Object.keys(fields({ nics: [{ name: "a", network: "n" }, { name: "b" }] })), [
    "spec.nics[1]",
  ]);
  const { requestDeserialize } = protos.vms.CreateVm;
  // Field 2 (spec) with field 8 (accelerator) = 99.
  const newer = requestDeserialize(Buffer.from([0x12, 0x02, 0x40, 99])).spec;
  assert.throws(() => specFromProto(newer), { kind: "invalid", reason: "UNKNOWN_VALUE" });
});

test("times are exact, before and after the epoch", () => {
  for (const ms of [
    0, 1, 999, 1000, 1_700_000_000_123, 1_700_000_000_000.25, -1, -1500, 253_402_300_799_999,
  ]) {
    const time = toTimestamp(ms);
    assert.ok(time.nanos >= 0 && time.nanos < 1e9 && Number.isInteger(time.seconds), String(ms));
    assert.equal(fromTimestamp(time), ms);
  }
  assert.deepEqual(toTimestamp(999.9999999), { seconds: 1, nanos: 0 });
  assert.equal(durationMs("f", { seconds: 1, nanos: 500_000 }), 1000.5);
  for (const bad of [
    { seconds: -1, nanos: 0 },
    { seconds: 0, nanos: -1 },
    { seconds: 0, nanos: 1e9 },
    { seconds: 1e16, nanos: 0 },
  ]) {
    assert.throws(() => durationMs("f", bad), { kind: "invalid" });
  }
});

test("readings of a VM that failed are absent, not zero", () => {
  const { responseSerialize, responseDeserialize } = protos.vms.GetVm;
  const stats = {
    sampledAtMs: 1500,
    sampledAtMonotonicMs: 1500,
    unresponsive: true,
    vcpus: [],
    nics: [],
    disks: [],
    rssBytes: 7,
  };
  const read = responseDeserialize(responseSerialize(vmToProto(vm("a", { stats }))));
  assert.equal(read.stats?.memoryRssBytes, 7);
  assert.ok(!("cpuSeconds" in read.stats));
  assert.deepEqual(read.stats.sampledAt, { seconds: 1, nanos: 500_000_000 });
  assert.deepEqual(read.observation?.observedAt, { seconds: 1_700_000_000, nanos: 123_000_000 });
});

test("each known rate of a VM is sent; a new guest has none", () => {
  const { responseSerialize, responseDeserialize } = protos.vms.GetVm;
  const over = (rates?: object) => {
    const times = { sampledAtMs: 1500, sampledAtMonotonicMs: 1500, unresponsive: false };
    const stats = { ...times, vcpus: [], nics: [], disks: [], ...(rates === undefined ? {} : { rates }) };
    return responseDeserialize(responseSerialize(vmToProto(vm("a", { stats })))).stats?.rates;
  };
  assert.equal(over(), null);
  const some = over({ cpuCores: 1.5, receiveBytesPerSecond: 0 });
  assert.deepEqual(
    [some?.cpuCores, some?.receiveBytesPerSecond, some?.diskReadBytesPerSecond],
    [1.5, 0, undefined],
  );
});

test("unknown facts about VMs do not count as known", () => {
  const unknown = vm("b", { presence: "unknown", state: "running" });
  const host = hostToProto(hostSnapshot, [vm("a"), unknown], false);
  assert.deepEqual(host.vms, {
    managed: 2,
    unmanaged: 0,
    running: 1,
    unresponsive: 0,
    unknown: 1,
    unreadable: 0,
    complete: false,
  });
  const seen = hostToProto(hostSnapshot, [], true);
  assert.equal(seen.vms?.complete, true);
  assert.notEqual(hostToProto(hostSnapshot, [], false).etag, seen.etag, "a change is published");
});

test("a VM that cannot be converted is listed as unreadable, without its tenant", () => {
  const spec = { disks: [null], nics: [{}] } as unknown as VmSpec;
  const shown = vmToProto(vm("a", { spec, tenant: "blue", labels: { a: "b" } }));
  assert.match(shown.unreadable ?? "", /cannot be converted/);
  assert.deepEqual([shown.vmId, shown.tenant, shown.labels, shown.spec], ["a", "", {}, null]);
});

test("a condition that was never probed has no probe time", () => {
  const condition = {
    type: "DiskSpace",
    status: "unknown" as const,
    effect: "degraded" as const,
    reason: "Unknown",
    evidence: "not probed yet",
    sinceMs: 5,
    lastProbeMs: 0,
    latched: false,
    subjects: [],
    acknowledged: false,
    untilReboot: false,
  };
  const health = { ...hostSnapshot.health, conditions: [condition] };
  assert.equal(hostToProto({ ...hostSnapshot, health }, [], true).health?.conditions?.[0]?.lastProbe, null);
});

test("the host's etag covers its facts, not its readings", () => {
  const pool = {
    name: "p",
    type: "dir",
    active: true,
    presence: "present" as const,
    observedAtMs: 1,
    capacityBytes: 2 ** 40,
    allocatedBytes: 2 ** 35,
    availableBytes: 2 ** 39 + 5000,
  };
  const withPool = (changes: Partial<typeof pool>) =>
    hostToProto(
      { ...hostSnapshot, inventory: { ...hostSnapshot.inventory, storagePools: [{ ...pool, ...changes }] } },
      [],
      true,
    ).etag;
  const base = withPool({});
  assert.equal(withPool({ observedAtMs: 2, availableBytes: 2 ** 39 + 9000 }), base);
  assert.notEqual(withPool({ availableBytes: 2 ** 38 }), base);
  assert.notEqual(withPool({ active: false }), base);
  assert.notEqual(hostToProto(hostSnapshot, [vm("a")], true).etag, hostToProto(hostSnapshot, [], true).etag);
});

test("a network is sent with whether it is known now; the passing of time is no change", () => {
  const { responseSerialize, responseDeserialize } = protos.host.GetHost;
  const seen = (changes: { observedAtMs?: number; presence?: "present" }) => {
    const networks = hostSnapshot.inventory.networks.map((network) => ({ ...network, ...changes }));
    return hostToProto({ ...hostSnapshot, inventory: { ...hostSnapshot.inventory, networks } }, [], true);
  };
  const [network] = responseDeserialize(responseSerialize(seen({}))).inventory?.networks ?? [];
  assert.deepEqual(
    [network?.active, network?.observation?.presence, network?.observation?.observedAt?.seconds],
    [true, "PRESENCE_UNKNOWN", 1],
  );
  assert.equal(seen({ observedAtMs: 2000 }).etag, seen({}).etag);
  assert.notEqual(seen({ presence: "present" }).etag, seen({}).etag);
});

test("claims of VMs are absent before the VMs were listed, never zero", () => {
  const { responseSerialize, responseDeserialize } = protos.host.GetHost;
  const { capacity } = responseDeserialize(responseSerialize(hostToProto(unlisted(hostSnapshot), [], false)));
  assert.equal(capacity?.complete, false);
  assert.equal(capacity.incompleteReasons.length, 1);
  for (const { total, allocated, available } of capacity.cells.flatMap(({ resources }) => resources)) {
    assert.ok(total > 0);
    assert.deepEqual([allocated, available], [undefined, undefined]);
  }
  const listed = responseDeserialize(responseSerialize(hostToProto(hostSnapshot, [], true))).capacity;
  assert.equal(listed?.complete, true);
  assert.deepEqual(
    listed.cells.flatMap(({ resources }) => resources.map(({ allocated }) => allocated)),
    [0, 0],
    "zero, and known",
  );
});

test("an operation reports a decided end until it shows that end", () => {
  const begun: Operation = {
    id: "o",
    requestId: "r",
    kind: "CREATE_VM",
    vmId: "v",
    caller: "unix:0",
    state: "running",
    steps: [],
    progress: 0,
    createdAtMs: 1000,
    result: {},
    intent: null,
  };
  const decided = { state: "succeeded" } as const;
  const isDecided = (changes: Partial<Operation>): boolean | undefined =>
    operationToProto({ ...begun, ...changes }, new ErrorEncoder(protos), { name: "c" }).endDecided;
  assert.equal(isDecided({ state: "outcome_unknown" }), false);
  assert.equal(isDecided({ state: "outcome_unknown", decided }), true);
  assert.equal(isDecided({ state: "succeeded" }), false);
});

test("an operation's error has all that a person has to decide, and no more of a foreign text than that", () => {
  const sent = (message: string): string | undefined =>
    new ErrorEncoder(protos).operationError(
      { id: "o", vmId: "v", error: { kind: "conflict", reason: "R", message, metadata: {} } },
      { name: "c" },
    ).message;
  const advice = `${"x".repeat(1900)}: settle it`;
  assert.equal(sent(advice), advice);
  const cut = sent("x".repeat(9000)) ?? "";
  assert.ok(cut.length <= maxOperationText && cut.includes("…"), `${cut.length}`);
});
