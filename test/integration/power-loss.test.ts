// What a cut of power leaves of what was reported done: the pool is on a disk that loses all that was not flushed.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { readManifest } from "../../agent/vm/images/image.ts";
import { ImageServer, sha256Of } from "../support/image-server.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { PowerCutDisk, type Left } from "../support/power-cut-disk.ts";
import { SocleHost } from "../support/socle-host.ts";
import { MIB, oneDisk, restoreDisk } from "./restore-stage.ts";

const run = promisify(execFile);
const lefts: readonly Left[] = ["flushed", "written"];
/** Between two flushes, the moments at which power is cut as well. */
const MORE_CUTS = 8;

const unavailable = libvirtdUnavailable() || (await PowerCutDisk.unavailable());

suite("a cut of power", { skip: unavailable, timeout: 240_000 }, () => {
  let disk: PowerCutDisk;
  let host: SocleHost;
  let server: ImageServer;

  before(async () => {
    disk = await PowerCutDisk.start(256);
    server = await ImageServer.start();
    const images = { pool: "lossy", allowHttp: true, allowPrivateAddresses: true };
    host = await SocleHost.start({ config: { images } });
    await host.virsh("pool-create-as", "lossy", "dir", "--target", disk.mountPoint);
  });
  after(async () => {
    await host.stop();
    await server.stop();
    await disk.stop();
  });

  /** The moments of all flushes from the first one on, and some between them. */
  const momentsOf = async (from: number, to: number): Promise<number[]> => {
    const between = Array.from({ length: MORE_CUTS }, (_, at) => from + ((to - from) * at) / MORE_CUTS);
    const flushes = (await disk.flushes(from)).filter((moment) => moment < to);
    return [...flushes, ...between.map(Math.floor)].sort((one, other) => one - other);
  };
  const succeeds = (operation: Operation__Output): void =>
    assert.equal(operation.error, null, JSON.stringify(operation.error));
  /** The file has the same bytes behind the cut as before. */
  const survives = async (name: string): Promise<void> => {
    const expected = await readFile(join(disk.mountPoint, name));
    for (const left of lefts)
      await disk.afterCut(await disk.now(), left, async (directory) => {
        const found = await readFile(join(directory, name)).catch(() => Buffer.alloc(0));
        assert.ok(found.equals(expected), `${name} lost bytes (${left})`);
      });
  };

  test("what the disk has not flushed is lost: a file without a sync is not there", async () => {
    await writeFile(join(disk.mountPoint, "unsynced"), randomBytes(MIB));
    const names = await disk.afterCut(await disk.now(), "written", (directory) => readdir(directory));
    assert.equal(names.includes("unsynced"), false);
  });

  test("at each moment of an import the image is verified or absent, and there once it is done", async () => {
    const bytes = Buffer.concat([await emptyImage(disk), randomBytes(24 * MIB)]);
    const url = server.serve("/image.qcow2", { bytes });
    const request = { requestId: randomUUID(), name: "debian", url, sha256: sha256Of(bytes) };
    const from = await disk.now();
    const begun = await host.client.ask(host.client.contract.images.ImportImage, {
      ...request,
      format: "DISK_FORMAT_QCOW2",
    });
    succeeds(await host.end(begun));
    const done = await disk.now();
    /** The image that an agent would believe. */
    const published = async (directory: string): Promise<string> => {
      const manifests = (await readdir(directory)).filter((name) => /^socle-image-.*\.json$/.test(name));
      for (const name of manifests) {
        const image = readManifest(await readFile(join(directory, name)), "lossy");
        if (image === undefined) continue;
        const data = await readFile(join(directory, `socle-image-${image.id}.qcow2`));
        return data.length === image.sizeBytes && sha256Of(data) === image.sha256 ? "verified" : "wrong";
      }
      return "absent";
    };
    for (const moment of await momentsOf(from, done))
      for (const left of lefts)
        assert.notEqual(await disk.afterCut(moment, left, published), "wrong", `${moment} ${left}`);
    for (const left of lefts) assert.equal(await disk.afterCut(done, left, published), "verified", left);
  });

  test("a disk that was restored has its bytes", async () => {
    const spec = oneDisk("restored");
    const disks = (spec.disks ?? []).map((each) => ({
      ...each,
      newVolume: { ...each.newVolume, pool: "lossy" },
    }));
    const made = await host.create({ ...spec, disks }, { leaveStopped: true });
    succeeds(made);
    const raw = join(host.libvirtd.directory, "restored.raw");
    await writeFile(raw, randomBytes(16 * MIB));
    await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, `${raw}.qcow2`]);
    succeeds(await restoreDisk(host, "restored", await readFile(`${raw}.qcow2`)));
    await survives(`socle-${made.vmId}-root.qcow2`);
  });

  test("a cloud-init seed has its bytes, and a moved disk without its base too", async () => {
    const seeded = await host.create(
      { ...oneDisk("seeded"), cloudInit: { pool: "lossy", userData: "#cloud-config\n" } },
      { leaveStopped: true },
    );
    succeeds(seeded);
    const [seed = assert.fail()] = (await readdir(disk.mountPoint)).filter((name) =>
      name.startsWith(`socle-${seeded.vmId}-`),
    );
    await survives(seed);
    const base = join(host.libvirtd.imagesDirectory, "base.qcow2");
    const raw = join(host.libvirtd.directory, "base.raw");
    await writeFile(raw, randomBytes(16 * MIB));
    await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, base]);
    await host.virsh("pool-refresh", "images");
    const newVolume = { pool: "images", baseVolume: "base.qcow2" };
    const over = await host.create(
      { ...oneDisk("moved"), disks: [{ name: "root", newVolume }] },
      { leaveStopped: true },
    );
    succeeds(over);
    const request = { requestId: randomUUID(), vm: over.vmId, disk: "root", pool: "lossy" };
    succeeds(await host.end(await host.client.ask(host.client.contract.vms.MoveDisk, request)));
    await survives(`socle-${over.vmId}-root.qcow2`);
  });
});

/** The beginning of a qcow2 image. */
async function emptyImage({ mountPoint }: PowerCutDisk): Promise<Buffer> {
  const path = `${mountPoint}.qcow2`;
  await run("qemu-img", ["create", "-q", "-f", "qcow2", path, "64M"]);
  return await readFile(path);
}
