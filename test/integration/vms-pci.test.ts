import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { vmHostOf } from "../../agent/composition/hypervisor.ts";
import { readPciFunctions } from "../../agent/hardware/pci/pci.ts";
import { systemRoots } from "../../agent/hardware/roots.ts";
import { Ledger } from "../../agent/host/capacity/ledger.ts";
import { assembleDevices, devicesForGuests, devicesWithheld } from "../../agent/host/inventory/devices.ts";
import type { PciDevice } from "../../agent/host/host.ts";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Operations } from "../../agent/state/operations/operations.ts";
import { footprintFeed } from "../../agent/vm/observation/footprints.ts";
import { type Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";
import { linux, requestId, Rig, VmStage } from "./vms-stage.ts";

/** The devices of this machine; without an IOMMU, no guest can have one. */
const read = assembleDevices(await readPciFunctions(systemRoots), new Map(), []).value;
const machine = read.map(({ iommuGroup: _, ...device }): PciDevice => device);
/** The same devices, as if the machine had an IOMMU and its operator had bound them to vfio-pci. */
const bound = machine.map((device, index): PciDevice => ({
  ...device,
  driver: "vfio-pci",
  iommuGroup: index,
}));
const [first = "", second = ""] = bound.map(({ address }) => address);
const aliases = { card: first, other: second };

const unavailable = bound.length < 2 ? "this machine has fewer than two PCI devices" : libvirtdUnavailable();

suite("PCI devices of existing VMs over a real libvirtd", { skip: unavailable, timeout: 600_000 }, () => {
  let stage: VmStage;
  let libvirtd: Libvirtd;
  let host: Awaited<ReturnType<typeof hostOn>>;
  let rig: Rig;

  before(async () => {
    stage = await VmStage.start();
    ({ libvirtd } = stage);
    host = await hostOn(libvirtd.uri);
    ({ rig } = host);
  });
  after(async () => {
    await host.stop();
    await stage.stop();
  });

  const change = (vm: string, device: string) => ({ requestId: requestId(), vm, device });
  const attach = (vm: string, device: string, more: object = {}) =>
    rig.vms.begin("ATTACH_PCI_DEVICE", { ...change(vm, device), ...more }, "tester");
  const detach = (vm: string, device: string) =>
    rig.vms.begin("DETACH_PCI_DEVICE", change(vm, device), "tester");
  const create = async (name: string, leaveStopped: boolean): Promise<string> =>
    (await rig.succeeds(rig.vms.create({ ...linux(name), leaveStopped }, "tester"))).vmId;
  const remove = (vm: string) =>
    rig.succeeds(
      rig.vms.begin("DELETE_VM", { requestId: requestId(), vm, keepDisks: false, force: true }, "tester"),
    );
  const start = async (vm: string) =>
    await rig.done(
      await rig.vms.begin("START_VM", { requestId: requestId(), vm, placementEpoch: 0 }, "tester"),
    );

  /** All that virsh shows of a VM, without the marks of operations and of its first start. libvirt orders metadata anew. */
  const dump = async (vm: string, leftOut = /$^/g): Promise<string[]> => {
    const live = await virsh(libvirtd.uri, ["dumpxml", vm]);
    const lines = `${live}${await virsh(libvirtd.uri, ["dumpxml", vm, "--inactive"])}`;
    return lines
      .replaceAll(leftOut, "")
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "" && !/^<socle(-op:stamp|:unstarted)/.test(line))
      .sort();
  };
  const devices = () =>
    host.ledger.capacity.devices.map(({ address, state, holder = "" }) => [address, state, holder].join(" "));
  const isHeld = (vm: string, address: string) => devices().includes(`${address} allocated ${vm}`);
  const hostdevs = async (vm: string): Promise<string[]> =>
    (await virsh(libvirtd.uri, ["dumpxml", vm, "--inactive"])).match(/<hostdev [\s\S]*?<\/hostdev>/g) ?? [];

  test("a machine without an IOMMU gives no VM a device, and says what to do", async () => {
    host.offer(machine);
    const vm = await create("plain", true);
    const shown = await dump(vm);
    for (const device of ["card", first])
      for (const more of [{ validateOnly: true }, {}])
        await assert.rejects(attach(vm, device, more), {
          ...{ kind: "conflict", reason: "DEVICE_NOT_ASSIGNABLE" },
          message: /no IOMMU[\s\S]*enable it/,
        });
    await assert.rejects(attach(vm, "0000:ff:1f.7"), { reason: "NO_SUCH_DEVICE" });
    const used = machine.map((device, iommuGroup) => ({ ...device, iommuGroup, driver: "virtio-pci" }));
    host.offer(used);
    await assert.rejects(attach(vm, "card"), { message: /a driver of the host has it/ });
    host.offer(
      bound.map((device, index) => ({ ...device, iommuGroup: 1, driver: index === 1 ? "nvme" : "vfio-pci" })),
    );
    await assert.rejects(attach(vm, "card"), { message: /another device of its IOMMU group/ });
    assert.deepEqual(await dump(vm), shown);
    await remove(vm);
  });

  test("a device that libvirt refuses to a running guest leaves nothing behind, and is free again", async () => {
    host.offer(bound);
    const vm = await create("running", false);
    const [shown, free] = [await dump(vm), devices()];
    const planned = await attach(vm, "card", { validateOnly: true });
    assert.deepEqual(planned.result, { validated: "true", device: "card", address: first, applies: "now" });
    const refused = await rig.done(await attach(vm, "card"));
    assert.equal(refused.state, "failed");
    assert.match(refused.error?.reason ?? "", /^LIBVIRT_/);
    assert.deepEqual(await dump(vm), shown);
    await eventually(() => devices().join() === free.join(), { what: "the device to be free" });
    await remove(vm);
  });

  test("a VM that is off gets a device in its definition, for itself, and gives it back", async () => {
    host.offer(bound);
    const [vm, rival] = [await create("first", true), await create("second", true)];
    // For a device that is no PCIe device, libvirt adds a bridge, which stays.
    const bridges = /<controller type='pci'[\s\S]*?<\/controller>/g;
    const [shown, free] = [await dump(vm, bridges), devices()];
    const { result } = await rig.succeeds(attach(vm, "card"));
    assert.deepEqual(result, { device: "card", address: first, applies: "at the next start" });
    const [hostdev = "", ...more] = await hostdevs(vm);
    assert.deepEqual(more, []);
    assert.match(hostdev, /managed='yes'/);
    assert.match(hostdev, new RegExp(`<alias name='ua-pci-${first.replaceAll(/[:.]/g, "-")}'/>`));
    await eventually(() => isHeld(vm, first), { what: "the ledger to count it" });
    await assert.rejects(attach(rival, first), { reason: "NO_CAPACITY" });
    await assert.rejects(attach(vm, first), { reason: "DEVICE_ATTACHED" });
    assert.equal((await rig.succeeds(detach(vm, "card"))).result["address"], first);
    await eventually(() => devices().join() === free.join(), { what: "the device to be free" });
    assert.deepEqual(await dump(vm, bridges), shown);
    // libvirt cannot bind it to VFIO here: the VM stays off, with its device.
    await rig.succeeds(attach(vm, "card"));
    assert.equal((await start(vm)).state, "failed");
    assert.ok(isHeld(vm, first));
    await rig.succeeds(detach(vm, first));
    await eventually(() => devices().join() === free.join(), { what: "the device to be free again" });
    await rig.succeeds(attach(rival, first));
    for (const each of [vm, rival]) await remove(each);
    await eventually(() => devices().join() === free.join(), { what: "the devices to be free" });
  });

  test("a device without an alias, as of an earlier agent, is detached", async () => {
    host.offer(bound);
    const vm = await create("older", true);
    await rig.succeeds(attach(vm, "other"));
    const xml = join(stage.state, "older.xml");
    const defined = await virsh(libvirtd.uri, ["dumpxml", vm, "--inactive"]);
    await writeFile(xml, defined.replace(/\s*<alias name='ua-pci-[^']*'\/>/, ""));
    await virsh(libvirtd.uri, ["define", xml]);
    assert.doesNotMatch((await hostdevs(vm)).join(""), /alias/);
    await rig.succeeds(detach(vm, second));
    assert.deepEqual(await hostdevs(vm), []);
    await remove(vm);
  });

  test("an attachment and a detachment that an agent began are finished by the next one", async () => {
    host.offer(bound);
    const vm = await create("cut", true);
    const intent = { device: "card", address: first };
    for (const [kind, steps, has] of [
      ["ATTACH_PCI_DEVICE", ["write spec"], true],
      ["DETACH_PCI_DEVICE", ["ask guest", "change definition"], false],
      ["ATTACH_PCI_DEVICE", ["write spec", "attach"], true],
      ["DETACH_PCI_DEVICE", ["ask guest", "change definition", "write spec"], false],
    ] as const) {
      const directory = await cutOff(vm, kind, intent, steps);
      const next = await hostOn(libvirtd.uri, directory);
      try {
        next.offer(bound);
        const [operation] = next.rig.operations.list({ limit: 1 });
        assert.ok(operation);
        await next.rig.succeeds(Promise.resolve(operation));
        const held = next.ledger.capacity.devices.find(({ address }) => address === first);
        await eventually(() => (held?.holder === vm) === has || isHeld(vm, first) === has, {
          what: "the ledger",
        });
      } finally {
        await next.stop();
        await rm(directory, { recursive: true });
      }
      assert.equal((await hostdevs(vm)).length, has ? 1 : 0, `${kind} ${steps.join(", ")}`);
      await eventually(() => isHeld(vm, first) === has, { what: `the device after ${kind}` });
      assert.deepEqual(rig.table.get(vm)?.spec?.placement?.devices ?? [], has ? ["card"] : []);
    }
    await remove(vm);
  });
});

/** The VM layer over a libvirtd and a ledger of its own. */
async function hostOn(uri: string, directory?: string) {
  const own = directory ?? (await mkdtemp(join(tmpdir(), "socle-pci-")));
  const ledger = new Ledger({
    policy: {
      ...{ reservedCpus: 0, reservedMemoryBytes: 0, cpuOvercommitRatio: 4, memoryOvercommitRatio: 1 },
      dedicatedCpus: [],
    },
    scheduling: () => ({ state: "active", reason: "" }),
    clock: systemClock,
    changed: () => undefined,
  });
  ledger.setCells([{ id: 0, cpus: [0, 1], memoryBytes: 8 * 2 ** 30, pages: [], distances: [] }]);
  const none = (): never => assert.fail("no reservations here");
  const rig = await Rig.start(
    uri,
    own,
    vmHostOf(
      {
        ledger,
        storageRead: () => Promise.resolve(),
        trait: () => true,
        kvm: () => ({ kind: "usable" }),
      },
      { take: none, taken: none },
    ),
  );
  const end = new AbortController();
  const feed = footprintFeed(rig.table, (seen, complete) => ledger.setFootprints(seen, complete));
  let fed: Promise<void> = Promise.resolve();
  await new Promise<void>((ready) => {
    fed = feed.run(end.signal, ready);
  });
  return {
    ...{ rig, ledger },
    offer(devices: readonly PciDevice[]): void {
      ledger.setDevices(devicesForGuests(devices, new Set(), aliases), devicesWithheld(devices, aliases));
    },
    async stop(): Promise<void> {
      end.abort();
      await fed.catch(() => undefined);
      await rig.stop();
      if (directory === undefined) await rm(own, { recursive: true });
    },
  };
}

/** A state directory whose agent died in the last of these steps. */
async function cutOff(vmId: string, kind: string, intent: object, steps: readonly string[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "socle-crash-"));
  const dying = await Operations.open({
    directory,
    clock: systemClock,
    log: silentLog,
    retentionMs: 86_400_000,
  });
  const of = { requestId: requestId(), caller: "tester", vmId, fingerprint: "f" };
  const { operation } = await dying.begin({ ...of, kind, intent: { kind, ...intent } });
  await new Promise<void>(
    (cut) =>
      void dying.run(operation, async (step) => {
        for (const name of steps)
          await step(name, () => {
            if (name !== steps.at(-1)) return Promise.resolve();
            cut();
            return new Promise<void>(() => undefined);
          });
        return {};
      }),
  );
  await dying.drain(0);
  return directory;
}
