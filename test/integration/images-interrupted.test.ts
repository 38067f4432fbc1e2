import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { sha256Of } from "../support/image-server.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { eventually } from "../support/wait.ts";
import { imageStage, MIB, run, type ImageStage } from "./images-stage.ts";

suite("interrupted imports of images", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let stage: ImageStage;

  before(async () => {
    stage = await imageStage();
  });
  after(() => stage.stop());

  test("a cancelled import leaves nothing", async () => {
    const { server, host, bootable, begin, list, imageVolumes } = stage;
    const url = server.serve("/slow.qcow2", { bytes: bootable, stopsAfterBytes: MIB });
    const begun = await begin({ url, sha256: sha256Of(bootable), name: "slow" });
    await server.untilHeld();
    await eventually(async () => (await imageVolumes()).length > 0, { what: "the volume" });
    const { CancelOperation } = host.client.contract.operations;
    await host.client.ask(CancelOperation, { operationId: begun.operationId });
    assert.equal((await host.end(begun)).state, "STATE_CANCELLED");
    assert.deepEqual(await imageVolumes(), []);
    assert.deepEqual(await list(), []);
  });

  test("an agent that is killed during an import finishes it after its restart", async () => {
    const { server, host, bootable, begin, get, imageVolumes } = stage;
    const url = server.serve("/killed.qcow2", { bytes: bootable, stopsAfterBytes: 2 * MIB });
    const begun = await begin({ url, sha256: sha256Of(bootable), name: "killed" });
    await server.untilHeld();
    await eventually(async () => (await imageVolumes()).length > 0, { what: "the volume" });
    await host.agent.kill();
    server.serve("/killed.qcow2", { bytes: bootable });
    await host.agent.startAgain();
    await host.reconnect();
    const ended = await host.end(begun);
    assert.equal(ended.error, null, JSON.stringify(ended.error));
    const image = await get("killed");
    assert.deepEqual(await imageVolumes(), [`socle-image-${image.imageId}.json`, image.volume]);
    assert.equal(sha256Of(await readFile(join(host.libvirtd.imagesDirectory, image.volume))), image.sha256);
  });

  test("without its state directory the host knows its images, and removes what was not published", async () => {
    const { directory, server, host, begin, list, remove, imageVolumes } = stage;
    const [known] = await list();
    assert.equal(known?.name, "killed");
    const lost = join(directory, "lost.vmdk");
    await run("qemu-img", ["convert", "-f", "raw", "-O", "vmdk", join(directory, "boot.raw"), lost]);
    const url = server.serve("/lost.vmdk", { bytes: await readFile(lost), stopsAfterBytes: 2 * MIB });
    await begin({ url, sha256: "2".repeat(64), name: "lost", format: "DISK_FORMAT_VMDK" });
    await server.untilHeld();
    await eventually(async () => (await imageVolumes()).length > 2, { what: "the volume" });
    await host.agent.kill();
    await rm(join(host.agent.directory, "state"), { recursive: true });
    // Another host's import in a shared pool, which is not this agent's to remove.
    const foreign = `socle-image-00000000-${randomUUID().slice(9)}.qcow2`;
    await host.virsh("vol-create-as", "images", foreign, "1M");
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
    const read = await eventually(list, { what: "the images" });
    assert.deepEqual(
      read.map(({ imageId, name }) => [imageId, name]),
      [[known.imageId, "killed"]],
    );
    const own = [`socle-image-${known.imageId}.json`, known.volume];
    await eventually(async () => (await imageVolumes()).length === 3, { what: "the leftover to be removed" });
    assert.deepEqual(await imageVolumes(), [foreign, ...own].sort());
    await host.virsh("vol-delete", foreign, "images");
    assert.equal((await remove("killed")).error, null);
  });

  test("a file is sent to the host; a cut or false upload leaves nothing", async () => {
    const { directory, host, bootable, get, remove, imageVolumes, socle } = stage;
    const file = join(directory, "boot.qcow2");
    assert.match(await socle("image", "import", file, "--name", "sent"), /import image sent: done/);
    const { volume, sha256 } = await get("sent");
    assert.equal(sha256, sha256Of(bootable));
    assert.equal(sha256Of(await readFile(join(host.libvirtd.imagesDirectory, volume))), sha256);
    await remove("sent");

    await assert.rejects(socle("image", "import", file, "--name", "a", "--sha256", "3".repeat(64)), {
      stderr: /have the SHA-256/,
    });
    const hostile = join(directory, "hostile.qcow2");
    const backing = ["-b", join(host.libvirtd.imagesDirectory, "bootsector.img"), "-F", "raw"];
    await run("qemu-img", ["create", "-q", "-f", "qcow2", ...backing, hostile]);
    await assert.rejects(socle("image", "import", hostile, "--name", "a"), {
      stderr: /overlay of another file/,
    });
    await assert.rejects(socle("image", "import", join(directory, "none"), "--name", "a"), {
      stderr: /no such file/,
    });
    // A file that opens and cannot be read.
    await assert.rejects(socle("image", "import", "/proc/self/mem", "--name", "a"), {
      stderr: /mem cannot be read/,
    });

    const { UploadImage } = host.client.contract.images;
    const stream = host.client.open(UploadImage);
    stream.on("error", () => undefined);
    const answers: AsyncIterator<Operation__Output> = stream[Symbol.asyncIterator]();
    const request = { requestId: randomUUID(), sha256, name: "cut", sizeBytes: bootable.length };
    stream.write({ ...request, content: bootable.subarray(0, 100_000) });
    const begun = await answers.next();
    await eventually(async () => (await imageVolumes()).length > 0, { what: "the volume" });
    stream.cancel();
    const ended = await host.end(begun.value as Operation__Output);
    assert.equal(host.failureOf(ended)?.reason, "UPLOAD_INCOMPLETE");
    assert.deepEqual(await imageVolumes(), []);
  });

  test("an upload that the agent's death interrupts fails, and leaves nothing", async () => {
    const { host, bootable, imageVolumes } = stage;
    const { UploadImage } = host.client.contract.images;
    const stream = host.client.open(UploadImage);
    stream.on("error", () => undefined);
    const answers: AsyncIterator<Operation__Output> = stream[Symbol.asyncIterator]();
    const request = {
      requestId: randomUUID(),
      sha256: sha256Of(bootable),
      name: "lost",
      sizeBytes: bootable.length,
    };
    stream.write({ ...request, content: bootable.subarray(0, 100_000) });
    const begun = await answers.next();
    await eventually(async () => (await imageVolumes()).length > 0, { what: "the volume" });
    await host.agent.kill();
    await host.agent.startAgain();
    await host.reconnect();
    const ended = await host.end(begun.value as Operation__Output);
    assert.equal(host.failureOf(ended)?.reason, "INTERRUPTED");
    assert.deepEqual(await imageVolumes(), []);
  });

  test("an import goes on after libvirtd died during it, and no part of it is left twice", async () => {
    const { server, host, bootable, begin, get, remove, imageVolumes } = stage;
    const url = server.serve("/daemon.qcow2", { bytes: bootable, stopsAfterBytes: 2 * MIB });
    const begun = await begin({ url, sha256: sha256Of(bootable), name: "daemon" });
    await server.untilHeld();
    await eventually(async () => (await imageVolumes()).length > 0, { what: "the volume" });
    server.serve("/daemon.qcow2", { bytes: bootable });
    await host.libvirtd.kill("SIGKILL");
    await host.libvirtd.startAgain();
    const ended = await host.end(begun, 120_000);
    assert.equal(ended.error, null, JSON.stringify(ended.error));
    const image = await get("daemon");
    assert.deepEqual(await imageVolumes(), [`socle-image-${image.imageId}.json`, image.volume]);
    assert.equal(sha256Of(await readFile(join(host.libvirtd.imagesDirectory, image.volume))), image.sha256);
    const scraped = await (await fetch(`http://${host.agent.metricsAddress}/metrics`)).text();
    assert.match(scraped, /socle_images\{pool="images"\} 1/);
    assert.equal((await remove("daemon")).error, null);
  });

  test("a stop of the agent does not wait for a download, which begins again at the next start", async () => {
    const { server, host, bootable, begin, remove, imageVolumes } = stage;
    const url = server.serve("/stop.qcow2", { bytes: bootable, stopsAfterBytes: 2 * MIB });
    const begun = await begin({ url, sha256: sha256Of(bootable), name: "stop" });
    await server.untilHeld();
    await eventually(async () => (await imageVolumes()).length > 0, { what: "the volume" });
    server.serve("/stop.qcow2", { bytes: bootable });
    assert.equal(await host.agent.terminate(), 0);
    assert.ok(!host.agent.output().includes("stopping with unfinished operations"), host.agent.output());
    await host.agent.startAgain();
    await host.reconnect();
    assert.equal((await host.end(begun)).error, null);
    assert.equal((await imageVolumes()).length, 2);
    assert.equal((await remove("stop")).error, null);
  });
});
