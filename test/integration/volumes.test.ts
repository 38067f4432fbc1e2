// Volumes that are created, enlarged and deleted beside VMs, against what virsh shows.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { CreateVolumeRequest } from "../../agent/gen/socle/v1/CreateVolumeRequest.ts";
import type { Volume__Output } from "../../agent/gen/socle/v1/Volume.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { socleCommand } from "../support/programs.ts";
import { bootSector, SocleHost } from "../support/socle-host.ts";

const MIB = 2 ** 20;
const run = promisify(execFile);

suite("volumes beside VMs over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let host: SocleHost;

  before(async () => {
    host = await SocleHost.start({
      config: { tenants: { byName: { acme: { quotas: { diskMiB: 64 } } } } },
    });
  });
  after(() => host.stop());

  const storage = () => host.client.contract.storage;
  const requestId = () => randomUUID();
  const create = async (request: CreateVolumeRequest): Promise<Operation__Output> =>
    await host.end(
      await host.client.ask(storage().CreateVolume, { requestId: requestId(), pool: "images", ...request }),
    );
  const resize = async (volume: string, capacityBytes: number): Promise<Operation__Output> =>
    await host.end(
      await host.client.ask(storage().ResizeVolume, {
        requestId: requestId(),
        pool: "images",
        volume,
        capacityBytes,
      }),
    );
  const remove = async (volume: string, erase = false): Promise<Operation__Output> =>
    await host.end(
      await host.client.ask(storage().DeleteVolume, {
        requestId: requestId(),
        pool: "images",
        volume,
        erase,
      }),
    );
  const attach = async (vm: string, volume: string, readOnly = false): Promise<Operation__Output> =>
    await host.end(
      await host.client.ask(host.client.contract.vms.AttachDisk, {
        requestId: requestId(),
        vm,
        disk: { name: "data", volume: { pool: "images", volume }, readOnly },
      }),
    );
  const detach = async (vm: string): Promise<Operation__Output> =>
    await host.end(
      await host.client.ask(host.client.contract.vms.DetachDisk, {
        requestId: requestId(),
        vm,
        disk: "data",
      }),
    );
  const listed = async (name: string): Promise<Volume__Output | undefined> =>
    (await host.client.ask(storage().ListVolumes, { pool: "images" })).volumes.find(
      (volume) => volume.name === name,
    );
  const capacityOf = async (volume: string): Promise<number> =>
    Number(/Capacity:\s+(\d+) bytes/.exec(await host.virsh("vol-info", "--bytes", volume, "images"))?.[1]);
  const reasonOf = async (work: Promise<Operation__Output>): Promise<string | undefined> =>
    await work.then(
      (operation) => host.failureOf(operation)?.reason,
      (thrown: unknown) => toSocleError(thrown).reason,
    );
  const stopped = async (name: string, tenant: string): Promise<void> => {
    const spec = bootSector(name, {
      tenant,
      disks: [],
      kernelBoot: { kernel: { pool: "images", volume: "vmlinuz" } },
    });
    assert.equal((await host.create(spec, { leaveStopped: true })).error, null);
  };

  test("a tenant's volume is created, listed at once, and used by its tenant's VMs alone", async () => {
    const made = await create({ name: "data", tenant: "acme", capacityBytes: 8 * MIB });
    const volume = made.result["volume"] ?? "";
    assert.deepEqual([made.vmId, made.volume, made.error], ["", `images/${volume}`, null]);
    assert.equal(await capacityOf(volume), 8 * MIB);
    assert.match(await host.virsh("vol-dumpxml", volume, "images"), /<format type='qcow2'\/>/);
    const { tenant, capacityBytes } = (await listed(volume)) ?? {};
    assert.deepEqual([tenant, capacityBytes], ["acme", 8 * MIB]);
    await stopped("mine", "acme");
    await stopped("theirs", "evil");
    assert.equal(await reasonOf(attach("theirs", volume)), "VOLUME_DENIED");
    assert.equal(await reasonOf(attach("theirs", volume, true)), "VOLUME_DENIED");
    assert.equal((await attach("mine", volume)).error, null);
    assert.match(await host.virsh("domblklist", "mine"), new RegExp(volume.replaceAll("+", "\\+")));
  });

  test("a volume in use is neither enlarged nor deleted; afterwards it is both", async () => {
    const volume = "socle-volume-acme+data.qcow2";
    assert.equal(await reasonOf(remove(volume)), "VOLUME_IN_USE");
    assert.equal(await reasonOf(resize(volume, 16 * MIB)), "VOLUME_IN_USE");
    assert.equal((await detach("mine")).error, null);
    assert.equal(await reasonOf(resize(volume, 4 * MIB)), "CAPACITY_TOO_SMALL");
    assert.equal((await resize(volume, 16 * MIB)).error, null);
    assert.equal((await resize(volume, 16 * MIB)).error, null);
    assert.equal(await capacityOf(volume), 16 * MIB);
    assert.equal((await listed(volume))?.capacityBytes, 16 * MIB);
    const erased = await remove(volume, true);
    assert.equal(erased.error, null);
    assert.ok(Number(erased.result["erased_bytes"]) > 0);
    assert.equal((await host.volumes()).includes(volume), false);
    assert.equal(await listed(volume), undefined);
    assert.equal(await reasonOf(remove(volume)), "VOLUME_NOT_FOUND");
  });

  test("the quota counts volumes, also after a restart of the agent", async () => {
    assert.equal((await create({ name: "a", tenant: "acme", capacityBytes: 40 * MIB })).error, null);
    const more = () => create({ name: "b", tenant: "acme", capacityBytes: 32 * MIB });
    assert.equal(await reasonOf(more()), "TENANT_QUOTA_EXCEEDED");
    assert.equal(await reasonOf(resize("socle-volume-acme+a.qcow2", 65 * MIB)), "TENANT_QUOTA_EXCEEDED");
    await host.agent.terminate();
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
    assert.equal(await reasonOf(more()), "TENANT_QUOTA_EXCEEDED");
    const { tenants } = await host.client.ask(host.client.contract.host.ListTenants, {});
    assert.equal(
      tenants.find(({ tenant }) => tenant === "acme")?.dimensions.find(({ name }) => name === "disk")?.used,
      40 * MIB,
    );
    assert.equal((await remove("socle-volume-acme+a.qcow2")).error, null);
    assert.equal((await more()).error, null);
    assert.equal((await remove("socle-volume-acme+b.qcow2")).error, null);
  });

  test("a repeated request is one operation, and a taken name is refused", async () => {
    const request = { requestId: requestId(), pool: "images", name: "once", capacityBytes: MIB };
    const first = await host.client.ask(storage().CreateVolume, request);
    const again = await host.client.ask(storage().CreateVolume, request);
    assert.equal(again.operationId, first.operationId);
    assert.equal((await host.end(first)).result["volume"], "once.qcow2");
    assert.equal(await reasonOf(create({ name: "once", capacityBytes: MIB })), "VOLUME_EXISTS");
    assert.equal((await remove("once.qcow2")).error, null);
  });

  test("an agent that was killed finishes what it acknowledged", async () => {
    const request = { pool: "images", capacityBytes: MIB, tenant: "acme" };
    const begun = await Promise.all(
      ["k1", "k2", "k3"].map((name) =>
        host.client.ask(storage().CreateVolume, { requestId: requestId(), name, ...request }),
      ),
    );
    await host.agent.kill();
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
    for (const operation of begun) {
      const { result, error } = await host.end(operation);
      assert.equal(error, null);
      assert.equal(await capacityOf(result["volume"] ?? ""), MIB);
      assert.equal((await remove(result["volume"] ?? "")).error, null);
    }
  });

  test("parts of images, volumes of VMs, unknown pools and wrong fields are refused", async () => {
    const spec = bootSector("owner", {
      disks: [{ name: "root", newVolume: { pool: "images", capacityBytes: MIB } }],
    });
    const { vmId } = await host.create(spec, { leaveStopped: true });
    const own = `socle-${vmId}-root.qcow2`;
    assert.equal(await reasonOf(remove(own)), "VOLUME_DENIED");
    assert.equal(await reasonOf(resize(own, 2 * MIB)), "VOLUME_DENIED");
    assert.equal(await reasonOf(remove(`socle-image-${randomUUID()}.qcow2`)), "VOLUME_DENIED");
    assert.equal(await reasonOf(remove("vmlinuz")), "VOLUME_IN_USE");
    assert.equal(await reasonOf(remove("none.qcow2")), "VOLUME_NOT_FOUND");
    assert.equal(await reasonOf(create({ pool: "none", name: "x", capacityBytes: MIB })), "POOL_NOT_FOUND");
    for (const wrong of [{ name: "../x" }, { name: "socle-x" }, { capacityBytes: 5 }, { tenant: "a b" }])
      assert.equal(await reasonOf(create({ name: "x", capacityBytes: MIB, ...wrong })), "SPEC_INVALID");
    await host.virsh("vol-create-as", "images", "base.qcow2", "1M", "--format", "qcow2");
    await host.virsh(
      ...["vol-create-as", "images", "over.qcow2", "1M", "--format", "qcow2"],
      ...["--backing-vol", "base.qcow2", "--backing-vol-format", "qcow2"],
    );
    assert.equal(await reasonOf(remove("base.qcow2")), "VOLUME_IN_USE");
    assert.equal((await remove("over.qcow2")).error, null);
    assert.equal((await remove("base.qcow2")).error, null);
  });

  test("socle volume creates, enlarges and deletes; a dry run changes nothing", async () => {
    const socle = async (...line: readonly string[]): Promise<string> => {
      const env = { ...process.env, SOCLE_SOCKET: host.agent.socketPath };
      const { stdout } = await run(process.execPath, [...socleCommand, ...line], { env });
      return stdout;
    };
    const made = ["volume", "create", "cli", "--pool", "images", "--size", "2MiB", "--format", "qcow2"];
    assert.match(await socle(...made, "--dry-run"), /possible[\s\S]*nothing changed/);
    assert.equal((await host.volumes()).includes("cli.qcow2"), false);
    assert.match(await socle(...made), /volume: cli\.qcow2/);
    await socle("volume", "resize", "images/cli.qcow2", "3MiB");
    assert.equal(await capacityOf("cli.qcow2"), 3 * MIB);
    assert.match(
      await socle("volume", "rm", "images/cli.qcow2", "--dry-run"),
      /destroys: images\/cli\.qcow2/,
    );
    await assert.rejects(socle("volume", "rm", "images/cli.qcow2"), /--yes/);
    await socle("volume", "rm", "images/cli.qcow2", "--yes");
    assert.equal((await host.volumes()).includes("cli.qcow2"), false);
  });
});
