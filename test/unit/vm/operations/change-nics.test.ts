// Changes of a VM's NICs: their admission, and their refusals.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { nicSpec } from "../../../../agent/contract/spec.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { DomainControlState } from "../../../../agent/libvirt/index.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import type { TenantPermissions } from "../../../../agent/vm/model/tenant-policy.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { attachNic } from "../../../../agent/vm/operations/attach-nic.ts";
import { detachNic } from "../../../../agent/vm/operations/detach-nic.ts";
import { updateNic } from "../../../../agent/vm/operations/update-nic.ts";
import type { RunContext } from "../../../../agent/vm/operations/work.ts";
import { admission } from "../../../support/vm/admission-stage.ts";
import { answering, sleepingClock } from "../../../support/vm/libvirt-answers.ts";
import { steps } from "../../../support/vm/steps.ts";
import { workContext } from "../../../support/vm/work-context.ts";

const WEB = "00000000-0000-4000-8000-000000000001";
const OTHER = "00000000-0000-4000-8000-000000000002";
const WIDE = "00000000-0000-4000-8000-000000000003";
const TENANT = "spiffe://cloud.example/operator/o/tenant/acme";
const onBridge = (name: string, more: object = {}) => ({
  name,
  source: { kind: "bridge", bridge: "br0" },
  ...more,
});
const onNetwork = (name: string, network: string, more: object = {}) => ({
  name,
  source: { kind: "network", network },
  ...more,
});

interface Stage {
  readonly permissions?: Partial<TenantPermissions>;
}

/** Stopped VMs: `web` and `wide` of the tenant acme, and `other` of blue. */
async function stage(t: TestContext, { permissions = {} }: Stage = {}) {
  const { vms, table, create } = await admission(t, { permissions });
  const put = (id: string, name: string, tenant: string, nics: readonly object[]): void => {
    const kernelBoot = { kernel: { pool: "images", volume: "vmlinuz" } };
    const spec = checkSpec(
      { id, name, tenant, vcpus: 1, memoryBytes: 2 ** 30, kernelBoot, nics },
      { bridges: ["br0"], allowSpoofing: true },
    );
    const seen = { presence: "present", observedAtMs: 1, stateReason: "", managed: true } as const;
    const plain = { labels: {}, placementEpoch: 0, cells: [], disks: [], nics: [] };
    const of = { id, name, tenant, spec, state: "stopped", vcpus: 1, memoryBytes: 2 ** 30 } as const;
    table.put(withEtag({ ...seen, ...plain, ...of }));
  };
  put(WEB, "web", "acme", [onBridge("front", { mac: "52:54:00:00:00:01" })]);
  put(OTHER, "other", "blue", [
    onBridge("front", { mac: "52:54:00:00:00:02", allowedAddresses: ["192.0.2.2"] }),
  ]);
  put(
    WIDE,
    "wide",
    "acme",
    Array.from({ length: 16 }, (_, index) => onBridge(`n${index}`)),
  );
  let requests = 0;
  const change = () => ({ requestId: `change-${(requests += 1)}`, vm: "web" });
  return {
    create,
    etag: () => table.get("web")?.etag ?? "",
    attach: (nic: Record<string, unknown>, more: object = {}, caller = "operator") =>
      vms.begin("ATTACH_NIC", { ...change(), nic, ...more }, caller),
    detach: (nic: string, more: object = {}) =>
      vms.begin("DETACH_NIC", { ...change(), nic, ...more }, "operator"),
    update: (nic: string, link?: "up" | "down", more: object = {}) =>
      vms.begin("UPDATE_NIC", { ...change(), nic, link, ...more }, "operator"),
  };
}

/** The reason of the refusal, with its fields. */
async function refusal(begun: Promise<unknown>): Promise<string> {
  try {
    await begun;
    return "accepted";
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError, String(thrown));
    const fields = Object.keys(thrown.details.fields ?? {});
    return [thrown.kind, thrown.reason, ...fields].join(" ");
  }
}

