// Deaths of the agent at the boundaries of its journal while a VM is rescued.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { MortalHost } from "../support/mortal-host.ts";
import { saying } from "../support/screen/boot-sectors.ts";
import { bootSector, type SocleHost } from "../support/socle-host.ts";

suite("interrupted rescues", { skip: libvirtdUnavailable(), timeout: 1_500_000 }, () => {
  let mortal: MortalHost;
  let host: SocleHost;

  before(async () => {
    mortal = await MortalHost.start();
    ({ host } = mortal);
    for (const name of ["own", "rescue"])
      await writeFile(join(host.libvirtd.imagesDirectory, `${name}.img`), saying(name));
    await host.virsh("pool-refresh", "images");
  });
  after(() => mortal.stop());

  const requests = {
    RescueVm: { volume: { pool: "images", volume: "rescue.img" }, force: true, gracefulTimeout: {} },
    UnrescueVm: { force: true, gracefulTimeout: {} },
  } as const;
  const begin = (
    method: keyof typeof requests,
    vm: string,
    requestId: string,
  ): Promise<Operation__Output> => {
    const { vms } = host.client.contract;
    return host.client.ask(vms[method], { ...requests[method], vm, requestId });
  };
  const volumes = async (): Promise<string[]> =>
    (await host.volumes()).filter((name) => name.endsWith(".rescue.qcow2"));
  const shown = async (vm: string): Promise<"off" | "rescued" | "runs"> => {
    if ((await host.virsh("domstate", vm)) !== "running") return "off";
    return (await host.virsh("dumpxml", vm)).includes("ua-rescue") ? "rescued" : "runs";
  };
  /** Does it with an agent that dies at the boundary, then with the next one; whether the agent died. */
  const cutOff = async (boundary: number, method: keyof typeof requests, vm: string): Promise<boolean> => {
    const from = await shown(vm);
    const { died, end } = await mortal.cutOff(boundary, (requestId) => begin(method, vm, requestId));
    const reason = host.failureOf(end)?.reason;
    if (reason !== undefined) {
      // It died before it had marked the run of the guest that it was to stop.
      assert.equal(reason, "INTERRUPTED", `${method} at boundary ${boundary}`);
      assert.equal(await shown(vm), from, "nothing has happened");
      const { error } = await host.end(await begin(method, vm, randomUUID()), 120_000);
      assert.equal(error, null, JSON.stringify(error));
    }
    return died;
  };

  for (const [vm, leaveStopped] of [
    ["off", true],
    ["runs", false],
  ] as const)
    test(`a VM that ${leaveStopped ? "is off" : "runs"} is rescued and comes back over the agent's deaths`, async () => {
      const disks = [{ name: "root", newVolume: { pool: "images", baseVolume: "own.img" } }];
      const { error } = await host.create(bootSector(vm, { disks }), { leaveStopped });
      assert.equal(error, null);
      const before = await host.virsh("dumpxml", vm, "--inactive");
      const withoutMetadata = (xml: string): string => xml.replace(/<metadata>.*<\/metadata>/s, "");
      let deaths = 0;
      for (let boundary = 1; ; boundary += 11) {
        if (await cutOff(boundary, "RescueVm", vm)) deaths += 1;
        assert.equal(await shown(vm), "rescued");
        assert.equal((await volumes()).length, 1);
        const died = await cutOff(boundary, "UnrescueVm", vm);
        assert.equal(await shown(vm), leaveStopped ? "off" : "runs");
        assert.deepEqual(await volumes(), []);
        const now = await host.virsh("dumpxml", vm, "--inactive");
        assert.equal(withoutMetadata(now), withoutMetadata(before));
        assert.doesNotMatch(now, /socle:rescue/);
        if (!died) break;
        deaths += 1;
      }
      assert.ok(deaths >= 3, `${deaths} deaths`);
      await host.remove(vm);
    });
});
