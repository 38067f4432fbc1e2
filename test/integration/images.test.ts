import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { ImportImageRequest } from "../../agent/gen/socle/v1/ImportImageRequest.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { sha256Of } from "../support/image-server.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { eventually } from "../support/wait.ts";
import { imageStage, MIB, over, run, type ImageStage } from "./images-stage.ts";

suite("images over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let stage: ImageStage;

  before(async () => {
    stage = await imageStage();
  });
  after(() => stage.stop());

  test("an import is published, boots a VM, and is deleted once no VM uses it", async () => {
    const { directory, server, host, bootable, importImage, list, get, remove, imageVolumes } = stage;
    const url = server.serve("/boot.qcow2", { bytes: bootable });
    const imported = await importImage({ url, sha256: sha256Of(bootable), name: "boot" });
    assert.equal(imported.error, null);
    assert.equal(imported.vmId, "");
    assert.equal(imported.imageId, imported.result["image_id"]);
    const image = await get("boot");
    assert.equal(image.imageId, imported.imageId);
    assert.deepEqual(
      [image.sizeBytes, image.capacityBytes, image.format, image.users],
      [bootable.length, 64 * MIB, "DISK_FORMAT_QCOW2", 0],
    );
    const file = join(host.libvirtd.imagesDirectory, image.volume);
    await run("qemu-img", ["check", file]);
    await run("qemu-img", ["compare", file, join(directory, "boot.raw")]);

    const created = await host.create(over("over-boot", "boot"));
    assert.equal(created.error, null, JSON.stringify(created.error));
    const { vms } = host.client.contract;
    const vm = await host.client.ask(vms.GetVm, { vm: "over-boot" });
    const [disk] = vm.spec?.disks ?? [];
    assert.deepEqual([disk?.newVolume?.baseVolume, disk?.newVolume?.capacityBytes], [image.volume, 64 * MIB]);
    const { stdout } = await run("qemu-img", [
      "info",
      "-U",
      "--output=json",
      join(host.libvirtd.imagesDirectory, `socle-${vm.vmId}-root.qcow2`),
    ]);
    assert.equal((JSON.parse(stdout) as Record<string, unknown>)["full-backing-filename"], file);
    assert.equal((await get("boot")).users, 1);
    const hasRead = async (): Promise<boolean> =>
      Number(/rd_bytes (\d+)/.exec(await host.virsh("domblkstat", "over-boot", "vda"))?.[1] ?? 0) >= 512;
    await eventually(hasRead, { what: "the guest to boot from the image" });

    const refused = await host.client
      .ask(host.client.contract.images.DeleteImage, { requestId: randomUUID(), image: "boot" })
      .catch((thrown: unknown) => thrown as { reason: string; message: string });
    assert.equal((refused as { reason: string }).reason, "IMAGE_IN_USE");
    assert.match((refused as { message: string }).message, /VM over-boot/);
    await host.remove("over-boot");
    assert.equal((await remove("boot")).error, null);
    assert.deepEqual(await imageVolumes(), []);
    assert.deepEqual(await list(), []);
  });

  test("a wrong digest leaves nothing", async () => {
    const { server, host, bootable, importImage, imageVolumes } = stage;
    const url = server.serve("/wrong.qcow2", { bytes: bootable });
    const failed = await importImage({ url, sha256: "0".repeat(64), name: "wrong" });
    assert.equal(host.failureOf(failed)?.reason, "IMAGE_DIGEST_MISMATCH");
    assert.deepEqual(await imageVolumes(), []);
  });

  test("https is verified by the configured authorities, and by the name of the URL", async () => {
    const { secured, host, bootable, importImage, remove, imageVolumes } = stage;
    const url = secured.serve("/tls.qcow2", { bytes: bootable }).replace("127.0.0.1", "localhost");
    const sha256 = sha256Of(bootable);
    assert.equal((await importImage({ url, sha256, name: "tls" })).error, null);
    assert.equal((await remove("tls")).error, null);
    const other = await importImage({ url: secured.url("/tls.qcow2"), sha256, name: "tls" });
    assert.equal(host.failureOf(other)?.reason, "IMAGE_SOURCE_FAILED");
    assert.deepEqual(await imageVolumes(), []);
  });

  test("a download that is cut continues, and shows its progress", async () => {
    const { server, host, bootable, begin, get, remove } = stage;
    const cuts = { afterBytes: 2 * MIB, times: 2 };
    const url = server.serve("/cut.qcow2", { bytes: bootable, headers: { etag: '"1"' }, cuts });
    const begun = await begin({ url, sha256: sha256Of(bootable), name: "cut" });
    const seen: number[] = [];
    const { WatchOperations } = host.client.contract.operations;
    for await (const operation of host.client.watch(WatchOperations, { operationId: begun.operationId })) {
      const current = operation.steps.find(({ outcome }) => outcome === "");
      if (current?.name === "download") seen.push(operation.progress);
      if (operation.done) break;
    }
    const imported = await host.end(begun);
    assert.equal(imported.error, null);
    assert.ok(new Set(seen).size > 2, `progress ${seen.join(" ")}`);
    const ranges = server.requests.filter((asked) => asked.url === "/cut.qcow2").map(({ range }) => range);
    assert.equal(ranges.length, 3);
    assert.ok(
      ranges.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range ?? "")),
      ranges.join(" "),
    );
    const { volume } = await get("cut");
    assert.equal(sha256Of(await readFile(join(host.libvirtd.imagesDirectory, volume))), sha256Of(bootable));
    await remove("cut");
  });

  test("hostile images never become volumes", async () => {
    const { directory, server, host, importImage, reasonOf } = stage;
    const hostile = join(directory, "hostile.qcow2");
    const backing = ["-b", join(host.libvirtd.imagesDirectory, "bootsector.img"), "-F", "raw"];
    await run("qemu-img", ["create", "-q", "-f", "qcow2", ...backing, hostile]);
    const bytes = await readFile(hostile);
    const url = server.serve("/hostile.qcow2", { bytes });
    const sha256 = sha256Of(bytes);
    const before = await host.volumes();
    assert.equal(await reasonOf(importImage({ url, sha256, name: "a" })), "IMAGE_UNSAFE");
    const asRaw = { url, sha256, name: "a", format: "DISK_FORMAT_RAW" } as const;
    assert.equal(await reasonOf(importImage(asRaw)), "IMAGE_FORMAT_MISMATCH");
    const plain = server.serve("/plain.img", { bytes: Buffer.alloc(MIB, 1) });
    const asQcow2 = { url: plain, sha256: sha256Of(Buffer.alloc(MIB, 1)), name: "a" };
    assert.equal(await reasonOf(importImage(asQcow2)), "IMAGE_FORMAT_MISMATCH");
    const loop = { url: server.redirect("/loop", "/loop"), sha256, name: "a" };
    assert.equal(await reasonOf(importImage(loop)), "IMAGE_SOURCE_FAILED");
    const lost = { url: server.url("/none"), sha256, name: "a", pool: "none" };
    assert.equal(await reasonOf(importImage(lost)), "POOL_NOT_FOUND");
    assert.deepEqual(await host.volumes(), before);
  });

  test("a VMDK and a VHDX are converted, and the guest sees the same bytes", async () => {
    const { directory, server, host, importImage, get, remove, imageVolumes, socle } = stage;
    const raw = join(directory, "boot.raw");
    for (const [format, ...options] of [
      ["vmdk", "-o", "subformat=streamOptimized"],
      ["vmdk", "-o", "subformat=monolithicSparse"],
      ["vhdx"],
    ] as const) {
      const made = join(directory, `boot.${format}`);
      await run("qemu-img", ["convert", "-f", "raw", "-O", format, ...options, raw, made]);
      const bytes = await readFile(made);
      const sha256 = sha256Of(bytes);
      const url = server.serve(`/boot.${format}`, { bytes });
      const named = format === "vmdk" ? "DISK_FORMAT_VMDK" : "DISK_FORMAT_VHDX";
      const request = { url, sha256, name: "converted", format: named } as const;
      const imported = await importImage(request);
      assert.equal(imported.error, null, JSON.stringify(imported.error));
      const image = await get("converted");
      const file = join(host.libvirtd.imagesDirectory, image.volume);
      assert.deepEqual(
        [image.format, image.sha256, image.capacityBytes, image.sizeBytes],
        ["DISK_FORMAT_QCOW2", sha256, 64 * MIB, (await stat(file)).size],
      );
      await run("qemu-img", ["check", file]);
      await run("qemu-img", ["compare", "-f", "qcow2", "-F", "raw", file, raw]);
      // The source's bytes are gone, and an import of them again is the same image.
      assert.equal((await imageVolumes()).length, 2);
      assert.equal((await importImage(request)).imageId, image.imageId);
      assert.equal((await remove("converted")).error, null);
    }
    // A file that is sent from here.
    const sent = ["image", "import", join(directory, "boot.vmdk"), "--format", "vmdk", "--name", "converted"];
    assert.match(await socle(...sent), /done\s+convert/);
    assert.equal((await remove("converted")).error, null);
    assert.deepEqual(await imageVolumes(), []);
  });

  test("a hostile VMDK or VHDX leaves nothing", async () => {
    const { directory, server, host, importImage, socle } = stage;
    const raw = join(directory, "boot.raw");
    const bytesOf = async (format: string, ...options: string[]): Promise<Buffer> => {
      const made = join(directory, `hostile.${format}`);
      await run("qemu-img", ["convert", "-f", "raw", "-O", format, ...options, raw, made]);
      return await readFile(made);
    };
    const vmdk = await bytesOf("vmdk");
    const vhdx = await bytesOf("vhdx");
    const changed = (bytes: Buffer, change: (copy: Buffer) => void): Buffer => {
      const copy = Buffer.from(bytes);
      change(copy);
      return copy;
    };
    const firstTable = vmdk.readUInt32LE(Number(vmdk.readBigUInt64LE(56)) * 512) * 512;
    await run("qemu-img", [
      "convert",
      "-O",
      "vmdk",
      "-o",
      "subformat=monolithicFlat",
      raw,
      join(directory, "flat.vmdk"),
    ]);
    const before = await host.volumes();
    for (const [format, bytes, message] of [
      ["VMDK", await readFile(join(directory, "flat.vmdk")), /VMDK descriptor/],
      [
        "VMDK",
        Buffer.from(vmdk.toString("latin1").replace(/SPARSE "[^"]{11}/, 'SPARSE "/etc/passwd'), "latin1"),
        /"\/etc\/passwd/,
      ],
      ["VMDK", changed(vmdk, (copy) => void copy.writeBigUInt64LE(2n ** 51n, 12)), /capacity/],
      ["VMDK", changed(vmdk, (copy) => void copy.writeBigUInt64LE(0n, 20)), /grainSize 0/],
      // Refused once it is in the pool.
      ["VMDK", changed(vmdk, (copy) => void copy.writeUInt32LE(1, firstTable)), /overlaps/],
      ["VMDK", vmdk.subarray(0, vmdk.length - 64 * 1024), /beyond the end/],
      ["VHDX", vhdx.subarray(0, vhdx.length - 8 * MIB), /beyond the end/],
      ["VHDX", changed(vhdx, (copy) => void copy.fill(1, 64 * 1024, 192 * 1024)), /headers/],
      ["VHDX", vmdk, /vhdxfile/],
    ] as const) {
      const url = server.serve("/hostile", { bytes });
      const request = { url, sha256: sha256Of(bytes), name: "a", format: `DISK_FORMAT_${format}` } as const;
      const failed = host.failureOf(await importImage(request));
      assert.match(`${failed?.reason}`, /IMAGE_UNSAFE|IMAGE_FORMAT_MISMATCH/);
      assert.match(`${failed?.message}`, message);
      assert.deepEqual(await host.volumes(), before);
    }
    const alone = {
      name: "disk",
      newVolume: { pool: "images", capacityBytes: MIB, format: "DISK_FORMAT_VMDK" },
    } as const;
    await assert.rejects(host.beginCreate({ ...over("x", ""), disks: [alone] }), { reason: "UNKNOWN_VALUE" });
    await assert.rejects(socle("image", "import", "/x", "--format", "vdi", "--name", "a"), {
      stderr: /vmdk, vhdx/,
    });
  });

  test("bad requests are refused at once, and name the field", async () => {
    const { server, host, bootable, begin, get } = stage;
    const good = { url: server.url("/boot.qcow2"), sha256: sha256Of(bootable), name: "good" };
    const wrong: readonly [ImportImageRequest, RegExp][] = [
      [{ ...good, url: "file:///etc/shadow" }, /url/],
      [{ ...good, url: "" }, /url/],
      [{ ...good, sha256: "abc" }, /sha256/],
      [{ ...good, name: "../x" }, /name/],
      [{ ...good, name: randomUUID() }, /name/],
      [{ ...good, pool: "/etc" }, /pool/],
      [{ ...good, tenant: "a b" }, /tenant/],
    ];
    for (const [request, field] of wrong)
      await assert.rejects(begin(request), { reason: "SPEC_INVALID", message: field });
    await assert.rejects(get("none"), { reason: "IMAGE_NOT_FOUND" });
    await assert.rejects(host.beginCreate(over("x", "none")), { reason: "IMAGE_NOT_FOUND" });
  });

  test("concurrent imports of one digest share one download and one image", async () => {
    const { server, host, bootable, begin, remove, imageVolumes } = stage;
    const url = server.serve("/shared.qcow2", { bytes: bootable });
    const request = { url, sha256: sha256Of(bootable), name: "shared" };
    const begun = await Promise.all([begin(request), begin(request), begin(request)]);
    await assert.rejects(begin({ ...request, name: "another" }), {
      reason: "IMAGE_EXISTS",
      message: /shared/,
    });
    await assert.rejects(begin({ ...request, sha256: "1".repeat(64) }), { reason: "IMAGE_EXISTS" });
    const ended = await Promise.all(begun.map((operation) => host.end(operation)));
    assert.deepEqual(
      ended.map(({ error }) => error),
      [null, null, null],
    );
    assert.equal(new Set(ended.map(({ imageId }) => imageId)).size, 1);
    assert.equal(server.requests.filter((asked) => asked.url === "/shared.qcow2").length, 1);
    assert.equal((await imageVolumes()).length, 2);
    await remove("shared");
  });

  test("a tenant's image is for its VMs, a public one for all, and no VM writes to either", async () => {
    const { server, host, bootable, importImage, list, remove, reasonOf } = stage;
    const url = server.serve("/tenant.qcow2", { bytes: bootable });
    const sha256 = sha256Of(bootable);
    assert.equal((await importImage({ url, sha256, name: "base", tenant: "red" })).error, null);
    const [red] = await list();
    assert.ok(red !== undefined);
    const stopped = (name: string, tenant: string, source: object): Promise<Operation__Output> =>
      host.create(
        { ...over(name, ""), tenant, disks: [{ name: "root", ...source }] },
        { leaveStopped: true },
      );
    const byImage = (image: string): object => ({ newVolume: { pool: "images", image } });
    const byVolume = { newVolume: { pool: "images", baseVolume: red.volume } };
    for (const source of [byImage("base"), byImage(red.imageId), byVolume])
      assert.equal(
        await reasonOf(stopped("blue-1", "blue", source)),
        "IMAGE_NOT_FOUND",
        JSON.stringify(source),
      );
    const manifest = {
      volume: { pool: "images", volume: red.volume.replace("qcow2", "json") },
      readOnly: true,
    };
    assert.equal(await reasonOf(stopped("red-1", "red", manifest)), "IMAGE_NOT_FOUND");
    const written = { volume: { pool: "images", volume: red.volume } };
    assert.equal(await reasonOf(stopped("red-1", "red", written)), "VOLUME_DENIED");
    assert.equal(await reasonOf(stopped("red-1", "red", byImage("base"))), undefined);

    // A public image of the same name is another one, and a tenant's own comes first.
    assert.equal((await importImage({ url, sha256, name: "base" })).error, null);
    assert.equal(await reasonOf(stopped("blue-1", "blue", byImage("base"))), undefined);
    const bases = await Promise.all(
      ["red-1", "blue-1"].map(async (vm) => {
        const { spec } = await host.client.ask(host.client.contract.vms.GetVm, { vm });
        return spec?.disks[0]?.newVolume?.baseVolume;
      }),
    );
    assert.equal(bases[0], red.volume);
    assert.notEqual(bases[1], red.volume);
    const attach = async (image: string): Promise<Operation__Output> => {
      const disk = { name: "more", newVolume: { pool: "images", image } };
      const request = { requestId: randomUUID(), vm: "blue-1", disk };
      return await host.end(await host.client.ask(host.client.contract.vms.AttachDisk, request));
    };
    assert.equal(await reasonOf(attach(red.imageId)), "IMAGE_NOT_FOUND");
    assert.equal(await reasonOf(attach("base")), undefined);
    for (const vm of ["red-1", "blue-1"]) await host.remove(vm);
    for (const { imageId } of await list()) assert.equal((await remove(imageId)).error, null);
  });

  test("a deletion and a creation at the same time: the VM has its base, or is refused", async () => {
    const { server, host, bootable, importImage, remove, reasonOf, imageVolumes } = stage;
    const url = server.serve("/race.qcow2", { bytes: bootable });
    for (let round = 0; round < 5; round += 1) {
      await importImage({ url, sha256: sha256Of(bootable), name: "race" });
      const [created, removed] = await Promise.all([
        reasonOf(host.create(over(`race-${round}`, "race"), { leaveStopped: true })),
        reasonOf(remove("race")),
      ]);
      const isThere = (await imageVolumes()).length === 2;
      assert.equal(isThere, created === undefined, `${created} ${removed}`);
      assert.equal(removed, isThere ? "IMAGE_IN_USE" : undefined);
      if (!isThere) continue;
      await host.remove(`race-${round}`);
      await remove("race");
    }
  });

  test("the command imports an image, makes a VM over it, and shows no credentials", async () => {
    const { server, host, bootable, socle } = stage;
    const url = `${server.serve("/cli.qcow2", { bytes: bootable }).replace("//", "//user:hidden@")}?key=hidden`;
    const imported = await socle("image", "import", url, "--sha256", sha256Of(bootable), "--name", "cli");
    assert.match(imported, /done\s+download/);
    assert.match(imported, /import image cli: done/);
    assert.match(await socle("image", "ls"), /cli\s+-\s+qcow2\s+\S+ MiB\s+64 MiB\s+images\s+0/);
    await socle(
      "vm",
      "create",
      "--name",
      "cli-1",
      "--vcpus",
      "1",
      "--memory",
      "32MiB",
      "--image",
      "cli",
      "--disk-size",
      "128MiB",
      "--accelerator",
      "tcg",
    );
    assert.match(await socle("image", "show", "cli"), /VMs\s+1/);
    await assert.rejects(socle("image", "rm", "cli"), { stderr: /in use by VM cli-1/ });
    await host.remove("cli-1");
    assert.match(await socle("image", "rm", "cli"), /delete image cli: done/);
    const audit = await run("sh", ["-c", `cat ${join(host.agent.directory, "state/audit")}/*`]);
    assert.match(audit.stdout, /ImportImage/);
    const events = await socle("events", "--since-start", "--no-follow");
    const printed = host.agent.log.map((line) => JSON.stringify(line)).join("\n");
    for (const text of [
      audit.stdout,
      events,
      printed,
      await socle("operations", "ls"),
      await socle("--json", "operations", "ls"),
    ])
      assert.doesNotMatch(text, /hidden/);
    assert.doesNotMatch(events, /operation_ended.*image\//);
  });
});
