// Deaths of the agent at the boundaries of its journal while a running guest's memory grows and shrinks.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { totalmem } from "node:os";
import { after, before, suite, test } from "node:test";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { linuxCommandLine } from "../support/guest.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { MortalHost } from "../support/mortal-host.ts";
import { linux, type SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const MIB = 1024 ** 2;

suite("interrupted changes of memory", { skip: libvirtdUnavailable(), timeout: 1_500_000 }, () => {
  let mortal: MortalHost;
  let host: SocleHost;

  before(async () => {
    mortal = await MortalHost.start({ config: { vm: { allowUnlimitedGrowth: true } } });
    ({ host } = mortal);
  });
  after(() => mortal.stop());

  const resize = (vm: string, memoryBytes: number, requestId: string): Promise<Operation__Output> => {
    const updateMask = { paths: ["memory_bytes"] };
    const request = { vm, requestId, spec: { memoryBytes }, updateMask };
    return host.client.ask(host.client.contract.vms.UpdateVm, request);
  };
  const mib = (xml: string, element: string): number =>
    Number(new RegExp(`<${element}(?: unit='KiB')?>(\\d+)`).exec(xml)?.[1]) / 1024;

  test("a guest, its definition and its spec have the same memory after the agent's death at any boundary", async () => {
    const vm = "growing";
    const { kernelBoot } = linux(vm);
    const spec = linux(vm, {
      memoryBytes: 192 * MIB,
      maxMemoryBytes: 512 * MIB,
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
    for (let boundary = 1; ; boundary += 5) {
      let died = false;
      for (const memoryMib of [384, 256]) {
        const cut = await mortal.survives(boundary, (id) => resize(vm, memoryMib * MIB, id));
        died = cut.died;
        deaths += died ? 1 : 0;
        const live = await host.virsh("dumpxml", vm);
        const grown = memoryMib - 192;
        assert.deepEqual([mib(live, "requested"), mib(live, "current")], [grown, grown]);
        const defined = await host.virsh("dumpxml", vm, "--inactive");
        assert.match(defined, new RegExp(`<cell id='0' cpus='0' memory='${memoryMib * 1024}'`));
        assert.deepEqual([mib(defined, "size"), mib(defined, "requested")], [512 - memoryMib, 0]);
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

  test("a growth beyond the host's memory is refused with the reason, and a maximum claims nothing", async () => {
    const vm = "promised";
    const most = totalmem() - (totalmem() % (2 * MIB));
    const beyond = host.create(linux(vm, { memoryBytes: 128 * MIB, maxMemoryBytes: most + 2 * MIB }));
    await assert.rejects(beyond, /the memory of this host/);
    const sizes = { memoryBytes: 128 * MIB, maxMemoryBytes: most };
    const { error } = await host.create(linux(vm, sizes));
    assert.equal(error, null, JSON.stringify(error));
    const refused = { kind: "exhausted", reason: "NO_CAPACITY", message: /not enough memory/ };
    await assert.rejects(resize(vm, most, randomUUID()), refused);
    const live = await host.virsh("dumpxml", vm);
    assert.deepEqual([mib(live, "requested"), mib(live, "current")], [0, 0]);
    await host.remove(vm);
  });
});
