import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { CampaignRun } from "./campaign.ts";
import { sufferImages } from "./image-play.ts";
import { copyWith, type Edit } from "./history/plant.ts";

const planted: readonly {
  readonly what: string;
  readonly edits: readonly Edit[];
  readonly tries: number;
  readonly found: RegExp;
}[] = [
  {
    what: "the digest is computed and not compared",
    edits: [
      {
        file: "vm/operations/import-image.ts",
        find: "if (found !== wanted.sha256) throw wrongDigest(wanted, found);",
        replace: 'if (found === "") throw wrongDigest(wanted, found);',
      },
    ],
    tries: 3,
    found: /one byte changed, .*: it was published/,
  },
  {
    what: "a failed import keeps its volume",
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
    tries: 3,
    found: /one byte changed, .*: left over: socle-image-/,
  },
  {
    what: "an image is deleted under its VMs",
    edits: [
      {
        file: "vm/operations/delete-image.ts",
        find: "  if (found.size === 0) return;",
        replace: "  if (found.size < 1000) return;",
      },
    ],
    tries: 1,
    found: /in the race: CREATE_VM failed|, which is deleted/,
  },
];

suite("the image campaign finds planted bugs", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  for (const { what, edits, tries, found } of planted)
    test(what, async (t) => {
      const root = await copyWith(edits, ["scripts/build.mjs"], (remove) => t.after(remove));
      await promisify(execFile)(process.execPath, [join(root, "scripts/build.mjs"), join(root, "built")]);
      const run = new CampaignRun("image-planted", tries);
      t.after(() => run.end());
      await sufferImages(run, join(root, "built/socle.js"));
      assert.match(run.violations.join("\n"), found);
    });
});
