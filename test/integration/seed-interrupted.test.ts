// Deaths of the agent at the boundaries of its journal while a cloud-init seed changes.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { after, before, suite, test } from "node:test";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { MortalHost } from "../support/mortal-host.ts";
import { bootSector, type SocleHost } from "../support/socle-host.ts";

suite("interrupted changes of a seed", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let mortal: MortalHost;
  let host: SocleHost;

  before(async () => {
    mortal = await MortalHost.start();
    ({ host } = mortal);
  });
  after(() => mortal.stop());

  const seedFiles = async (): Promise<string[]> =>
    (await readdir(host.libvirtd.imagesDirectory)).filter((name) => name.endsWith(".iso"));
  /** The whole seed of the next start, over virsh. */
  const nextSeed = async (vm: string): Promise<string> => {
    const [, file = ""] = /vdz\s+(\S+)/.exec(await host.virsh("domblklist", vm, "--inactive")) ?? [];
    return await readFile(file, "utf8");
  };

  test("the agent's death at a boundary leaves the old or the new seed whole, and its next run the new one alone", async () => {
    const vm = "off";
    const text = (round: number): string =>
      `#cloud-config\n# round ${round} ${"x".repeat(60_000)} end ${round}\n`;
    const cloudInit = { userData: text(0), networkConfig: "version: 1\n", pool: "images" };
    const { error } = await host.create(bootSector(vm, { cloudInit }), { leaveStopped: true });
    assert.equal(error, null);
    let before = 0;
    const seen = new Set<string>();
    // Which step a boundary is in depends on how many records share a write: only the first is surely before the switch.
    for (let boundary = 5; ; boundary += 8) {
      let atDeath: { readonly seeds: number; readonly next: string } | undefined;
      const { died, end } = await mortal.survives(boundary, async (requestId) => {
        const begun = host.client.ask(host.client.contract.vms.ChangeSeed, {
          requestId,
          vm,
          cloudInit: { userData: text(boundary) },
          updateMask: { paths: ["user_data"] },
          newInstanceId: true,
        });
        try {
          return await host.end(await begun, 120_000);
        } catch (thrown) {
          await host.agent.ended();
          atDeath ??= { seeds: (await seedFiles()).length, next: await nextSeed(vm) };
          throw thrown;
        }
      });
      if (atDeath !== undefined) {
        const { seeds, next } = atDeath;
        const found = [before, boundary].filter((round) => next.includes(text(round)));
        assert.equal(found.length, 1, `boundary ${boundary}: a whole seed`);
        seen.add(`${found[0] === before ? "old" : "new"} of ${seeds}`);
      }
      const seed = await nextSeed(vm);
      for (const part of [text(boundary), "version: 1\n"]) assert.ok(seed.includes(part));
      const { instance } = await host.client.ask(host.client.contract.vms.GetVm, { vm });
      assert.ok(!seed.includes(instance));
      // An operation that the stamp in the domain settles has no result.
      assert.ok(seed.includes(end.result["instance_id"] ?? "instance-id"));
      assert.equal((await seedFiles()).length, 1);
      assert.equal(await host.virsh("domstate", vm), "shut off");
      before = boundary;
      if (!died) break;
    }
    const deaths = [...seen].sort().join(", ");
    assert.ok(seen.has("old of 1"), deaths);
    for (const state of seen) assert.match(state, / of [12]$/, deaths);
    await host.remove(vm);
    assert.deepEqual(await seedFiles(), []);
  });
});
