// Images that are made from volumes of the host, checked by qemu-img.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { open, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { ImportImageRequest } from "../../agent/gen/socle/v1/ImportImageRequest.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { AgentDeath } from "../support/agent-death.ts";
import { sha256Of } from "../support/image-server.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { MortalHost } from "../support/mortal-host.ts";
import { eventually } from "../support/wait.ts";
import { imageStage, MIB, over, run, type ImageStage } from "./images-stage.ts";

suite("images from volumes over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let stage: ImageStage;
  let death: AgentDeath;

  before(async () => {
    death = await AgentDeath.make();
    stage = await imageStage(death.agentOptions);
  });
  after(async () => {
    await stage.stop();
    await death.stop();
  });

  test("an image of a volume has bytes of its own, and is its tenant's", async () => {
    const { directory, host, importImage, get, remove, reasonOf, socle } = stage;
    const { storage } = host.client.contract;
    const asked = { pool: "images", name: "golden", tenant: "red", capacityBytes: 64 * MIB };
    const made = await host.end(
      await host.client.ask(storage.CreateVolume, { requestId: randomUUID(), ...asked }),
    );
    const volume = { pool: "images", volume: made.result["volume"] ?? "" };
    const [raw, source] = [
      join(directory, "boot.raw"),
      join(host.libvirtd.imagesDirectory, volume.volume),
    ] as const;
    await run("qemu-img", ["convert", "-n", "-f", "raw", "-O", "qcow2", raw, source]);

    assert.equal(await reasonOf(importImage({ volume, name: "golden" })), "VOLUME_DENIED");
    const wrong = { volume, name: "golden", tenant: "red", sha256: "4".repeat(64) };
    assert.equal(await reasonOf(importImage(wrong)), "IMAGE_DIGEST_MISMATCH");
    const said = await socle(
      "image",
      "import",
      "--volume",
      `images/${volume.volume}`,
      "--name",
      "golden",
      "--tenant",
      "red",
    );
    assert.match(said, /done\s+copy/);
    assert.match(said, /import image golden: done/);
    const [{ stdout: id }, known] = [
      await run("sha256sum", [source]),
      (await stage.list()).find(({ name }) => name === "golden"),
    ];
    assert.ok(known !== undefined);
    assert.deepEqual(
      [known.tenant, known.sha256, known.format, known.capacityBytes],
      ["red", id.slice(0, 64), "DISK_FORMAT_QCOW2", 64 * MIB],
    );
    // The tenant has the digest under one name.
    assert.equal(await reasonOf(importImage({ volume, name: "copy", tenant: "red" })), "IMAGE_EXISTS");

    // The volume changes and goes; the image stays.
    await run("qemu-img", ["resize", "-q", source, "96M"]);
    const gone = { requestId: randomUUID(), ...volume };
    assert.equal((await host.end(await host.client.ask(storage.DeleteVolume, gone))).error, null);
    const file = join(host.libvirtd.imagesDirectory, known.volume);
    await run("qemu-img", ["check", file]);
    await run("qemu-img", ["compare", file, raw]);
    const spec = { ...over("over-golden", "golden"), tenant: "red" };
    const created = await host.create(spec, { leaveStopped: true });
    assert.equal(created.error, null, JSON.stringify(created.error));
    await host.remove("over-golden");
    await assert.rejects(get("golden"), { reason: "IMAGE_NOT_FOUND" });
    assert.equal((await remove(known.imageId)).error, null);
  });

  test("a volume that is used, is hostile or changes becomes no image", async () => {
    const { host, bootable, importImage, begin, reasonOf, imageVolumes } = stage;
    const at = (name: string): string => join(host.libvirtd.imagesDirectory, name);
    const overlay = async (name: string, base: string, format: string): Promise<void> =>
      void (await run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", base, "-F", format, at(name)]));
    await writeFile(at("used.qcow2"), bootable);
    await writeFile(at("base.qcow2"), bootable);
    await overlay("over.qcow2", at("base.qcow2"), "qcow2");
    await overlay("outside.qcow2", "/etc/hostname", "raw");
    await writeFile(at("disguised.raw"), bootable);
    await symlink("/etc/hostname", at("link.raw"));
    await writeFile(at("busy.raw"), Buffer.alloc(16 * MIB));
    await host.virsh("pool-refresh", "images");
    const root = { name: "root", volume: { pool: "images", volume: "used.qcow2" } };
    const user = await host.create({ ...over("user", ""), disks: [root] }, { leaveStopped: true });
    assert.equal(user.error, null, JSON.stringify(user.error));
    const own = { name: "root", newVolume: { pool: "images", capacityBytes: MIB } };
    const { vmId } = await host.create({ ...over("owner", ""), disks: [own] }, { leaveStopped: true });
    const from = (volume: string): ImportImageRequest => ({ volume: { pool: "images", volume }, name: "a" });
    for (const [volume, reason] of [
      ["used.qcow2", "VOLUME_IN_USE"],
      ["base.qcow2", "VOLUME_IN_USE"],
      ["over.qcow2", "IMAGE_UNSAFE"],
      ["outside.qcow2", "BACKING_OUTSIDE_POOL"],
      ["disguised.raw", "IMAGE_FORMAT_MISMATCH"],
      ["link.raw", "VOLUME_UNSAFE"],
      ["none.raw", "VOLUME_NOT_FOUND"],
      [`socle-${vmId}-root.qcow2`, "VOLUME_DENIED"],
      ["../x", "SPEC_INVALID"],
    ] as const)
      assert.equal(await reasonOf(importImage(from(volume))), reason, volume);
    await assert.rejects(begin({ ...from("busy.raw"), url: "https://a/b" }), { reason: "SPEC_INVALID" });

    // Another program writes to it all the time.
    const file = await open(at("busy.raw"), "r+");
    const done = new AbortController();
    const writing = (async () => {
      for (let n = 0; !done.signal.aborted; n += 1) await file.write(Buffer.of(n % 256), 0, 1, MIB);
      await file.close();
    })();
    let changed: Operation__Output;
    try {
      changed = await importImage(from("busy.raw"));
    } finally {
      done.abort();
      await writing;
    }
    const { reason, message } = host.failureOf(changed) ?? {};
    assert.equal(reason, "VOLUME_IN_USE");
    assert.match(message ?? "", /changed while it was read/);
    assert.deepEqual(await imageVolumes(), []);
    for (const vm of ["user", "owner"]) await host.remove(vm);
    assert.equal(await reasonOf(importImage(from("busy.raw"))), undefined);
    assert.equal((await stage.remove("a")).error, null);
    for (const name of [
      "used.qcow2",
      "over.qcow2",
      "base.qcow2",
      "outside.qcow2",
      "disguised.raw",
      "link.raw",
      "busy.raw",
    ])
      await rm(at(name), { force: true });
    await host.virsh("pool-refresh", "images");
  });

  test("an import from a volume survives the agent's deaths at the boundaries of its journal", async () => {
    const { directory, host, get, remove, imageVolumes } = stage;
    // Its conversion is as long as the copy.
    const volume = { pool: "images", volume: "golden.vmdk" };
    const golden = join(host.libvirtd.imagesDirectory, volume.volume);
    await run("qemu-img", ["convert", "-f", "raw", "-O", "vmdk", join(directory, "boot.raw"), golden]);
    const sha256 = sha256Of(await readFile(golden));
    await host.virsh("pool-refresh", "images");
    const mortal = MortalHost.over(host, death);
    let deaths = 0;
    for (let boundary = 1; ; boundary += 13) {
      const asked = { volume, name: "golden", format: "DISK_FORMAT_VMDK" } as const;
      const { died } = await mortal.survives(boundary, (requestId) =>
        host.client.ask(host.client.contract.images.ImportImage, { ...asked, requestId }),
      );
      const image = await get("golden");
      assert.equal(image.sha256, sha256);
      assert.deepEqual(await imageVolumes(), [`socle-image-${image.imageId}.json`, image.volume]);
      const file = join(host.libvirtd.imagesDirectory, image.volume);
      await run("qemu-img", ["compare", "-f", "qcow2", "-F", "raw", file, join(directory, "boot.raw")]);
      assert.equal((await remove("golden")).error, null);
      if (!died) break;
      deaths += 1;
    }
    assert.ok(deaths >= 2, `the agent died at ${deaths} boundaries`);
    await host.virsh("vol-delete", volume.volume, volume.pool);
  });

  test("an agent that is killed during the copy of a volume harms no libvirtd, and finishes it", async () => {
    const { host, begin, get, remove, imageVolumes } = stage;
    const volume = { pool: "images", volume: "large.raw" };
    const file = join(host.libvirtd.imagesDirectory, volume.volume);
    await writeFile(file, Buffer.alloc(MIB, "large"));
    await truncate(file, 192 * MIB);
    await host.virsh("pool-refresh", "images");
    const begun = await begin({ volume, name: "large" });
    await eventually(async () => (await imageVolumes()).length > 0, { what: "the volume", intervalMs: 5 });
    await host.agent.kill();
    // libvirtd had data for the agent.
    assert.match(await host.virsh("pool-list"), /images/);
    await host.agent.startAgain();
    await host.reconnect();
    const ended = await host.end(begun, 120_000);
    assert.equal(ended.error, null, JSON.stringify(ended.error));
    const image = await get("large");
    assert.deepEqual(await imageVolumes(), [`socle-image-${image.imageId}.json`, image.volume]);
    await run("cmp", [file, join(host.libvirtd.imagesDirectory, image.volume)]);
    assert.equal((await remove("large")).error, null);
    await host.virsh("vol-delete", volume.volume, volume.pool);
  });

  test("a full pool loses the image that no VM uses, as a dry run shows before, and keeps the other", async () => {
    const { server, host, bootable, importImage, list, remove, imageVolumes, socle } = stage;
    for (const { imageId } of await list()) assert.equal((await remove(imageId)).error, null);
    for (const name of ["unused", "used"]) {
      // Two images of one tenant have two digests.
      const bytes = name === "used" ? bootable : Buffer.concat([bootable, Buffer.alloc(65_536)]);
      const url = server.serve(`/${name}.qcow2`, { bytes });
      const { error } = await importImage({ url, sha256: sha256Of(bytes), name });
      assert.equal(error, null, JSON.stringify(error));
    }
    assert.equal((await host.create(over("over-1", "used"), { leaveStopped: true })).error, null);
    const before = await imageVolumes();
    assert.equal(before.length, 4);
    const dry = await socle(..."image prune --above 1 --unused-for 0s --dry-run --json".split(" "));
    const { images } = JSON.parse(dry) as { images: { name: string; why: string; volume: string }[] };
    assert.deepEqual(
      images.map(({ name, why }) => [name, why]),
      [["unused", "pressure"]],
    );
    await host.agent.kill();
    await host.agent.configure({
      libvirt: { uri: host.libvirtd.uri },
      guest: { socketDirectory: host.libvirtd.socketDirectory },
      images: { pool: "images", collectAbovePercent: 1, collectUnusedHours: 0 },
    });
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
    const isGone = async (): Promise<boolean> => (await imageVolumes()).length === 2;
    await eventually(isGone, { what: "the unused image to be removed", timeoutMs: 180_000 });
    const left = await imageVolumes();
    assert.ok(!left.includes(images[0]?.volume ?? "") && left.every((name) => before.includes(name)));
    const collected = async (): Promise<boolean> =>
      (await (await fetch(`http://${host.agent.metricsAddress}/metrics`)).text()).includes(
        "\nsocle_images_collected_total 1\n",
      );
    await eventually(collected, { what: "the metric", timeoutMs: 60_000 });
    const audit = await run("sh", ["-c", `cat ${join(host.agent.directory, "state/audit")}/*`]);
    assert.match(audit.stdout, /"cause":"pressure"/);
    assert.match(await socle("events", "--since-start", "--no-follow"), /image_collected.*PRESSURE/i);
    await host.remove("over-1");
  });
});
