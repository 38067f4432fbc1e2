// Images as media of CD-ROM drives: an image in a drive is in use, also for the operator's command.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { isoImage } from "../../agent/vm/storage/iso9660.ts";
import { sha256Of } from "../support/image-server.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { imageStage, type ImageStage } from "./images-stage.ts";

suite("images in CD-ROM drives", { skip: libvirtdUnavailable(), timeout: 600_000 }, () => {
  let stage: ImageStage;

  before(async () => {
    stage = await imageStage();
  });
  after(() => stage.stop());

  test("an image in a drive is not deleted until it is ejected", async () => {
    const { server, host, bootable, importImage, reasonOf, remove, get, socle } = stage;
    const iso = isoImage("cd", [{ name: "which", data: Buffer.from("cd") }], 256 * 1024);
    const isoRequest = { url: server.serve("/cd.iso", { bytes: iso }), sha256: sha256Of(iso), name: "cd" };
    assert.equal((await importImage({ ...isoRequest, format: "DISK_FORMAT_RAW" })).error, null);
    const disk = { url: server.serve("/boot.qcow2", { bytes: bootable }), sha256: sha256Of(bootable) };
    assert.equal((await importImage({ ...disk, name: "boot" })).error, null);

    const flags = ["--vcpus", "1", "--memory", "32MiB", "--accelerator", "tcg"];
    await socle(
      "vm",
      "create",
      "--name",
      "installs",
      ...flags,
      "--disk",
      "new:images:1MiB",
      "--cdrom",
      "image:cd",
    );
    const { spec } = await host.client.ask(host.client.contract.vms.GetVm, { vm: "installs" });
    assert.deepEqual(spec?.bootOrder, ["disk0", "cdrom0"]);
    const { volume } = await get("cd");
    assert.equal(spec.disks[1]?.cdrom?.volume?.volume, volume);
    assert.match(await host.virsh("domblklist", "installs"), new RegExp(`sdb\\s+\\S*/${volume}`));
    assert.match(await socle("vm", "show", "installs"), /cdrom0\s+CD-ROM drive\s+images\/socle-image-/);
    assert.equal((await get("cd")).users, 1);
    assert.equal(await reasonOf(remove("cd")), "IMAGE_IN_USE");
    await assert.rejects(socle("vm", "disk", "insert", "installs", "cdrom0", "image:boot"), {
      stderr: /is qcow2: a medium is a raw image/,
    });
    await assert.rejects(socle("vm", "disk", "insert", "installs", "cdrom0", "image:none"), {
      stderr: /none/,
    });

    assert.match(await socle("vm", "disk", "eject", "installs", "cdrom0"), /medium: none/);
    assert.match(await host.virsh("domblklist", "installs"), /sdb\s+-/);
    assert.equal((await get("cd")).users, 0);
    assert.match(
      await socle("vm", "disk", "insert", "installs", "cdrom0", "image:cd", "--dry-run"),
      /medium: images\/socle-image-/,
    );
    await socle("vm", "disk", "insert", "installs", "cdrom0", "image:cd");
    assert.equal(await reasonOf(remove("cd")), "IMAGE_IN_USE");
    await socle("vm", "disk", "eject", "installs", "cdrom0");
    assert.equal(await reasonOf(remove("cd")), undefined);
    await host.remove("installs");
    assert.equal(await reasonOf(remove("boot")), undefined);
  });

  test("a disk over an image moves, and the image is free then", async () => {
    const { server, host, bootable, importImage, reasonOf, remove, get, socle } = stage;
    const disk = { url: server.serve("/moved.qcow2", { bytes: bootable }), sha256: sha256Of(bootable) };
    assert.equal((await importImage({ ...disk, name: "moved" })).error, null);
    const other = join(host.libvirtd.directory, "other");
    await mkdir(other, { mode: 0o755 });
    await host.virsh("pool-create-as", "other", "dir", "--target", other);
    const flags = ["--vcpus", "1", "--memory", "32MiB", "--accelerator", "tcg"];
    await socle("vm", "create", "--name", "mover", ...flags, "--image", "moved");
    assert.equal((await get("moved")).users, 1);
    const moved = await socle("vm", "disk", "move", "mover", "root", "other");
    assert.match(moved, /done\s+copy disk/);
    assert.match(moved, /flattened: true/);
    assert.equal((await get("moved")).users, 0);
    assert.equal(await reasonOf(remove("moved")), undefined);
    const force = { requestId: randomUUID(), vm: "mover", force: true };
    await host.end(await host.client.ask(host.client.contract.vms.RebootVm, force));
    await host.remove("mover");
    assert.deepEqual(
      (await host.volumes("other")).filter((name) => name.startsWith("socle-")),
      [],
    );
  });
});
