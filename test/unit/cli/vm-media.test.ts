import assert from "node:assert/strict";
import test from "node:test";
import { diskOver, withFlags } from "../../../agent/cli/vm-spec.ts";
import { endsWith, running } from "../../support/cli/change-stage.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { operation } from "../../support/cli/samples.ts";

test("a medium is an image or a volume; eject names none; a move names the pool", async (context) => {
  const asked: unknown[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      ChangeMedia({ request: { vm, disk, medium, image, volume, force, validateOnly } }, done) {
        asked.push([vm, disk, medium === "image" ? image : (volume?.volume ?? "none"), force, validateOnly]);
        done(null, running);
      },
      MoveDisk({ request: { vm, disk, pool, validateOnly } }, done) {
        asked.push([vm, disk, pool, validateOnly]);
        done(null, running);
      },
    },
    operations: endsWith(operation({ kind: "CHANGE_MEDIA", result: { medium: "isos/a.iso" } })),
  });
  const disk = async (...words: string[]) => await socle(["vm", "disk", ...words], { socket });
  assert.match((await disk("insert", "web-1", "cd", "isos/a.iso")).stdout, /medium: isos\/a\.iso/);
  await disk("insert", "web-1", "cd", "image:debian", "--force", "--dry-run");
  await disk("eject", "web-1", "cd");
  await disk("move", "web-1", "data", "fast", "--dry-run");
  assert.deepEqual(asked, [
    ["web-1", "cd", "a.iso", false, false],
    ["web-1", "cd", "debian", true, true],
    ["web-1", "cd", "none", false, false],
    ["web-1", "data", "fast", true],
  ]);
  const wrong = await disk("insert", "web-1", "cd", "a.iso");
  assert.equal(wrong.exitCode, 2);
  assert.match(wrong.stderr, /MEDIUM takes POOL\/VOLUME/);
});

test("a disk over an image is attached by the image's name and a pool", () => {
  assert.deepEqual(diskOver("debian", "new:default", "data"), {
    name: "data",
    newVolume: { pool: "default", capacityBytes: 0, image: "debian" },
  });
  assert.equal(diskOver("debian", "new:default:1GiB", "data").newVolume?.capacityBytes, 2 ** 30);
  for (const wrong of ["default/data.raw", "new:", "new:default:1GiB:base.qcow2", "new:default:much"])
    assert.throws(() => diskOver("debian", wrong, "data"), { reason: "USAGE" }, wrong);
});

test("the drives of a new VM are behind its disks, and the first boots an empty disk", () => {
  const made = withFlags({}, { disk: ["new:default:1GiB"], cdrom: ["image:debian", "isos/drivers.iso"] });
  assert.deepEqual(
    made.disks?.map(({ name }) => name),
    ["disk0", "cdrom0", "cdrom1"],
  );
  assert.deepEqual(
    made.disks.slice(1).map(({ cdrom }) => cdrom),
    [{ image: "debian" }, { volume: { pool: "isos", volume: "drivers.iso" } }],
  );
  assert.deepEqual(made.bootOrder, ["disk0", "cdrom0"]);
  const ordered = withFlags({ bootOrder: ["cdrom0"] }, { disk: ["default/a"], cdrom: ["isos/a.iso"] });
  assert.deepEqual(ordered.bootOrder, ["cdrom0"]);
  const direct = withFlags({}, { kernel: "default/vmlinuz", cdrom: ["isos/a.iso"] });
  assert.deepEqual([direct.disks?.length, direct.bootOrder], [1, []]);
});
