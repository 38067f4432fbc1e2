// Changes of a VM's PCI devices: their admission over the ledger, and their effects on a running guest.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import type { HostDevice, HostDevices } from "../../../../agent/host/capacity/device-capacity.ts";
import { anywhere } from "../../../../agent/contract/spec.ts";
import { isDone } from "../../../../agent/state/operations/operation.ts";
import type { TenantPermissions } from "../../../../agent/vm/model/tenant-policy.ts";
import { footprintFeed } from "../../../../agent/vm/observation/footprints.ts";
import { attachPciDevice } from "../../../../agent/vm/operations/attach-pci-device.ts";
import { detachPciDevice } from "../../../../agent/vm/operations/detach-pci-device.ts";
import { admission } from "../../../support/vm/admission-stage.ts";
import { HostDeviceStage } from "../../../support/vm/host-device-stage.ts";

const TENANT = "spiffe://cloud.example/operator/o/tenant/acme";
const [GPU, SOUND, NIC, OTHER_NIC] = [
  "0000:af:00.0",
  "0000:af:00.1",
  "0000:3b:00.2",
  "0000:3b:00.3",
] as const;
const group = [GPU, SOUND];
const nic = (address: string, iommuGroup: number): HostDevice => ({
  ...{ address, alias: "nic", iommuGroup, group: [address], healthy: true },
});
const offered: readonly HostDevice[] = [
  { address: GPU, alias: "gpu", iommuGroup: 120, group, healthy: true },
  { address: SOUND, iommuGroup: 120, group, healthy: true },
  nic(NIC, 97),
  nic(OTHER_NIC, 98),
  { address: "0000:5e:00.0", iommuGroup: 55, group: ["0000:5e:00.0"], healthy: false },
];
const withheld: HostDevices["withheld"] = [
  { address: "0000:00:05.0", cause: "no_iommu", why: "the host has no IOMMU; enable it" },
];

interface Options {
  readonly permissions?: Partial<TenantPermissions>;
  readonly on?: HostDeviceStage;
}

/** The VM `web` over the host's ledger, as the agent composes them. */
async function stage(t: TestContext, { permissions = {}, on = new HostDeviceStage() }: Options = {}) {
  const { vms, ledger, operations, create } = await admission(t, { permissions, context: on.context });
  const end = new AbortController();
  const feed = footprintFeed(on.table, (seen, complete) => ledger.setFootprints(seen, complete));
  let running: Promise<unknown> = Promise.resolve();
  await new Promise<void>((ready) => {
    running = feed.run(end.signal, ready);
  });
  t.after(async () => {
    end.abort();
    await running.catch(() => undefined);
  });
  ledger.setDevices(offered, withheld);
  let requests = 0;
  const change = () => ({ requestId: `change-${(requests += 1)}`, vm: "web" });
  const began = (kind: "ATTACH_PCI_DEVICE" | "DETACH_PCI_DEVICE") => {
    return (device: string, more: object = {}, caller = "operator") =>
      vms.begin(kind, { ...change(), device, ...more }, caller);
  };
  const attach = began("ATTACH_PCI_DEVICE");
  const detach = began("DETACH_PCI_DEVICE");
  return {
    ...{ on, ledger, create, attach, detach },
    /** The operation's end. */
    ended: async (begun: ReturnType<typeof attach>) => {
      const { id } = await begun;
      const operation = await operations.wait(id, 10_000, AbortSignal.timeout(10_000));
      assert.ok(isDone(operation), operation.state);
      return operation;
    },
    operation: (id: string) => operations.get(id),
    /** The holder of a device, or its state. */
    holder: (address: string): string => {
      const found = ledger.capacity.devices.find((device) => device.address === address);
      return found?.holder === undefined
        ? (found?.state ?? "none")
        : `${found.state} ${nameOf(found.holder)}`;
    },
  };
}

const nameOf = (id: string): string => (id === HostDeviceStage.id ? "web" : id);

async function refusal(begun: Promise<unknown>): Promise<string> {
  try {
    await begun;
    return "accepted";
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError, String(thrown));
    const { cause } = thrown.details.metadata ?? {};
    const fields = Object.keys(thrown.details.fields ?? {});
    return [thrown.kind, thrown.reason, ...(cause === undefined ? [] : [cause]), ...fields].join(" ");
  }
}

