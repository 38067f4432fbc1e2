import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { withoutUndefined } from "../../agent/kernel/defined.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import type { Operation } from "../../agent/state/operations/operation.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { type Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { eventually } from "../support/wait.ts";
import { virsh } from "../support/virsh.ts";
import { linux, MIB, requestId, VmStage, type Rig } from "./vms-stage.ts";

suite("the size of VMs over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let stage: VmStage;
  let libvirtd: Libvirtd;
  let rig: Rig;

  before(async () => {
    stage = await VmStage.start();
    ({ libvirtd, rig } = stage);
  });
  after(() => stage.stop());

  const begin = (vm: string, values: Readonly<Record<string, unknown>>, validateOnly = false) => {
    const names = Object.keys(values).map((name) =>
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    );
    const request = { requestId: requestId(), vm, validateOnly, spec: values, updateMask: names };
    return rig.vms.begin("UPDATE_VM", request, "tester");
  };
  const update = async (
    vm: string,
    values: Readonly<Record<string, unknown>>,
  ): Promise<Operation["result"]> => (await rig.succeeds(begin(vm, values))).result;
  const planOf = async (vm: string, values: Readonly<Record<string, unknown>>): Promise<unknown> => {
    const { id, result } = await begin(vm, values, true);
    assert.equal(id, "");
    return result;
  };
  const refusal = async (
    vm: string,
    values: Readonly<Record<string, unknown>>,
  ): Promise<{ readonly reason: string; readonly fields?: unknown }> => {
    try {
      const { state, error } = await rig.done(await begin(vm, values));
      return { reason: state === "failed" ? (error?.reason ?? "") : state };
    } catch (thrown) {
      const { reason, details } = toSocleError(thrown);
      return { reason, fields: details.fields };
    }
  };
  const create = async (
    name: string,
    changes: Readonly<Record<string, unknown>> = {},
    leaveStopped = false,
  ): Promise<string> => {
    const request = linux(name, changes);
    const spec = withoutUndefined(request.spec);
    return (await rig.succeeds(rig.vms.create({ ...request, spec, leaveStopped }, "tester"))).vmId;
  };
  const stop = (vm: string) =>
    rig.succeeds(
      rig.vms.begin("STOP_VM", { requestId: requestId(), vm, force: true, gracefulTimeoutMs: 0 }, "tester"),
    );
  const start = (vm: string) =>
    rig.succeeds(rig.vms.begin("START_VM", { requestId: requestId(), vm, placementEpoch: 0 }, "tester"));
  const remove = (vm: string) =>
    rig.succeeds(
      rig.vms.begin("DELETE_VM", { requestId: requestId(), vm, keepDisks: false, force: true }, "tester"),
    );
  const xml = (vm: string, ...more: string[]): Promise<string> =>
    virsh(libvirtd.uri, ["dumpxml", vm, ...more]);
  /** A boot sector without drivers. */
  const disk = (name: string) => ({
    name,
    source: { kind: "volume", volume: { pool: "images", volume: "bootsector.img" } },
    readOnly: true,
  });
  /** libvirt's numbers of vCPUs: the maximum and the current one, of the definition and of the guest. */
  const vcpus = async (vm: string): Promise<number[]> =>
    [...(await virsh(libvirtd.uri, ["vcpucount", vm])).matchAll(/(\d+)$/gm)].map(([, count]) =>
      Number(count),
    );
  const balloonMib = async (vm: string): Promise<number> =>
    Number(/^actual (\d+)/m.exec(await virsh(libvirtd.uri, ["dommemstat", vm]))?.[1]) / 1024;
  const definedMib = async (vm: string): Promise<number> =>
    Number(/<memory unit='KiB'>(\d+)/.exec(await xml(vm, "--inactive"))?.[1]) / 1024;
  /** Without the record of the newest operation. */
  const picture = async (vm: string): Promise<unknown> => [
    (await xml(vm, "--inactive")).replace(/<socle-op:stamp.*\/>/, "").replaceAll(/\s+/g, " "),
    await vcpus(vm),
    rig.table.get(vm)?.spec,
  ];

  test("a running guest follows its balloon down and up, within the memory that it was started with", async () => {
    const vm = await create("balloon", { memoryBytes: 256 * MIB });
    const shell = await GuestShell.join(rig.libvirt, "balloon");
    const memoryMib = async (): Promise<number> =>
      Number(/MemTotal: +(\d+)/.exec(await shell.run("grep MemTotal /proc/meminfo"))?.[1]) / 1024;
    const full = await memoryMib();
    const now = { applies: "now" };
    assert.deepEqual(await planOf(vm, { memoryBytes: 192 * MIB }), {
      validated: "true",
      changes: "memory_bytes",
      ...now,
    });
    assert.deepEqual(await update(vm, { memoryBytes: 192 * MIB }), { changed: "memory_bytes", ...now });
    assert.equal(await balloonMib(vm), 192);
    assert.equal(await definedMib(vm), 192);
    assert.ok(full - (await memoryMib()) > 60, "the guest gave memory back");
    // What is asked for, and what the guest can take by itself.
    const seen = rig.table.get(vm);
    assert.deepEqual([seen?.spec?.memoryBytes, seen?.memoryBytes], [192 * MIB, 256 * MIB]);
    await update(vm, { memoryBytes: 256 * MIB });
    assert.equal(await balloonMib(vm), 256);
    await eventually(async () => (await memoryMib()) === full, { what: "the guest to have its memory back" });

    const later = { applies: "at the next start", at_next_start: "memory_bytes" };
    assert.deepEqual(await update(vm, { memoryBytes: 320 * MIB }), { changed: "memory_bytes", ...later });
    assert.deepEqual([await balloonMib(vm), await definedMib(vm)], [256, 320]);
    await stop(vm);
    await start(vm);
    assert.equal(await balloonMib(vm), 320);
    assert.equal(rig.table.get(vm)?.memoryBytes, 320 * MIB);
    await remove(vm);
  });

  test("a guest that does not follow its balloon keeps its memory, and nothing is changed", async () => {
    const vm = await create("keeps", { kernelBoot: undefined, disks: [disk("root")] });
    const before = await picture(vm);
    assert.equal((await refusal(vm, { memoryBytes: 64 * MIB })).reason, "GUEST_KEEPS_MEMORY");
    assert.deepEqual(await picture(vm), before);
    assert.equal(await balloonMib(vm), 128);
    await remove(vm);
  });

  const GROWING = { memoryBytes: 192 * MIB, maxMemoryBytes: 704 * MIB };
  /** Of each memory device: what it is, what the guest was asked to use of it, and what it uses, in MiB. */
  const devices = async (vm: string, ...flags: string[]): Promise<string[]> => {
    const all = (await xml(vm, ...flags)).match(/<memory model='virtio-mem'>.*?<\/memory>/gs) ?? [];
    const mib = (device: string, what: string): number =>
      Number(new RegExp(`<${what} unit='KiB'>(\\d+)`).exec(device)?.[1]) / 1024;
    return all.map((each) => ["size", "requested", "current"].map((what) => mib(each, what)).join(" "));
  };
  const totalMib = async (vm: string): Promise<number> =>
    Number(/<memory unit='KiB'>(\d+)/.exec(await xml(vm))?.[1]) / 1024;
  const memTotalMib = async (shell: GuestShell): Promise<number> =>
    Number(/MemTotal: +(\d+)/.exec(await shell.run("grep MemTotal /proc/meminfo"))?.[1]) / 1024;
  const shownMib = (vm: string): number => (rig.table.get(vm)?.memoryBytes ?? 0) / MIB;
  /** Memory that the kernel uses for itself could not be given back. */
  const movable = (name: string): Record<string, unknown> => {
    const { kernelBoot } = linux(name).spec as { kernelBoot: { commandLine: string } };
    const commandLine = `${kernelBoot.commandLine} memhp_default_state=online_movable`;
    return { ...GROWING, kernelBoot: { ...kernelBoot, commandLine } };
  };

  test("a running guest gets memory up to its maximum and gives it back, and its next start has it from the beginning", async () => {
    const vm = await create("grows", movable("grows"));
    const shell = await GuestShell.join(rig.libvirt, "grows");
    const booted = await memTotalMib(shell);
    const now = { applies: "now" };
    assert.deepEqual(await planOf(vm, { memoryBytes: 448 * MIB }), {
      validated: "true",
      changes: "memory_bytes",
      ...now,
    });
    // What the guest was not given is not in its machine.
    assert.deepEqual([await devices(vm), await totalMib(vm), shownMib(vm)], [[], 192, 192]);
    assert.deepEqual(await update(vm, { memoryBytes: 448 * MIB }), { changed: "memory_bytes", ...now });
    assert.deepEqual([await devices(vm), await totalMib(vm), shownMib(vm)], [["256 256 256"], 448, 448]);
    await eventually(async () => (await memTotalMib(shell)) - booted > 240, {
      what: "the guest to use its memory",
    });
    assert.equal(rig.table.get(vm)?.spec?.memoryBytes, 448 * MIB);
    await update(vm, { memoryBytes: 576 * MIB });
    assert.deepEqual([await devices(vm), shownMib(vm)], [["256 256 256", "128 128 128"], 576]);

    // Of a device that the guest still uses a part of, it can take the rest back: the whole counts.
    assert.deepEqual(await update(vm, { memoryBytes: 320 * MIB }), { changed: "memory_bytes", ...now });
    assert.deepEqual([await devices(vm), await totalMib(vm), shownMib(vm)], [["256 128 128"], 448, 448]);
    await update(vm, { memoryBytes: 448 * MIB });
    assert.deepEqual([await devices(vm), shownMib(vm)], [["256 256 256"], 448]);
    // Below what it was started with, the balloon takes the rest.
    await update(vm, { memoryBytes: 160 * MIB });
    assert.deepEqual([await devices(vm), await balloonMib(vm), shownMib(vm)], [[], 160, 192]);
    await update(vm, { memoryBytes: 320 * MIB });
    assert.deepEqual([await devices(vm), await balloonMib(vm)], [["128 128 128"], 192]);
    assert.deepEqual(await devices(vm, "--inactive"), []);

    await stop(vm);
    await start(vm);
    const again = await GuestShell.join(rig.libvirt, "grows");
    assert.ok((await memTotalMib(again)) - booted > 110, "it boots with all of its memory");
    assert.deepEqual([await devices(vm), shownMib(vm)], [[], 320]);
    // A Linux guest takes whole memory blocks: what is beyond them waits.
    const partly = { applies: "at the next start", at_next_start: "memory_bytes" };
    assert.deepEqual(await update(vm, { memoryBytes: 600 * MIB }), { changed: "memory_bytes", ...partly });
    assert.deepEqual([await devices(vm), shownMib(vm)], [["256 256 256"], 576]);
    await remove(vm);
  });

  test("a grown guest has its memory after each reset, and what it can take counts while it is suspended", async () => {
    const vm = await create("keeps", movable("keeps"));
    const first = await GuestShell.join(rig.libvirt, "keeps");
    const booted = await memTotalMib(first);
    await first.close();
    await update(vm, { memoryBytes: 448 * MIB });
    const reset = async (): Promise<GuestShell> => {
      await rig.succeeds(rig.vms.begin("REBOOT_VM", { requestId: requestId(), vm, force: true }, "tester"));
      const shell = await GuestShell.join(rig.libvirt, "keeps");
      const grown = async (): Promise<boolean> => (await devices(vm))[0] === "256 256 256";
      await eventually(grown, { what: "the guest to take its memory" });
      await eventually(async () => (await memTotalMib(shell)) - booted > 240, {
        what: "the guest to use its memory",
      });
      return shell;
    };
    await (await reset()).close();
    const shell = await reset();
    await update(vm, { memoryBytes: 320 * MIB });
    assert.deepEqual([await devices(vm), shownMib(vm)], [["256 128 128"], 448]);
    await shell.run("echo remembered >/run/memory");
    const had = await memTotalMib(shell);
    await shell.close();

    await rig.succeeds(rig.vms.begin("SUSPEND_VM", { requestId: requestId(), vm }, "tester"));
    assert.match(await virsh(libvirtd.uri, ["domstate", "keeps", "--reason"]), /saved/);
    // Its kernel can use the rest of the device again once it continues.
    const { memoryBytes, savedMemoryBytes } = rig.table.get(vm) ?? {};
    assert.deepEqual([memoryBytes, savedMemoryBytes], [320 * MIB, 448 * MIB]);
    assert.equal((await refusal(vm, { memoryBytes: 256 * MIB })).reason, "VM_HAS_SAVED_STATE");
    await start(vm);
    assert.equal(rig.table.get(vm)?.savedMemoryBytes, undefined);
    const again = await GuestShell.join(rig.libvirt, "keeps");
    assert.match(await again.run("cat /run/memory"), /remembered/);
    assert.equal(await memTotalMib(again), had);
    assert.deepEqual([await devices(vm), shownMib(vm)], [["256 128 128"], 448]);
    await update(vm, { memoryBytes: 576 * MIB });
    await eventually(async () => (await memTotalMib(again)) - had > 240, {
      what: "the guest to grow again",
    });
    // Its balloon follows, although libvirt's count of it is wrong after a reset.
    await update(vm, { memoryBytes: 160 * MIB });
    assert.deepEqual([await devices(vm), shownMib(vm), await balloonMib(vm)], [[], 192, 160]);
    await again.close();
    await remove(vm);
  });

  test("a guest that takes no memory refuses, and what it keeps of the devices counts until its next start", async () => {
    const vm = await create("takes-none", { ...GROWING, kernelBoot: undefined, disks: [disk("root")] });
    const before = await picture(vm);
    assert.equal((await refusal(vm, { memoryBytes: 320 * MIB })).reason, "GUEST_KEEPS_MEMORY");
    assert.deepEqual(await picture(vm), before);
    // It has no driver that would release the device, whose memory its kernel could use.
    assert.deepEqual([await devices(vm), await totalMib(vm), shownMib(vm)], [["128 0 0"], 320, 320]);
    // QEMU has asked the guest to release it, and does not fill it again: a repetition changes nothing.
    assert.equal((await refusal(vm, { memoryBytes: 320 * MIB })).reason, "GUEST_KEEPS_MEMORY");
    assert.deepEqual([await devices(vm), shownMib(vm)], [["128 0 0"], 320]);
    await stop(vm);
    await start(vm);
    assert.deepEqual([await devices(vm), shownMib(vm)], [[], 192]);
    await remove(vm);
  });

  test("a VM gets a maximum, and loses it, at its next start", async () => {
    const vm = await create("gets-more", { cpuMode: "custom", cpuModel: "Nehalem", maxVcpus: 2 });
    assert.deepEqual((await refusal(vm, { maxMemoryBytes: 64 * MIB })).fields, {
      "spec.memoryBytes": `must be at most maxMemoryBytes (${64 * MIB}); raise that, too`,
    });
    const later = { applies: "at the next start", at_next_start: "max_memory_bytes" };
    assert.deepEqual(await update(vm, { maxMemoryBytes: 256 * MIB }), {
      changed: "max_memory_bytes",
      ...later,
    });
    assert.doesNotMatch(await xml(vm), /<maxMemory/);
    await stop(vm);
    await start(vm);
    const shell = await GuestShell.join(rig.libvirt, "gets-more");
    const booted = await memTotalMib(shell);
    await update(vm, { memoryBytes: 256 * MIB });
    await eventually(async () => (await memTotalMib(shell)) - booted > 110, { what: "the guest's memory" });
    // At its maximum, the next start has no more to give.
    assert.doesNotMatch(await xml(vm, "--inactive"), /virtio-mem|<maxMemory|<numa>/);
    assert.match(await xml(vm, "--inactive"), /Nehalem/);
    await update(vm, { memoryBytes: 128 * MIB, maxVcpus: 3 });
    assert.match(await xml(vm, "--inactive"), /<cell id='0' cpus='0-2' memory='131072'/);
    await update(vm, { maxMemoryBytes: undefined });
    assert.doesNotMatch(await xml(vm, "--inactive"), /virtio-mem|<maxMemory|<numa>/);
    await stop(vm);
    await start(vm);
    assert.doesNotMatch(await xml(vm), /<maxMemory|<numa>/);
    await remove(vm);
  });

  test("a running guest gets vCPUs up to its maximum, and more at its next start", async () => {
    const vm = await create("plugged", { maxVcpus: 3 });
    assert.deepEqual(await vcpus(vm), [3, 3, 1, 1]);
    assert.deepEqual(await update(vm, { vcpus: 3 }), { changed: "vcpus", applies: "now" });
    assert.deepEqual(await vcpus(vm), [3, 3, 3, 3]);
    assert.deepEqual([rig.table.get(vm)?.vcpus, rig.table.get(vm)?.spec?.vcpus], [3, 3]);
    // This guest cannot bring such a vCPU up, so it does not release it either.
    const before = await picture(vm);
    assert.equal((await refusal(vm, { vcpus: 2 })).reason, "GUEST_KEEPS_VCPUS");
    assert.deepEqual(await picture(vm), before);
    assert.deepEqual((await refusal(vm, { vcpus: 4 })).fields, {
      "spec.vcpus": "must be at most maxVcpus (3); raise that, too",
    });
    const both = { vcpus: 4, maxVcpus: 6 };
    assert.deepEqual(await update(vm, both), {
      changed: "vcpus,max_vcpus",
      applies: "at the next start",
      at_next_start: "vcpus,max_vcpus",
    });
    assert.deepEqual(await vcpus(vm), [6, 3, 4, 3]);
    assert.deepEqual([rig.table.get(vm)?.vcpus, rig.table.get(vm)?.spec?.vcpus], [3, 4]);
    await stop(vm);
    await start(vm);
    assert.deepEqual(await vcpus(vm), [6, 6, 4, 4]);
    await remove(vm);
  });

  test("a running guest releases vCPUs that it was started with, if the VM has a maximum", async () => {
    const vm = await create("released", { vcpus: 2, maxVcpus: 2 });
    const shell = await GuestShell.join(rig.libvirt, "released");
    const seen = async (): Promise<number> => Number(await shell.run("nproc"));
    assert.equal(await seen(), 2);
    assert.deepEqual(await update(vm, { vcpus: 1 }), { changed: "vcpus", applies: "now" });
    assert.deepEqual(await vcpus(vm), [2, 2, 1, 1]);
    assert.equal(await seen(), 1);
    assert.equal(rig.table.get(vm)?.vcpus, 1);
    await remove(vm);
  });

  test("CPU model and boot order apply at the next start, and the rest of the definition stays", async () => {
    const vm = await create(
      "modelled",
      { kernelBoot: undefined, disks: [disk("a"), disk("b")], guestAgent: true },
      false,
    );
    // Another client's.
    await virsh(libvirtd.uri, ["desc", vm, "--config", "--new-desc", "by hand"]);
    const addresses = async (): Promise<string[]> =>
      (await xml(vm, "--inactive")).match(/<address type='pci'.*\/>/g) ?? [];
    const before = await addresses();
    assert.ok(before.length > 16);
    const changed = { cpuMode: "custom", cpuModel: "Nehalem", bootOrder: ["b", "a"] };
    assert.deepEqual(await update(vm, changed), {
      changed: "cpu_mode,cpu_model,boot_order",
      applies: "at the next start",
      at_next_start: "cpu_mode,cpu_model,boot_order",
    });
    const orders = async (...more: string[]): Promise<string[]> =>
      (await xml(vm, ...more))
        .split("<disk ")
        .slice(1)
        .map((text) => `${/name='ua-disk-(\w)'/.exec(text)?.[1]}${/boot order='(\d)'/.exec(text)?.[1]}`);
    assert.deepEqual(await orders("--inactive"), ["a2", "b1"]);
    assert.deepEqual(await addresses(), before);
    assert.match(await xml(vm, "--inactive"), /<description>by hand<\/description>/);
    await stop(vm);
    await start(vm);
    assert.deepEqual(await orders(), ["a2", "b1"]);
    assert.match(await xml(vm), /<model fallback='forbid'>Nehalem<\/model>/);
    const detach = { requestId: requestId(), vm, disk: "b", deleteVolume: false };
    await assert.rejects(rig.vms.begin("DETACH_DISK", detach, "tester"), { reason: "BOOT_DISK" });
    await update(vm, { cpuMode: undefined, cpuModel: undefined, bootOrder: undefined });
    assert.deepEqual(await orders("--inactive"), ["a1", "bundefined"]);
    assert.doesNotMatch(await xml(vm, "--inactive"), /Nehalem/);
    await remove(vm);
  });

  test("what cannot be done is refused, names the field, and changes nothing", async () => {
    const vm = await create("refused", { cpuTopology: { sockets: 1, cores: 1, threads: 1 } }, true);
    const before = await picture(vm);
    const fields = async (values: Readonly<Record<string, unknown>>): Promise<unknown> =>
      Object.keys((await refusal(vm, values)).fields ?? {});
    assert.deepEqual(await fields({ vcpus: 2 }), ["spec.cpuTopology"]);
    assert.deepEqual(await fields({ vcpus: 0 }), ["spec.vcpus"]);
    assert.deepEqual(await fields({ memoryBytes: 1000 }), ["spec.memoryBytes"]);
    assert.deepEqual(await fields({ cpuMode: "custom" }), ["spec.cpuModel"]);
    assert.deepEqual(await fields({ bootOrder: ["root"] }), ["spec.bootOrder", "spec.bootOrder[0]"]);
    const model = await refusal(vm, { cpuMode: "custom", cpuModel: "none" });
    assert.deepEqual(
      [model.reason, Object.keys(model.fields ?? {})],
      ["CPU_MODEL_UNUSABLE", ["spec.cpuModel"]],
    );
    assert.deepEqual(await picture(vm), before);
    await update(vm, { vcpus: 2, cpuTopology: { sockets: 1, cores: 2, threads: 1 } });
    assert.deepEqual(await vcpus(vm), [2, 2]);
    await remove(vm);
  });
});
