// Limits of disks and NICs of existing VMs, against what virsh shows.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { DiskLimits } from "../../agent/gen/socle/v1/DiskLimits.ts";
import type { NicLimits } from "../../agent/gen/socle/v1/NicLimits.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { bootSector, SocleHost } from "../support/socle-host.ts";

const MIB = 2 ** 20;
const KIB = 1024;
const FIELDS = ["bytes_sec", "iops_sec"].flatMap((unit) =>
  ["total", "read", "write"].map((direction) => `${direction}_${unit}`),
);

suite("limits of devices over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let host: SocleHost;

  before(async () => {
    host = await SocleHost.start();
    const path = join(host.libvirtd.directory, "limited.xml");
    await writeFile(path, "<network><name>limited</name><bridge name='socle-limited'/></network>");
    await host.virsh("net-define", path);
    await host.virsh("net-start", "limited");
  });
  after(async () => {
    await host.virsh("net-destroy", "limited").catch(() => undefined);
    await host.stop();
  });

  const vms = () => host.client.contract.vms;
  const updateDisk = async (vm: string, disk: string, limits?: DiskLimits): Promise<Operation__Output> =>
    await host.end(
      await host.client.ask(vms().UpdateDisk, {
        ...{ requestId: randomUUID(), vm, disk },
        ...(limits === undefined ? {} : { limits }),
      }),
    );
  const updateNic = async (vm: string, limits: NicLimits): Promise<Operation__Output> =>
    await host.end(
      await host.client.ask(vms().UpdateNic, { requestId: randomUUID(), vm, nic: "front", limits }),
    );
  const power = async (vm: string, method: "StartVm" | "StopVm"): Promise<void> => {
    const request = { requestId: randomUUID(), vm, force: true, gracefulTimeout: { seconds: 0 } };
    const begun = host.client.ask(method === "StartVm" ? vms().StartVm : vms().StopVm, request);
    assert.equal((await host.end(await begun)).error, null);
  };
  const reasonOf = async (work: Promise<Operation__Output>): Promise<string | undefined> =>
    await work.then(
      (operation) => host.failureOf(operation)?.reason,
      (thrown: unknown) => toSocleError(thrown).reason,
    );
  /** Total, read and write: first bytes, then operations. */
  const tuned = async (vm: string, target: string, as: "--live" | "--config"): Promise<number[]> => {
    const text = await host.virsh("blkdeviotune", vm, target, as);
    return FIELDS.map((field) => Number(new RegExp(`^${field}\\s*:\\s*(\\d+)`, "m").exec(text)?.[1]));
  };
  /** All limits and bursts that are not zero, by libvirt's names; not the default of a burst that there is not. */
  const shown = async (
    vm: string,
    target: string,
    as: "--live" | "--config",
  ): Promise<Record<string, number>> => {
    const text = await host.virsh("blkdeviotune", vm, target, as);
    const lines = [...text.matchAll(/^(\w+)\s*: ([1-9]\d*)$/gm)];
    const values = new Map(lines.map(([, field = "", value]) => [field, Number(value)]));
    const isDefault = (field: string) =>
      field.endsWith("_length") && !values.has(field.replace("_length", ""));
    return Object.fromEntries([...values].filter(([field, value]) => value !== 1 || !isDefault(field)));
  };
  const storedLimits = async (vm: string): Promise<Record<string, unknown>> => {
    const { spec } = await host.client.ask(vms().GetVm, { vm });
    const limits = spec?.disks.find(({ name }) => name === "data")?.limits ?? {};
    return Object.fromEntries(Object.entries(limits).filter(([name]) => !name.startsWith("_")));
  };

  test("a running guest's disk gets, changes and loses its limits, and has them after a restart", async () => {
    const newVolume = { pool: "images", capacityBytes: 8 * MIB };
    const limits = { totalIops: 100, readBytesPerSecond: 10 * MIB };
    const { disks = [] } = bootSector("disks");
    const made = await host.create(
      bootSector("disks", { disks: [...disks, { name: "data", newVolume, limits }] }),
    );
    assert.equal(made.error, null);
    assert.deepEqual(await tuned("disks", "vdb", "--live"), [0, 10 * MIB, 0, 100, 0, 0]);
    assert.deepEqual(await tuned("disks", "vdb", "--config"), [0, 10 * MIB, 0, 100, 0, 0]);
    assert.deepEqual(await storedLimits("disks"), limits);

    // From a total to rates of one direction and back, in one request each.
    const other = { totalBytesPerSecond: 20 * MIB, readIops: 50, writeIops: 60 };
    const changed = await updateDisk("disks", "data", other);
    assert.deepEqual([changed.error, changed.result["applies"]], [null, "now"]);
    assert.deepEqual(await tuned("disks", "vdb", "--live"), [20 * MIB, 0, 0, 0, 50, 60]);
    assert.deepEqual(await tuned("disks", "vdb", "--config"), [20 * MIB, 0, 0, 0, 50, 60]);
    assert.deepEqual(await storedLimits("disks"), other);
    await power("disks", "StopVm");
    await power("disks", "StartVm");
    assert.deepEqual(await tuned("disks", "vdb", "--live"), [20 * MIB, 0, 0, 0, 50, 60]);

    assert.equal((await updateDisk("disks", "data", {})).result["limits"], "none");
    assert.deepEqual(await tuned("disks", "vdb", "--live"), [0, 0, 0, 0, 0, 0]);
    assert.deepEqual(await storedLimits("disks"), {});
    assert.doesNotMatch(await host.virsh("dumpxml", "--inactive", "disks"), /iotune/);
  });

  test("a disk has its bursts from its creation, keeps them when it moves, and loses them alone", async () => {
    const { libvirtd } = host;
    const other = join(libvirtd.directory, "other");
    await mkdir(other, { mode: 0o755 });
    await host.virsh("pool-create-as", "other", "dir", "--target", other);
    await host.untilListed();
    const { disks = [] } = bootSector("bursts");
    const newVolume = { pool: "images", capacityBytes: 8 * MIB };
    const limits = { totalIops: 100, totalBurstIops: 400, readBytesPerSecond: MIB, burstSeconds: 30 };
    const spec = (more: DiskLimits) =>
      bootSector("bursts", {
        disks: [...disks, { name: "data", newVolume, limits: { ...limits, ...more } }],
      });
    await assert.rejects(host.create(spec({ writeBurstIops: 5 })), (thrown) => {
      const { reason, details, message } = toSocleError(thrown);
      assert.match(message, /writeBurstIops needs writeIops, which totalIops excludes: give totalBurstIops/);
      assert.deepEqual(Object.keys(details.fields ?? {}), ["spec.disks[1].limits.writeBurstIops"]);
      return reason === "SPEC_INVALID";
    });
    const isShown = async (expected: Record<string, number>): Promise<void> => {
      for (const as of ["--live", "--config"] as const)
        assert.deepEqual(await shown("bursts", "vdb", as), expected, as);
    };
    assert.equal((await host.create(spec({}))).error, null);
    const total = { total_iops_sec: 100, total_iops_sec_max: 400, total_iops_sec_max_length: 30 };
    await isShown({ ...total, read_bytes_sec: MIB });
    assert.deepEqual(await storedLimits("bursts"), limits);

    // From bursts of a total to those of one direction, for the default of one second.
    const read = {
      readIops: 50,
      readBurstIops: 60,
      readBytesPerSecond: MIB,
      readBurstBytesPerSecond: 2 * MIB,
    };
    const plan = await host.client.ask(vms().UpdateDisk, {
      ...{ requestId: randomUUID(), vm: "bursts", disk: "data", limits: read, validateOnly: true },
    });
    assert.deepEqual([plan.result["limits"], plan.result["applies"]], ["set", "now"]);
    await isShown({ ...total, read_bytes_sec: MIB });
    const wrong = { ...read, burstSeconds: 10 ** 4, readBurstBytesPerSecond: 10 ** 12 };
    assert.equal(await reasonOf(updateDisk("bursts", "data", wrong)), "SPEC_INVALID");
    assert.equal((await updateDisk("bursts", "data", read)).error, null);
    const reads = {
      ...{ read_bytes_sec: MIB, read_bytes_sec_max: 2 * MIB, read_bytes_sec_max_length: 1 },
      ...{ read_iops_sec: 50, read_iops_sec_max: 60, read_iops_sec_max_length: 1 },
    };
    await isShown(reads);
    assert.deepEqual(await storedLimits("bursts"), read);
    const moved = await host.end(
      await host.client.ask(vms().MoveDisk, {
        ...{ requestId: randomUUID(), vm: "bursts", disk: "data", pool: "other" },
      }),
    );
    assert.equal(moved.error, null);
    assert.match(await host.virsh("domblklist", "bursts"), new RegExp(`vdb +${other}/`));
    await isShown(reads);
    assert.deepEqual(await storedLimits("bursts"), read);

    // A burst goes alone; then a stopped VM gets another for its next start.
    assert.equal((await updateDisk("bursts", "data", { readIops: 50 })).error, null);
    await isShown({ read_iops_sec: 50 });
    await power("bursts", "StopVm");
    const write = { writeIops: 70, writeBurstIops: 90, burstSeconds: 5 };
    const { result } = await updateDisk("bursts", "data", { readIops: 50, ...write });
    assert.equal(result["applies"], "at the next start");
    await power("bursts", "StartVm");
    const writes = { write_iops_sec: 70, write_iops_sec_max: 90, write_iops_sec_max_length: 5 };
    await isShown({ read_iops_sec: 50, ...writes });
    assert.equal((await updateDisk("bursts", "data", {})).error, null);
    await isShown({});
    await host.remove("bursts");
    await host.virsh("pool-destroy", "other");
  });

  test("a stopped VM's disk has its limits at the next start; an attached disk has its own", async () => {
    await power("disks", "StopVm");
    const { result } = await updateDisk("disks", "data", { writeBytesPerSecond: MIB });
    assert.equal(result["applies"], "at the next start");
    await power("disks", "StartVm");
    assert.deepEqual(await tuned("disks", "vdb", "--live"), [0, 0, MIB, 0, 0, 0]);
    const disk = {
      name: "more",
      newVolume: { pool: "images", capacityBytes: MIB },
      limits: { writeIops: 7, writeBurstIops: 9, burstSeconds: 3 },
    };
    const begun = host.client.ask(vms().AttachDisk, { requestId: randomUUID(), vm: "disks", disk });
    const attached = await host.end(await begun);
    assert.equal(attached.error, null);
    const expected = { write_iops_sec: 7, write_iops_sec_max: 9, write_iops_sec_max_length: 3 };
    for (const as of ["--live", "--config"] as const)
      assert.deepEqual(await shown("disks", "vdc", as), expected);
  });

  test("wrong limits, an unknown disk and an empty request are refused and change nothing", async () => {
    const before = await tuned("disks", "vdb", "--config");
    const refused = async (limits: DiskLimits): Promise<string | undefined> =>
      await reasonOf(updateDisk("disks", "data", limits));
    for (const wrong of [{ totalIops: 5, readIops: 5 }, { readBytesPerSecond: 1 }, { writeIops: 0 }])
      assert.equal(await refused(wrong), "SPEC_INVALID", JSON.stringify(wrong));
    assert.equal(await reasonOf(updateDisk("disks", "data")), "UPDATE_EMPTY");
    assert.equal(await reasonOf(updateDisk("disks", "none", { writeIops: 5 })), "DISK_NOT_FOUND");
    assert.deepEqual(await tuned("disks", "vdb", "--config"), before);
    await host.remove("disks");
  });

  test("a NIC gets, changes and loses its limits, also while its guest runs", async (t) => {
    const limits = { inboundBytesPerSecond: 100 * MIB };
    const spec = bootSector("nics", { nics: [{ name: "front", network: "limited" }] });
    const made = await host.create(spec, { leaveStopped: true });
    assert.equal(made.error, null);
    const mac = (await host.client.ask(vms().GetVm, { vm: "nics" })).nics[0]?.mac ?? "";
    const limited = async (as: "--live" | "--config"): Promise<number[]> => {
      const text = await host.virsh("domiftune", "nics", mac, as);
      return ["inbound.average", "outbound.average", "inbound.burst", "outbound.burst"].map((name) =>
        Number(new RegExp(`${name}\\s*:\\s*(\\d+)`).exec(text)?.[1]),
      );
    };
    const other = { outboundBytesPerSecond: 50 * MIB + 1, outboundBurstBytes: MIB };
    for (const [asked, kib] of [
      [limits, [100 * KIB, 0, 0, 0]],
      [other, [0, 50 * KIB + 1, 0, KIB]],
      [{}, [0, 0, 0, 0]],
    ] as const) {
      const updated = await updateNic("nics", asked);
      assert.deepEqual([updated.error, updated.result["applies"]], [null, "at the next start"]);
      assert.deepEqual(await limited("--config"), kib);
    }
    assert.equal(await reasonOf(updateNic("nics", { inboundBurstBytes: MIB })), "SPEC_INVALID");
    await power("nics", "StartVm");
    const live = await updateNic("nics", other);
    const problem = host.failureOf(live)?.message ?? "";
    // Kernels without these modules cannot limit a running guest; then nothing has changed.
    if (/tc qdisc|tc filter/.test(problem)) {
      t.diagnostic(`not applied to a running guest: ${problem}`);
      assert.deepEqual(await limited("--config"), [0, 0, 0, 0]);
    } else {
      assert.equal(problem, "");
      for (const as of ["--live", "--config"] as const)
        assert.deepEqual(await limited(as), [0, 50 * KIB + 1, 0, KIB]);
      assert.equal((await updateNic("nics", {})).error, null);
      assert.deepEqual(await limited("--live"), [0, 0, 0, 0]);
    }
    await host.remove("nics");
  });
});