test("a device that cannot be given is refused with its reason, and nothing is claimed or changed", async (t) => {
  const { on, attach, detach, ledger } = await stage(t, {
    on: new HostDeviceStage({ placement: { devices: [NIC] } }, [NIC]),
  });
  const placementRequest = { ...anywhere, devices: ["gpu"] };
  ledger.claim({ holder: "reservation", vcpus: 1, memoryBytes: 2 ** 30, placementRequest });
  const before = ledger.capacity;
  for (const [begun, why] of [
    [attach("0000:ff:00.0"), "invalid NO_SUCH_DEVICE"],
    [attach("tape0"), "invalid NO_SUCH_DEVICE"],
    [attach("no/name"), "invalid SPEC_INVALID device"],
    [attach("0000:00:05.0"), "conflict DEVICE_NOT_ASSIGNABLE no_iommu"],
    [attach("0000:5e:00.0"), "exhausted NO_CAPACITY"],
    [attach("gpu"), "exhausted NO_CAPACITY"],
    [attach(SOUND), "exhausted NO_CAPACITY"],
    [attach(NIC), "already_exists DEVICE_ATTACHED device"],
    [attach(OTHER_NIC, { etag: "old" }), "conflict ETAG_MISMATCH"],
    [detach(GPU), "not_found DEVICE_NOT_FOUND device"],
    [detach("nic", { etag: "old" }), "conflict ETAG_MISMATCH"],
  ] as const)
    assert.equal(await refusal(begun), why);
  assert.deepEqual([on.did, ledger.capacity], [[], before]);
});

test("a plan names the device, and holds nothing", async (t) => {
  const { on, attach, detach, holder } = await stage(t, {
    on: new HostDeviceStage({ placement: { devices: ["nic"] } }, [NIC]),
  });
  const only = { validateOnly: true };
  const of = (device: string, address: string) => ({ validated: "true", device, address, applies: "now" });
  assert.deepEqual((await attach("gpu", only)).result, of("gpu", GPU));
  assert.deepEqual((await attach("nic", only)).result, of("nic", OTHER_NIC));
  assert.deepEqual((await detach(NIC, only)).result, of("nic", NIC));
  assert.deepEqual(
    [holder(GPU), holder(OTHER_NIC), holder(NIC), on.did],
    ["free", "free", "allocated web", []],
  );
});

test("a tenant's caller attaches only devices that the tenant may use, and learns nothing of others", async (t) => {
  const { attach } = await stage(t, { permissions: { devices: ["nic"] } });
  for (const device of ["gpu", NIC, "0000:00:05.0", "tape0"])
    assert.equal(await refusal(attach(device, {}, TENANT)), "denied DEVICE_NOT_ALLOWED", device);
  assert.equal(await refusal(attach("nic", {}, TENANT)), "accepted");
});

test("a VM whose memory is encrypted, and one with 16 devices, get no more", async (t) => {
  const sealed = new HostDeviceStage({ launchSecurity: "sev", firmware: "uefi" });
  const { attach } = await stage(t, { on: sealed });
  assert.equal(await refusal(attach("nic")), "conflict VM_HAS_LAUNCH_SECURITY");
  const devices = Array.from({ length: 16 }, (_, index) => `0000:01:${10 + index}.0`);
  const full = await stage(t, { on: new HostDeviceStage({ placement: { devices } }, devices) });
  assert.equal(await refusal(full.attach("nic")), "invalid SPEC_INVALID spec.placement.devices");
});

test("a running guest gets a device for itself, in its definition too, and gives it back", async (t) => {
  const { on, attach, detach, ended, holder, create } = await stage(t);
  const before = on.socle;
  const attached = await ended(attach("gpu"));
  assert.deepEqual(attached.result, { device: "gpu", address: GPU, applies: "now" });
  assert.deepEqual([on.live, on.defined], [new Set([GPU]), new Set([GPU])]);
  const spec = on.table.get("web")?.spec;
  assert.deepEqual(spec?.placement?.devices, ["gpu"]);
  assert.deepEqual([holder(GPU), holder(SOUND)], ["allocated web", "allocated web"]);
  await assert.rejects(create({ placement: { devices: ["gpu"] } }), { reason: "NO_CAPACITY" });
  // The rest of its IOMMU group is its own.
  await ended(attach(SOUND));
  assert.deepEqual((await ended(detach(SOUND))).state, "succeeded");
  assert.deepEqual((await ended(detach("gpu"))).result, { device: "gpu", address: GPU, applies: "now" });
  assert.deepEqual([on.live.size, on.defined.size, holder(GPU)], [0, 0, "free"]);
  assert.deepEqual(on.socle, before);
});

