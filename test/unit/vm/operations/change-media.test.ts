import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import { changeMedia } from "../../../../agent/vm/operations/change-media.ts";
import { pathOf, root, WorkStage } from "../../../support/vm/work-stage.ts";

const [one, two] = ["one.iso", "two.iso"].map((volume) => ({ pool: "images", volume })) as [
  { pool: string; volume: string },
  { pool: string; volume: string },
];
const CD = "ua-disk-cd";

/** A drive with the first medium. `fails`: the effect that fails. */
function stage(fails: string): WorkStage {
  const on = new WorkStage([root, { name: "cd", readOnly: true, source: { kind: "cdrom", volume: one } }]);
  on.volumes.set("images/one.iso", 1).set("images/two.iso", 1);
  on.files.set(CD, pathOf(one));
  let left = 1;
  on.before = (effect) => {
    if (effect === fails && (left -= 1) >= 0) throw new SocleError("conflict", "FAILED", "it fails");
  };
  return on;
}
const insert = (on: WorkStage): Promise<string> =>
  changeMedia.run(on.context, { disk: "cd", medium: two }, on.run()).then(
    () => "none",
    (thrown: unknown) => toSocleError(thrown).reason,
  );
const inSpec = (on: WorkStage): unknown => {
  const source = on.spec.disks.find(({ name }) => name === "cd")?.source;
  return source?.kind === "cdrom" ? source.volume : "no drive";
};

test("a change that fails puts the medium of before back", async () => {
  const on = stage("write metadata");
  assert.equal(await insert(on), "FAILED");
  assert.deepEqual([on.files.get(CD), inSpec(on)], [pathOf(one), one]);
});

test("a medium of before that is gone leaves an empty drive, also in the spec", async () => {
  const on = stage("write metadata");
  const { before } = on;
  on.before = (effect) => {
    before(effect);
    if (effect.startsWith("give")) on.volumes.delete("images/one.iso");
  };
  assert.equal(await insert(on), "FAILED");
  assert.deepEqual([on.files.get(CD), inSpec(on)], [undefined, undefined]);
});

test("a drive that still has a medium whose volume is gone keeps it", async () => {
  const on = stage(`give ${CD} ${pathOf(two)}`);
  on.volumes.delete("images/one.iso");
  assert.equal(await insert(on), "FAILED");
  assert.deepEqual([on.files.get(CD), inSpec(on)], [pathOf(one), one]);
});
