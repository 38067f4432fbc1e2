import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import { SEED_ALIAS } from "../../../../agent/vm/model/device-names.ts";
import { laterSeed, seedText } from "../../../../agent/vm/model/seed-note.ts";
import { changeSeed } from "../../../../agent/vm/operations/change-seed.ts";
import type { Admission } from "../../../../agent/vm/operations/definition.ts";
import { publicKey } from "../../../support/vm/seeds.ts";
import { pathOf, root, WorkStage } from "../../../support/vm/work-stage.ts";

const admit = (on: WorkStage, request: object) =>
  changeSeed.admit?.(
    { cloudInit: {}, updateMask: [], newInstanceId: false, ...request },
    on.table.get(WorkStage.id) ?? assert.fail(),
    {} as Admission,
  ) ?? assert.fail();

test("a value that the mask does not name is refused, and so is a change of nothing", () => {
  const on = new WorkStage([root], { cloudInit: { pool: "images" } });
  const given = {
    hostname: "web",
    sshKeys: [publicKey],
    userData: "#cloud-config",
    networkConfig: "version: 1",
  };
  for (const [part, value] of Object.entries(given))
    assert.throws(
      () => admit(on, { cloudInit: { [part]: value }, newInstanceId: true }),
      ({ reason, details }: SocleError) =>
        reason === "SPEC_INVALID" && JSON.stringify(details).includes(`cloudInit.${part}`),
      part,
    );
  assert.deepEqual(admit(on, { cloudInit: { sshKeys: [] }, newInstanceId: true }).parts, []);
  for (const stage of [on, new WorkStage([root])])
    assert.throws(() => admit(stage, {}), { reason: "UPDATE_EMPTY" });
});

test("while an old seed is to be deleted, a new one comes into its pool", () => {
  const on = new WorkStage([root]);
  on.note({ seed: seedText({ pool: "other", others: [laterSeed(WorkStage.id, "aaaaaaaa")] }) ?? "" });
  assert.equal(admit(on, { newInstanceId: true }).volume.pool, "other");
  assert.throws(() => admit(on, { newInstanceId: true, cloudInit: { pool: "images" } }), {
    reason: "SPEC_INVALID",
  });
});

test("a seed that the definition uses after all is not removed by a failure", async () => {
  for (const isLate of [true, false]) {
    const on = new WorkStage([root], { cloudInit: { pool: "images" } });
    const asked = admit(on, { updateMask: ["user_data", "network_config"] });
    on.volumes.set(`${asked.volume.pool}/${asked.volume.volume}`, 1);
    let isSwitched = false;
    const disks = () => (isSwitched ? [{ alias: SEED_ALIAS, source: { path: pathOf(asked.volume) } }] : []);
    const { domains, volumes } = on.context;
    const before = domains.document.bind(domains);
    const document = async (id: string) => {
      const found = (await before(id)) ?? assert.fail();
      return { ...found, devices: { ...found.devices, disks: disks() } };
    };
    // libvirt does then what the run before asked for.
    const make = () => {
      isSwitched = isLate;
      return Promise.reject(new SocleError("conflict", "FAILED", "it fails"));
    };
    Object.assign(domains, { document });
    Object.assign(volumes, { make, read: () => Promise.resolve(Buffer.alloc(0)) });
    const error = await changeSeed
      .run(on.context, asked, on.run({ done: ["claim volume"] }))
      .catch(toSocleError);
    assert.ok(error instanceof SocleError);
    assert.equal(error.kind, isLate ? "outcome_unknown" : "conflict", error.message);
    assert.equal(
      on.did.some((effect) => effect.startsWith("remove")),
      !isLate,
    );
  }
});
