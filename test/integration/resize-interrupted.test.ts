// Deaths of the agent at the boundaries of its journal while a running guest's memory grows and shrinks.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rename } from "node:fs/promises";
import { totalmem } from "node:os";
import { after, before, suite, test } from "node:test";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { linuxCommandLine } from "../support/guest.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import {
  domainAttachDeviceFlags,
  domainDetachDeviceAlias,
  domainUpdateDeviceFlags,
  Libvirt,
  type Procedure,
} from "../../agent/libvirt/index.ts";
import { FaultProxy } from "../faults/proxy.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { MortalHost } from "../support/mortal-host.ts";
import { linux, type SocleHost } from "../support/socle-host.ts";
import { eventually, within } from "../support/wait.ts";

const MIB = 1024 ** 2;

suite("interrupted changes of memory", { skip: libvirtdUnavailable(), timeout: 1_500_000 }, () => {
  let mortal: MortalHost;
  let host: SocleHost;

  before(async () => {
    mortal = await MortalHost.start();
    ({ host } = mortal);
  });
  after(() => mortal.stop());

  const resize = (vm: string, memoryBytes: number, requestId: string): Promise<Operation__Output> => {
    const updateMask = { paths: ["memory_bytes"] };
    const request = { vm, requestId, spec: { memoryBytes }, updateMask };
    return host.client.ask(host.client.contract.vms.UpdateVm, request);
  };
  /** Of each memory device: what it is, what the guest was asked to use of it, and what it uses, in MiB. */
  const devicesIn = (xml: string): number[][] => {
    const all = xml.match(/<memory model='virtio-mem'>.*?<\/memory>/gs) ?? [];
    return all.map((each) =>
      ["size", "requested", "current"].map(
        (what) => Number(new RegExp(`<${what} unit='KiB'>(\\d+)`).exec(each)?.[1]) / 1024,
      ),
    );
  };

  const freeMib = async (): Promise<number> => {
    const cells = (await host.host()).capacity?.cells ?? [];
    const rows = cells.flatMap(({ resources }) => resources).filter(({ resource }) => resource === "memory");
    return rows.reduce((sum, { available }) => sum + (available ?? 0), 0) / MIB;
  };

  test("a guest, its definition and its spec have the same memory after the agent's death at any boundary", async () => {
    const vm = "growing";
    const { kernelBoot } = linux(vm);
    const spec = linux(vm, {
      memoryBytes: 192 * MIB,
      maxMemoryBytes: 704 * MIB,
      // Memory that the kernel uses for itself could not be given back.
      kernelBoot: {
        ...kernelBoot,
        commandLine: `${linuxCommandLine} memhp_default_state=online_movable`,
      },
    });
    const { error } = await host.create(spec);
    assert.equal(error, null, JSON.stringify(error));
    const libvirt = await Libvirt.connect({ uri: host.libvirtd.uri, log: silentLog });
    const shell = await GuestShell.join(libvirt, vm);
    const memTotal = async (): Promise<number> =>
      Number(/MemTotal: +(\d+)/.exec(await shell.run("grep MemTotal /proc/meminfo"))?.[1]) / 1024;
    const booted = await memTotal();
    let deaths = 0;
    for (let boundary = 1; ; boundary += 3) {
      let died = false;
      for (const memoryMib of [448, 192]) {
        const cut = await mortal.survives(boundary, (id) => resize(vm, memoryMib * MIB, id));
        died = cut.died;
        deaths += died ? 1 : 0;
        const grown = memoryMib - 192;
        const live = await host.virsh("dumpxml", vm);
        assert.deepEqual(devicesIn(live), grown === 0 ? [] : [[grown, grown, grown]], `boundary ${boundary}`);
        const defined = await host.virsh("dumpxml", vm, "--inactive");
        assert.match(defined, new RegExp(`<cell id='0' cpus='0' memory='${memoryMib * 1024}'`));
        assert.deepEqual(devicesIn(defined), []);
        const { vms } = host.client.contract;
        const shown = await host.client.ask(vms.GetVm, { vm });
        assert.deepEqual(
          [shown.spec?.memoryBytes, shown.memoryBytes],
          [memoryMib * MIB, memoryMib * MIB],
          `boundary ${boundary}`,
        );
        await eventually(async () => Math.abs((await memTotal()) - booted - grown) < 16, {
          what: "the guest to have the memory",
        });
      }
      if (!died) break;
    }
    assert.ok(deaths >= 3, `${deaths} deaths`);
    await shell.close();
    await libvirt.close();
    await host.remove(vm);
  });

  /** The agent dies when libvirt has made its change, and before the reply. */
  const diesAfter = async (procedure: Procedure<never, unknown>, vm: string, mib: number): Promise<void> => {
    const { socketPath } = host.libvirtd;
    const daemonPath = `${socketPath}.real`;
    await rename(socketPath, daemonPath);
    const proxy = await FaultProxy.start({ socketPath, daemonPath });
    const requestId = randomUUID();
    const ask = (): Promise<Operation__Output> => resize(vm, mib * MIB, requestId);
    try {
      await mortal.restart();
      const death = new Promise<void>((resolve, reject) => {
        const act = () => host.agent.kill().then(() => resolve(), reject);
        proxy.add({ procedure, times: 1, fault: { kind: "notify", at: "reply", act } });
      });
      await ask();
      await within(death, 60_000, `the agent to call ${procedure.name}`);
    } finally {
      await proxy.stop();
      await rename(daemonPath, socketPath);
    }
    await mortal.restart();
    const again = await eventually(ask, { what: "the request to be accepted again", timeoutMs: 60_000 });
    const { error, steps } = await host.end(again, 180_000);
    assert.equal(error, null, `${procedure.name}: ${JSON.stringify(error)} ${JSON.stringify(steps)}`);
  };

  test("a change of memory whose reply died with the agent is made once, and counts as the guest has it", async () => {
    const vm = "once";
    const { kernelBoot } = linux(vm);
    const commandLine = `${linuxCommandLine} memhp_default_state=online_movable`;
    const sizes = { memoryBytes: 192 * MIB, maxMemoryBytes: 704 * MIB };
    const { error } = await host.create(linux(vm, { ...sizes, kernelBoot: { ...kernelBoot, commandLine } }));
    assert.equal(error, null, JSON.stringify(error));
    const libvirt = await Libvirt.connect({ uri: host.libvirtd.uri, log: silentLog });
    await (await GuestShell.join(libvirt, vm)).close();
    await libvirt.close();
    const free = await freeMib();
    const steps = [
      { procedure: domainAttachDeviceFlags, mib: 448, devices: [[256, 256, 256]] },
      { procedure: domainUpdateDeviceFlags, mib: 320, devices: [[256, 128, 128]] },
      { procedure: domainUpdateDeviceFlags, mib: 448, devices: [[256, 256, 256]] },
      { procedure: domainDetachDeviceAlias, mib: 192, devices: [] },
    ] as const;
    for (const { procedure, mib, devices } of steps) {
      await diesAfter(procedure as Procedure<never, unknown>, vm, mib);
      assert.deepEqual(devicesIn(await host.virsh("dumpxml", vm)), devices, procedure.name);
      // With QEMU's own share of it. Of a device in use the whole counts.
      const [whole = 0] = devices[0] ?? [];
      await eventually(async () => Math.abs(free - (await freeMib()) - whole * (257 / 256)) < 1, {
        what: `the capacity after ${procedure.name}`,
      });
    }
    await host.remove(vm);
  });

  test("memory that a guest does not give back counts until its next start, also after the agent's death", async () => {
    const vm = "keeps";
    const root = { volume: { pool: "images", volume: "bootsector.img" }, name: "root", readOnly: true };
    const sizes = { memoryBytes: 192 * MIB, maxMemoryBytes: 704 * MIB };
    const { error } = await host.create({ ...linux(vm, sizes), kernelBoot: null, disks: [root] });
    assert.equal(error, null, JSON.stringify(error));
    const free = await freeMib();
    const refused = host.failureOf(await host.end(await resize(vm, 320 * MIB, randomUUID()), 120_000));
    assert.equal(refused?.reason, "GUEST_KEEPS_MEMORY");
    assert.match(refused.message, /what it keeps of a growth counts until its next start/);
    // It has no driver that would release the device.
    const kept = [[128, 0, 0]];
    assert.deepEqual(devicesIn(await host.virsh("dumpxml", vm)), kept);
    const counted = async (mib: number): Promise<boolean> => Math.abs(free - (await freeMib()) - mib) < 2;
    assert.ok(await counted(128), `${free} ${await freeMib()}`);
    await mortal.restart();
    assert.deepEqual(devicesIn(await host.virsh("dumpxml", vm)), kept);
    await eventually(() => counted(128), { what: "the new agent to count it" });
    const { vms } = host.client.contract;
    const stopped = await host.client.ask(vms.StopVm, {
      requestId: randomUUID(),
      vm,
      force: true,
      gracefulTimeout: { seconds: 0 },
    });
    assert.equal((await host.end(stopped)).error, null);
    const started = await host.client.ask(vms.StartVm, { requestId: randomUUID(), vm });
    assert.equal((await host.end(started)).error, null);
    assert.deepEqual(devicesIn(await host.virsh("dumpxml", vm)), []);
    await eventually(() => counted(0), { what: "the capacity to return" });
    await host.remove(vm);
  });

  test("a growth beyond the host's memory is refused before its effect, and a maximum claims nothing", async () => {
    const vm = "promised";
    const most = totalmem() - (totalmem() % (2 * MIB));
    const { error } = await host.create(linux(vm, { memoryBytes: 128 * MIB, maxMemoryBytes: most }));
    assert.equal(error, null, JSON.stringify(error));
    const refused = { kind: "exhausted", reason: "NO_CAPACITY", message: /not enough memory/ };
    await assert.rejects(resize(vm, most, randomUUID()), refused);
    assert.deepEqual(devicesIn(await host.virsh("dumpxml", vm)), []);
    await host.remove(vm);
  });
});