test("a NIC that the VM, the host or another VM has no room for is refused and names the field", async (t) => {
  const { attach } = await stage(t);
  const invalid = "invalid SPEC_INVALID";
  for (const [nic, why] of [
    [onBridge("Bad Name"), `${invalid} nic.name`],
    [{ ...onBridge("back"), speed: 1 }, `${invalid} nic`],
    [onBridge("back", { mac: "53:54:00:00:00:01" }), `${invalid} nic.mac`],
    [{ name: "back", source: { kind: "bridge", bridge: "br1" } }, `${invalid} nic.bridge`],
    [onBridge("front"), "already_exists NIC_EXISTS nic.name"],
    [onBridge("back", { mac: "52:54:00:00:00:01" }), "conflict MAC_IN_USE"],
    [onBridge("back", { mac: "52:54:00:00:00:02" }), "conflict MAC_IN_USE"],
    [onBridge("back", { allowedAddresses: ["192.0.2.2"] }), "conflict ADDRESS_IN_USE"],
    [onBridge("back", { mac: "52:54:00:00:00:03", linkDown: true }), "accepted"],
  ] as const)
    assert.equal(await refusal(attach(nic)), why, JSON.stringify(nic));
});

test("a VM has at most 16 NICs, also after an attach", async (t) => {
  const { attach } = await stage(t);
  assert.equal(await refusal(attach(onBridge("back"), { vm: "wide" })), "invalid SPEC_INVALID spec.nics");
});

test("a NIC that is being attached keeps its address from other VMs", async (t) => {
  const { attach, create } = await stage(t);
  const mac = "52:54:00:00:00:09";
  await attach(onBridge("back", { mac }));
  assert.equal(await refusal(create({ nics: [onBridge("front", { mac })] })), "conflict MAC_IN_USE");
});

test("changes of a NIC that the VM lacks, or of nothing, are refused", async (t) => {
  const { detach, update } = await stage(t);
  assert.equal(await refusal(detach("back")), "not_found NIC_NOT_FOUND nic");
  assert.equal(await refusal(update("back", "down")), "not_found NIC_NOT_FOUND nic");
  assert.equal(await refusal(update("front")), "invalid UPDATE_EMPTY link_state");
});

test("limits of a NIC are checked as at a creation, and without a rate they are none", async (t) => {
  const { update } = await stage(t);
  for (const [limits, why] of [
    [{ inboundBurstBytes: 2048 }, "invalid SPEC_INVALID limits.inboundBurstBytes"],
    [{ outboundBytesPerSecond: 1 }, "invalid SPEC_INVALID limits.outboundBytesPerSecond"],
    [{ inboundBytesPerSecond: 2048 }, "accepted"],
  ] as const)
    assert.equal(await refusal(update("front", undefined, { limits })), why, JSON.stringify(limits));
  const only = { validateOnly: true };
  const applies = "at the next start";
  for (const [more, plan] of [
    [{ limits: {} }, { nic: "front", limits: "none", applies }],
    [
      { limits: { outboundBytesPerSecond: 4096 }, link: "up" },
      { nic: "front", link: "up", limits: "set", applies },
    ],
  ] as const)
    assert.deepEqual((await update("front", undefined, { ...more, ...only })).result, {
      validated: "true",
      ...plan,
    });
});

test("a VM that has changed since it was read is refused any change of NICs", async (t) => {
  const { attach, detach, update, etag } = await stage(t);
  const stale = { etag: "old" };
  for (const begun of [attach(onBridge("back"), stale), detach("front", stale), update("front", "up", stale)])
    assert.equal(await refusal(begun), "conflict ETAG_MISMATCH");
  assert.equal(await refusal(detach("front", { etag: etag() })), "accepted");
});