test("of two devices with one name, a detachment has to name the address", async (t) => {
  const on = new HostDeviceStage({ placement: { devices: ["nic", "nic"] } }, [NIC, OTHER_NIC]);
  const { detach, ended, holder } = await stage(t, { on });
  assert.equal(await refusal(detach("nic")), "invalid DEVICE_AMBIGUOUS device");
  await ended(detach(NIC));
  assert.deepEqual([holder(NIC), holder(OTHER_NIC)], ["free", "allocated web"]);
  assert.deepEqual(on.table.get("web")?.spec?.placement?.devices, ["nic"]);
  await ended(detach("nic"));
  assert.equal(holder(OTHER_NIC), "free");
});

test("a device of a VM that is off changes in its definition alone", async (t) => {
  const on = new HostDeviceStage();
  on.isRunning = false;
  on.show();
  const { attach, detach, ended, holder } = await stage(t, { on });
  assert.equal((await ended(attach(NIC))).result["applies"], "at the next start");
  assert.deepEqual([on.live.size, on.defined], [0, new Set([NIC])]);
  assert.equal(holder(NIC), "allocated web");
  await ended(detach(NIC));
  assert.deepEqual(
    [on.defined.size, holder(NIC), on.did.filter((did) => / (attach|detach)/.test(` ${did}`))],
    [0, "free", ["attach config", "detach config"]],
  );
});

test("a guest that keeps its device keeps it in its definition, its spec and the ledger", async (t) => {
  const on = new HostDeviceStage({ placement: { devices: ["gpu"] } }, [GPU]);
  on.keeps = true;
  const { detach, ended, holder, attach } = await stage(t, { on });
  const before = on.socle;
  const kept = await ended(detach("gpu"));
  assert.deepEqual([kept.state, kept.error?.reason], ["failed", "GUEST_KEEPS_DEVICE"]);
  assert.match(kept.error?.message ?? "", /0000:af:00\.0/);
  assert.deepEqual([on.live, on.defined, on.socle], [new Set([GPU]), new Set([GPU]), before]);
  assert.equal(holder(GPU), "allocated web");
  assert.equal(await refusal(attach("gpu")), "already_exists DEVICE_ATTACHED device");
});

test("a device that libvirt refuses leaves nothing behind, and is free again", async (t) => {
  const { on, attach, ended, holder } = await stage(t);
  const before = on.socle;
  on.before = (what) => {
    if (what.startsWith("attach"))
      throw new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "group 120 is not viable");
  };
  const refused = await ended(attach("gpu"));
  assert.deepEqual([refused.state, refused.error?.reason], ["failed", "LIBVIRT_INTERNAL_ERROR"]);
  assert.deepEqual([on.live.size, on.defined.size, on.socle, holder(GPU)], [0, 0, before, "free"]);
});

test("a device that another client put into the definition is not attached, and stays there", async (t) => {
  const { on, attach, ended, holder } = await stage(t);
  on.defined.add(GPU);
  const refused = await ended(attach("gpu"));
  assert.deepEqual([refused.state, refused.error?.reason], ["failed", "DEVICE_ATTACHED"]);
  assert.deepEqual([on.live.size, on.defined, holder(GPU)], [0, new Set([GPU]), "free"]);
});

test("a guest that another client starts in a detachment has to release the device again", async () => {
  const on = new HostDeviceStage({ placement: { devices: ["gpu"] } }, [GPU]);
  on.isRunning = false;
  on.before = (what) => {
    if (what === "detach config") on.isRunning = true;
  };
  await detachPciDevice.run(on.context, { device: "gpu", address: GPU }, on.run());
  assert.deepEqual([on.live.size, on.defined.size], [0, 0]);
});

test("an attachment whose steps the journal has lost is finished", async () => {
  const on = new HostDeviceStage({ placement: { devices: ["gpu"] } }, [GPU]);
  on.live.clear();
  on.defined.clear();
  await attachPciDevice.run(on.context, { device: "gpu", address: GPU }, on.run(undefined, []));
  assert.deepEqual([on.live, on.defined], [new Set([GPU]), new Set([GPU])]);
});

