import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { CampaignRun } from "./campaign.ts";
import { sufferImages } from "./image-play.ts";
import { copyWith, type Edit } from "./history/plant.ts";

interface Planted {
  readonly edits: readonly Edit[];
  readonly found: RegExp;
}

const uncompared: Planted = {
  edits: [
    {
      file: "vm/operations/import-image.ts",
      find: "if (found !== wanted.sha256) throw wrongDigest(wanted, found);",
      replace: 'if (found === "") throw wrongDigest(wanted, found);',
    },
  ],
  found: /one byte changed, .*: it was published/,
};

const deletedInUse: Planted = {
  edits: [
    {
      file: "vm/operations/delete-image.ts",
      find: "  if (found.size === 0) return;",
      replace: "  if (found.size < 1000) return;",
    },
  ],
  found: /in the race: CREATE_VM failed|, which is deleted/,
};

const leftOver: Planted = {
  edits: [
    {
      file: "vm/operations/import-image.ts",
      find: ".undo(DOWNLOAD, () => volumes.remove(wanted))",
      replace: ".undo(DOWNLOAD, () => Promise.resolve())",
    },
    {
      file: "vm/images/image-store.ts",
      find: "for (const part of leftovers) await this.#removeLeftover(part);",
      replace: "if (leftovers.length > 1000) await this.#removeLeftover(leftovers[0] as FoundImage);",
    },
  ],
  found: /one byte changed, .*: left over: socle-image-/,
};

/** Of one agent each; the third image is the one with a changed byte. */
const agents: Readonly<Record<string, readonly Planted[]>> = {
  "the digest is computed and not compared, and an image is deleted under its VMs": [
    uncompared,
    deletedInUse,
  ],
  "a failed import keeps its volume": [leftOver],
};
const TRIES = 3;

suite("the image campaign finds planted bugs", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  for (const [what, planted] of Object.entries(agents))
    test(what, async (t) => {
      const edits = planted.flatMap((each) => each.edits);
      const root = await copyWith(edits, ["scripts/build.mjs"], (remove) => t.after(remove));
      await promisify(execFile)(process.execPath, [join(root, "scripts/build.mjs"), join(root, "built")]);
      const run = new CampaignRun("image-planted", TRIES);
      t.after(() => run.end());
      await sufferImages(run, join(root, "built/socle.js"));
      for (const { found } of planted) assert.match(run.violations.join("\n"), found);
    });
});