test("a tenant's caller attaches NICs to its tenant's networks, with its tenant's addresses, alone", async (t) => {
  const { attach } = await stage(t, {
    permissions: { networks: ["acme-net"], addresses: ["10.1.0.0/24"], macAddresses: ["52:54:00:aa"] },
  });
  const own = { allowedAddresses: ["10.1.0.7"] };
  for (const [nic, why] of [
    [onBridge("back", own), "denied NETWORK_NOT_ALLOWED"],
    [onNetwork("back", "blue-net", own), "denied NETWORK_NOT_ALLOWED"],
    [onNetwork("back", "acme-net"), "denied ADDRESS_REQUIRED"],
    [onNetwork("back", "acme-net", { allowedAddresses: ["10.2.0.7"] }), "denied ADDRESS_NOT_ALLOWED"],
    [onNetwork("back", "acme-net", { ...own, mac: "52:54:00:00:00:03" }), "denied MAC_NOT_ALLOWED"],
    [onNetwork("back", "acme-net", { ...own, allowSpoofing: true }), "denied SPOOFING_NOT_ALLOWED"],
    [onNetwork("back", "acme-net", { ...own, mac: "52:54:00:aa:00:03" }), "accepted"],
  ] as const)
    assert.equal(await refusal(attach(nic, {}, TENANT)), why, JSON.stringify(nic));
});

test("a plan says what would happen, and is no operation", async (t) => {
  const { attach, detach, update } = await stage(t);
  const mac = "52:54:00:00:00:03";
  const applies = "at the next start";
  const only = { validateOnly: true };
  for (const [begun, plan] of [
    [attach(onBridge("back", { mac }), only), { nic: "back", mac, applies }],
    [detach("front", only), { nic: "front", applies }],
    [update("front", "down", only), { nic: "front", link: "down", applies }],
  ] as const) {
    const { id, result } = await begun;
    assert.deepEqual([id, result], ["", { validated: "true", ...plan }]);
  }
  // It holds no address.
  assert.equal(await refusal(attach(onBridge("back", { mac }))), "accepted");
});

test("a guest whose QEMU does not answer keeps its NICs as they are", async () => {
  const nic = nicSpec.parse(onBridge("back"));
  const { signal } = new AbortController();
  const run = {
    ...{
      operationId: "0193a0c0-0000-7000-8000-000000000001",
      vmId: WEB,
      caller: "caller",
      instance: undefined,
    },
    ...{
      createdAtMs: 0,
      step: steps(),
      signal,
      hasEnded: () => false,
      resumed: false,
      done: new Set<string>(),
    },
  };
  const begin: ((context: RunContext) => Promise<unknown>)[] = [
    (context) => attachNic.run(context, { nic }, run),
    (context) => detachNic.run(context, { nic: "front" }, run),
    (context) => updateNic.run(context, { nic: "front", link: "down" }, run),
  ];
  for (const work of begin) {
    const { calls, called } = answering({
      DOMAIN_GET_STATE: [{ state: 1, reason: 1 }],
      DOMAIN_GET_CONTROL_INFO: [{ state: DomainControlState.OCCUPIED, details: 0, stateTime: 0 }],
    });
    const begun = work(workContext(calls, sleepingClock(), new VmTable()));
    assert.equal(await refusal(begun), "unavailable GUEST_UNRESPONSIVE");
    assert.deepEqual(new Set(called), new Set(["DOMAIN_GET_STATE", "DOMAIN_GET_CONTROL_INFO"]));
  }
});

test("a stopped VM that was suspended after the admission keeps its NICs as they are", async () => {
  const run = {
    operationId: "0193a0c0-0000-7000-8000-000000000001",
    vmId: WEB,
    caller: "caller",
    instance: undefined,
    createdAtMs: 0,
    step: steps(),
    signal: new AbortController().signal,
    hasEnded: () => false,
    resumed: false,
    done: new Set<string>(),
  };
  const { calls, called } = answering({
    DOMAIN_GET_STATE: [{ state: 5, reason: 6 }],
    DOMAIN_HAS_MANAGED_SAVE_IMAGE: [{ result: true }],
  });
  const begun = detachNic.run(workContext(calls, sleepingClock(), new VmTable()), { nic: "front" }, run);
  assert.equal(await refusal(begun), "conflict VM_HAS_SAVED_STATE");
  assert.deepEqual(new Set(called), new Set(["DOMAIN_GET_STATE", "DOMAIN_HAS_MANAGED_SAVE_IMAGE"]));
});