test("a lost reply of libvirt is no failure: its XML shows whether the guest has the device", async (t) => {
  for (const lost of ["after", "before"] as const) {
    const on = new HostDeviceStage();
    const { attach, ended } = await stage(t, { on });
    let left = 1;
    on[lost] = (what) => {
      if (what.startsWith("attach") && (left -= 1) >= 0)
        throw new SocleError("outcome_unknown", "LIBVIRT_TIMEOUT", "the reply is lost");
    };
    assert.equal((await ended(attach("gpu"))).state, "succeeded", lost);
    assert.deepEqual([on.live, on.did.filter((did) => did.startsWith("attach")).length], [new Set([GPU]), 1]);
  }
});

test("while the outcome is unknown, no other VM gets the device", async (t) => {
  const { on, attach, create, holder, operation } = await stage(t);
  let isAway = false;
  const { call } = on.calls;
  Object.assign(on.calls, {
    call: (...args: Parameters<typeof call>) =>
      isAway ? Promise.reject(new SocleError("timeout", "LIBVIRT_TIMEOUT", "no answer")) : call(...args),
  });
  const unknown = new Promise<void>((seen) => {
    on.before = (what) => {
      if (!what.startsWith("attach")) return;
      isAway = true;
      seen();
      throw new SocleError("outcome_unknown", "LIBVIRT_TIMEOUT", "the reply is lost");
    };
  });
  const { id } = await attach("gpu");
  await unknown;
  while (operation(id).state === "running") await new Promise((resolve) => setImmediate(resolve));
  assert.equal(operation(id).state, "outcome_unknown");
  assert.equal(holder(GPU), "allocated web");
  await assert.rejects(create({ placement: { devices: [SOUND] } }), { reason: "NO_CAPACITY" });
});

/** Runs an operation whose agent dies after its `at`-th change of libvirt, then resumes it. Undefined: it made fewer changes. */
async function killed(
  on: HostDeviceStage,
  work: typeof attachPciDevice | typeof detachPciDevice,
  at: number,
): Promise<string | undefined> {
  const begun: string[] = [];
  const died = (): never => {
    throw new SocleError("unavailable", "LIBVIRT_CLOSED", "the agent died");
  };
  let left = at;
  on.after = () => {
    if ((left -= 1) > 0) return;
    Object.assign(on, { before: died, after: died });
    died();
  };
  const intent = { device: "gpu", address: GPU };
  try {
    await work.run(
      on.context,
      intent,
      on.run((name) => begun.push(name)),
    );
    return undefined;
  } catch (thrown) {
    assert.equal(toSocleError(thrown).reason, "LIBVIRT_CLOSED");
  } finally {
    Object.assign(on, { before: () => undefined, after: () => undefined });
  }
  const cutOff = begun.slice(-1);
  await work.run(on.context, intent, on.run(undefined, begun.slice(0, -1), cutOff));
  return cutOff[0] ?? "begin";
}

test("an attachment and a detachment that were cut off at any change are finished", async () => {
  for (const work of [attachPciDevice, detachPciDevice]) {
    const isAttach = work === attachPciDevice;
    for (let at = 1; ; at += 1) {
      const on = isAttach
        ? new HostDeviceStage()
        : new HostDeviceStage({ placement: { devices: ["gpu"] } }, [GPU]);
      const where = await killed(on, work, at);
      const is = new Set(isAttach ? [GPU] : []);
      assert.deepEqual([on.live, on.defined], [is, is], `${work.kind}, died after change ${at} in ${where}`);
      const vm = on.table.get("web");
      assert.deepEqual(
        [vm?.spec?.placement?.devices ?? [], vm?.devices ?? []],
        [isAttach ? ["gpu"] : [], [...is]],
      );
      const times = on.did.filter((did) => did.startsWith("attach") || did === "detach live");
      assert.equal(times.length, 1, `${work.kind} had ${times.join()}`);
      if (where === undefined) break;
    }
  }
});

test("at each change, the VM holds a device from before it has it until after it has lost it", async () => {
  for (const work of [attachPciDevice, detachPciDevice]) {
    const on =
      work === attachPciDevice
        ? new HostDeviceStage()
        : new HostDeviceStage({ placement: { devices: ["gpu"] } }, [GPU]);
    on.after = (did) => {
      const isHeld = on.table.get("web")?.devices?.includes(GPU) === true;
      assert.ok(isHeld || (!on.live.has(GPU) && !on.defined.has(GPU)), `${work.kind}, after ${did}`);
    };
    await work.run(on.context, { device: "gpu", address: GPU }, on.run());
  }
});
