// Files of a pool whose first bytes a guest has written: nothing of them is more than bytes.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { toSocleError } from "../../agent/kernel/errors.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { Bait } from "../support/bait.ts";
import { forgedHeaders, type ForgedHeader } from "../support/forged-headers.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { OpenWitness } from "../support/open-witness.ts";
import { socleCommand } from "../support/programs.ts";
import { bootSector, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const run = promisify(execFile);
const MIB = 2 ** 20;
const unavailable = libvirtdUnavailable() || (await OpenWitness.unavailable());

suite("forged headers in a pool of files", { skip: unavailable, timeout: 240_000 }, () => {
  let host: SocleHost;
  let bait: Bait;

  before(async () => {
    bait = await Bait.lay();
    host = await SocleHost.start();
  });
  after(async () => {
    await host.stop();
    await bait.remove();
  });

  const at = (name: string): string => join(host.libvirtd.imagesDirectory, name);
  const reasonOf = async (asked: Promise<Operation__Output>, on = host): Promise<string | undefined> =>
    await asked.then(
      async (begun) => on.failureOf(await on.end(begun))?.reason,
      (thrown: unknown) => toSocleError(thrown).reason,
    );
  const withDisk = (name: string, disk: NonNullable<VmSpec["disks"]>[number]): VmSpec =>
    bootSector(name, { disks: [disk] });
  const storage = () => host.client.contract.storage;
  const requestId = () => randomUUID();
  const volume = (name: string) => ({ pool: "images", volume: name });
  const listed = async (name: string) =>
    (await host.client.ask(storage().ListVolumes, { pool: "images", pageSize: 1000 })).volumes.find(
      (each) => each.name === name,
    );
  const resize = (name: string) =>
    reasonOf(
      host.client.ask(storage().ResizeVolume, {
        requestId: requestId(),
        ...volume(name),
        capacityBytes: 128 * MIB,
      }),
    );
  /** A raw file of an operator, with these first bytes. */
  const put = async (name: string, bytes: Buffer, sizeBytes = 64 * MIB): Promise<void> => {
    await writeFile(at(name), bytes);
    await truncate(at(name), sizeBytes);
  };
  const header = async (name: string, file = bait.path): Promise<ForgedHeader> =>
    (await forgedHeaders(file, bait.url)).find((each) => each.name === name) ?? assert.fail(name);

  test("no request makes a raw file that a guest writes to, or gives one to a guest", async () => {
    const raw = { pool: "images", capacityBytes: MIB, format: "DISK_FORMAT_RAW" } as const;
    const made = withDisk("raw", { name: "root", newVolume: raw });
    assert.equal(await reasonOf(host.beginCreate(made)), "RAW_FILE_REFUSED");
    const asked = { requestId: requestId(), name: "data", tenant: "acme", ...raw };
    assert.equal(await reasonOf(host.client.ask(storage().CreateVolume, asked)), "RAW_FILE_REFUSED");
    await put("legacy.raw", Buffer.alloc(512));
    await host.virsh("pool-refresh", "images");
    const over = withDisk("legacy", { name: "root", volume: volume("legacy.raw") });
    assert.equal(await reasonOf(host.beginCreate(over, { leaveStopped: true })), "RAW_FILE_REFUSED");
    assert.equal(await resize("legacy.raw"), "RAW_FILE_REFUSED");
    const { vms } = host.client.contract;
    assert.equal((await host.create(bootSector("plain"), { leaveStopped: true })).error, null);
    for (const disk of [
      { name: "more", newVolume: raw },
      { name: "more", volume: volume("legacy.raw") },
    ])
      assert.equal(
        await reasonOf(host.client.ask(vms.AttachDisk, { requestId: requestId(), vm: "plain", disk })),
        "RAW_FILE_REFUSED",
      );
    // A guest may read it, as a CD image.
    const readOnly = { name: "more", volume: volume("legacy.raw"), readOnly: true };
    const attach = host.client.ask(vms.AttachDisk, { requestId: requestId(), vm: "plain", disk: readOnly });
    assert.equal(await reasonOf(attach), undefined);
    assert.equal((await host.remove("plain")).error, null);
  });

  test("neither libvirt nor QEMU follows what a guest writes at the beginning of its disk", async () => {
    const disk = { name: "root", newVolume: { pool: "images", capacityBytes: 64 * MIB } };
    const { vmId } = await host.create(withDisk("writer", disk), { leaveStopped: true });
    const file = `socle-${vmId}-root.qcow2`;
    const { vms, snapshots } = host.client.contract;
    const to = () => ({ requestId: requestId(), vm: "writer" });
    for (const { name, bytes } of await forgedHeaders(bait.path, bait.url)) {
      await writeFile(join(bait.directory, "head"), bytes);
      await run("qemu-io", [
        "-f",
        "qcow2",
        "-c",
        `write -s ${join(bait.directory, "head")} 0 128k`,
        at(file),
      ]);
      await host.virsh("pool-refresh", "images");
      assert.match(await host.virsh("vol-dumpxml", file, "images"), /<format type='qcow2'/, name);
      assert.deepEqual(await bait.taken(), [], name);
    }
    for (const asked of [
      () => host.client.ask(vms.ResizeDisk, { ...to(), disk: "root", capacityBytes: 96 * MIB }),
      () => host.client.ask(snapshots.CreateSnapshot, { ...to(), name: "one" }),
      () => host.client.ask(snapshots.DeleteSnapshot, { ...to(), snapshot: "one" }),
      () => host.client.ask(vms.StartVm, to()),
      () => host.client.ask(vms.StopVm, { ...to(), force: true, gracefulTimeout: {} }),
    ])
      assert.equal(await reasonOf(asked()), undefined);
    await host.virsh("pool-refresh", "images");
    assert.deepEqual(await bait.taken(), []);
    assert.equal((await host.remove("writer")).error, null);
  });

  test("a forged file has its own size, no backing image and a report, and is neither enlarged nor opened", async () => {
    const made = { requestId: requestId(), pool: "images", name: "victim", capacityBytes: MIB };
    assert.equal(await reasonOf(host.client.ask(storage().CreateVolume, made)), undefined);
    // The bait is taken where a file begins as the header.
    await put("forged.raw", (await header("qcow2 over a file of any format")).bytes);
    await host.virsh("pool-refresh", "images");
    assert.deepEqual(await bait.taken(), ["the file was read"]);
    await put("forged.raw", (await header("qcow2 v3 over a file", at("victim.qcow2"))).bytes);
    await host.virsh("pool-refresh", "images");
    // libvirt believes it.
    assert.match(await host.virsh("vol-dumpxml", "forged.raw", "images"), /<backingStore>[^]*victim\.qcow2/);

    await host.agent.terminate();
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
    const isSeen = async (): Promise<boolean> => (await listed("forged.raw"))?.problem !== "";
    await eventually(isSeen, { what: "the forged file to be reported" });
    assert.equal((await listed("forged.raw"))?.capacityBytes, 64 * MIB);
    const { conditions } = (await host.host()).health ?? {};
    const condition = conditions?.find(({ type }) => type === "VolumeSuspicious");
    assert.equal(condition?.status, "TRUTH_TRUE");
    assert.match(condition.evidence, /forged\.raw as qcow2/);
    const metrics = await (await fetch(`http://${host.agent.metricsAddress}/metrics`)).text();
    assert.match(metrics, /socle_host_storage_pool_suspicious_volumes\{pool="images"\} 1/);
    const env = { ...process.env, SOCLE_SOCKET: host.agent.socketPath };
    // It exits 1: there is something to correct.
    const doctor = await run(
      "sh",
      ["-c", '"$@" || true', "sh", process.execPath, ...socleCommand, "doctor"],
      { env },
    );
    assert.match(doctor.stdout, /VolumeSuspicious/);
    const audit = await run("sh", ["-c", `cat ${join(host.agent.directory, "state")}/audit/*`]);
    assert.match(audit.stdout, /"act":"volume_suspicious"[^\n]*forged\.raw/);

    const witness = await OpenWitness.of(host.libvirtd);
    try {
      assert.equal(await resize("forged.raw"), "RAW_FILE_REFUSED");
      const readOnly = { name: "root", volume: volume("forged.raw"), readOnly: true };
      const refused = await reasonOf(host.beginCreate(withDisk("reader", readOnly), { leaveStopped: true }));
      assert.equal(refused, "VOLUME_SUSPICIOUS");
      const ran = (await witness.lines()).filter((line) => /^execve\([^\n]*forged\.raw/.test(line));
      assert.deepEqual(ran, []);
    } finally {
      await witness.stop();
    }
    // The terabyte that it claims takes no room, and the volume that it names is free.
    assert.equal((await host.create(bootSector("other"), { leaveStopped: true })).error, null);
    assert.equal((await host.remove("other")).error, null);
    assert.equal(await resize("victim.qcow2"), undefined);
    const gone = { requestId: requestId(), ...volume("victim.qcow2") };
    assert.equal(await reasonOf(host.client.ask(storage().DeleteVolume, gone)), undefined);
    assert.equal((await stat(at("forged.raw"))).size, 64 * MIB);
  });

  test("where raw files are allowed, a forged one is still neither enlarged nor started, and a move converts one", async () => {
    const other = await SocleHost.start({ config: { vm: { allowForgeableRawDisks: true } } });
    try {
      const newVolume = { pool: "images", capacityBytes: 8 * MIB, format: "DISK_FORMAT_RAW" } as const;
      const { vmId } = await other.create(withDisk("raw", { name: "root", newVolume }), {
        leaveStopped: true,
      });
      const path = join(other.libvirtd.imagesDirectory, `socle-${vmId}-root.raw`);
      const content = randomBytes(8 * MIB);
      await writeFile(path, content);
      const { vms } = other.client.contract;
      const to = () => ({ requestId: requestId(), vm: "raw" });
      const move = () => other.client.ask(vms.MoveDisk, { ...to(), disk: "root", pool: "images" });
      assert.equal(await reasonOf(move(), other), undefined);
      const moved = path.replace(/raw$/, "qcow2");
      await writeFile(join(bait.directory, "content"), content);
      await run("qemu-img", ["compare", "-f", "raw", "-F", "qcow2", join(bait.directory, "content"), moved]);
      assert.deepEqual(
        (await other.volumes()).filter((name) => name.startsWith("socle-")),
        [`socle-${vmId}-root.qcow2`],
      );
      assert.equal(await reasonOf(move(), other), "UPDATE_EMPTY");
      assert.equal((await other.remove("raw")).error, null);

      const again = await other.create(withDisk("forger", { name: "root", newVolume }), {
        leaveStopped: true,
      });
      const forged = join(other.libvirtd.imagesDirectory, `socle-${again.vmId}-root.raw`);
      await writeFile(forged, (await header("qcow2 over an nbd: name")).bytes);
      await truncate(forged, 8 * MIB);
      for (const asked of [
        () =>
          other.client.ask(vms.ResizeDisk, { ...to(), vm: "forger", disk: "root", capacityBytes: 16 * MIB }),
        () => other.client.ask(vms.StartVm, { ...to(), vm: "forger" }),
      ])
        assert.equal(await reasonOf(asked(), other), "VOLUME_SUSPICIOUS");
      assert.equal((await readFile(forged)).length, 8 * MIB);
      assert.equal((await other.remove("forger")).error, null);
    } finally {
      await other.stop();
    }
  });
});
