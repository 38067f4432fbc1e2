import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { CampaignRun } from "./campaign.ts";
import { lifeOfADisk, sufferChanges } from "./device-changes.ts";
import { copyWith, type Edit } from "./history/plant.ts";

const planted: readonly {
  readonly what: string;
  readonly edit: Edit;
  readonly found: RegExp;
}[] = [
  {
    what: "a detached disk stays in the definition",
    edit: {
      file: "vm/operations/detach-disk.ts",
      find: 'await step("change definition", () => domains.devices.undefine(vmId, diskAlias(disk)));',
      replace: "",
    },
    found: /DETACH has settled, and the definition has \[boot cd d1\], the spec \[boot cd\]/,
  },
  {
    what: "a disk grows without its spec",
    edit: {
      file: "vm/operations/resize-disk.ts",
      find: "disk.name === name && disk.source.kind",
      replace: "disk.name !== name && disk.source.kind",
    },
    found: /RESIZE has settled, and the volume of d1 has 2097152 bytes, the spec 1048576/,
  },
  {
    what: "a medium changes without its spec",
    edit: {
      file: "vm/operations/change-media.ts",
      find: "write: (spec) => withMedium(spec, disk, medium),",
      replace: "write: (spec) => spec,",
    },
    found: /INSERT has settled, and the media of spec, definition and guest: -; bootsector\.img/,
  },
  {
    what: "a moved disk leaves its old volume",
    edit: {
      file: "vm/operations/move-disk.ts",
      find: "if (extra.disk === disk) await removeUnused(context, vmId, extra);",
      replace: "void extra;",
    },
    found:
      /MOVE has settled, and the pools of spec, files, definition and guest: d1=other; d1=images d1=other;/,
  },
  {
    what: "a size changes without the definition",
    edit: {
      file: "vm/operations/update-vm.ts",
      find: "await step(DEFINITION, () => redefine(context, vmId, asked, parts), 0.2);",
      replace: "",
    },
    found: /the spec has \{"vcpus":2,"memoryBytes":50331648\}, libvirt \{"vcpus":1,"memoryBytes":33554432\}/,
  },
];

suite("the devices campaign finds planted bugs", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  /** One agent has all of them, since each shows in a change of its own. */
  let violations: string;
  const cleanups: (() => Promise<void>)[] = [];

  before(async () => {
    const edits = planted.map(({ edit }) => edit);
    const root = await copyWith(edits, ["scripts/build.mjs"], (remove) => cleanups.push(remove));
    await promisify(execFile)(process.execPath, [join(root, "scripts/build.mjs"), join(root, "built")]);
    const run = new CampaignRun("devices-planted", lifeOfADisk.length);
    cleanups.push(() => run.end());
    await sufferChanges(run, join(root, "built/socle.js"));
    violations = run.violations.join("\n");
  });
  after(async () => {
    for (const cleanUp of cleanups.reverse()) await cleanUp();
  });

  for (const { what, found } of planted) test(what, () => assert.match(violations, found));
});
