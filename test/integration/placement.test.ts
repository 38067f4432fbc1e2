import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { CreateVmRequest } from "../../agent/gen/socle/v1/CreateVmRequest.ts";
import type { PlacementRequest } from "../../agent/gen/socle/v1/PlacementRequest.ts";
import type { Reservation__Output } from "../../agent/gen/socle/v1/Reservation.ts";
import { toSocleError, type SocleError } from "../../agent/kernel/errors.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { bootSector, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const MIB = 2 ** 20;
const unavailable =
  libvirtdUnavailable() || (availableParallelism() < 2 && "a dedicated and a shared CPU are two");

suite("placement of VMs over a real libvirtd", { skip: unavailable, timeout: 180_000 }, () => {
  let host: SocleHost;
  before(async () => {
    host = await SocleHost.start({
      config: {
        vm: { accelerator: "tcg" },
        host: { dedicatedCpus: "1", reservedMemoryMiB: 0, memoryOvercommitRatio: 4 },
      },
    });
  });
  after(() => host.stop());

  type More = Partial<CreateVmRequest>;
  const create = (
    name: string,
    placement: PlacementRequest | null,
    more: More = {},
  ): Promise<Operation__Output> =>
    host.client.ask(host.client.contract.vms.CreateVm, {
      requestId: randomUUID(),
      spec: bootSector(name, { placement }),
      leaveStopped: true,
      ...more,
    });
  const reserve = (placementRequest: PlacementRequest): Promise<Reservation__Output> =>
    host.client.ask(host.client.contract.reservations.Reserve, {
      requestId: randomUUID(),
      vcpus: 1,
      memoryBytes: 32 * MIB,
      placementRequest,
    });
  const succeeds = async (begun: Promise<Operation__Output>): Promise<void> => {
    const end = await host.end(await begun);
    assert.equal(end.state, "STATE_SUCCEEDED", JSON.stringify(host.failureOf(end)));
  };
  const refusal = async (call: Promise<unknown>): Promise<SocleError> =>
    await call.then(
      () => assert.fail("it was accepted"),
      (thrown: unknown) => toSocleError(thrown),
    );
  const dedicatedFree = async (): Promise<number | undefined> => {
    const rows = ((await host.host()).capacity?.cells ?? []).flatMap(({ resources }) => resources);
    return rows.find(({ resource }) => resource === "cpu_dedicated")?.available;
  };
  const agentDies = async (): Promise<void> => {
    await host.agent.kill();
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
  };

  test("a VM with dedicated CPUs is pinned to them, and its QEMU threads run on other CPUs", async () => {
    assert.equal(await dedicatedFree(), 1);
    const placementRequest = { dedicatedCpus: true, cellPolicy: "CELL_POLICY_STRICT" } as const;
    await succeeds(create("pinned", placementRequest, { leaveStopped: false }));
    assert.match(await host.virsh("vcpupin", "pinned"), /^\s*0\s+1$/m);
    assert.equal(await host.virsh("emulatorpin", "pinned"), "0");
    assert.match(await host.virsh("numatune", "pinned"), /numa_nodeset\s*:\s*0/);
    const xml = await host.virsh("dumpxml", "pinned");
    assert.match(xml, /<vcpupin vcpu='0' cpuset='1'\/>/);
    assert.match(xml, /<memory mode='strict' nodeset='0'\/>/);
    assert.match(xml, /<socle:placement>.*vcpuCpus.*<\/socle:placement>/);
    assert.equal(await dedicatedFree(), 0);
    const refused = await refusal(create("too-many", { dedicatedCpus: true }));
    assert.deepEqual(
      [
        refused.reason,
        refused.details.metadata?.["dimension"],
        refused.details.metadata?.["free_cpu_dedicated"],
      ],
      ["NO_CAPACITY", "cpu_dedicated", "0"],
    );
    await host.remove("pinned");
    assert.equal(await dedicatedFree(), 1);
  });

  test("a VM on shared CPUs is kept off the dedicated CPUs", async () => {
    await succeeds(create("sharing", null));
    assert.match(await host.virsh("vcpupin", "sharing", "--config"), /^\s*0\s+0$/m);
    await host.remove("sharing");
  });

  test("CPUs of a pinned unmanaged VM are given to no other VM", async () => {
    const file = join(host.libvirtd.imagesDirectory, "foreign.xml");
    await writeFile(
      file,
      "<domain type='qemu'><name>foreign</name><memory unit='MiB'>32</memory><vcpu cpuset='1'>1</vcpu>" +
        "<os><type>hvm</type></os></domain>",
    );
    await host.virsh("define", file);
    await eventually(async () => (await host.list()).vms.length === 1, { what: "the VM to be listed" });
    assert.equal(await dedicatedFree(), 0);
    await host.virsh("undefine", "foreign");
    await eventually(async () => (await dedicatedFree()) === 1, { what: "its CPU to be free" });
  });

  test("a reservation survives a crash, and its VM gets exactly the reserved capacity, once", async () => {
    const reserved = await reserve({ dedicatedCpus: true });
    assert.deepEqual(reserved.placement?.vcpuCpus, [1]);
    assert.equal((await refusal(reserve({ dedicatedCpus: true }))).reason, "NO_CAPACITY");
    await agentDies();
    assert.equal(await dedicatedFree(), 0);
    const { reservationId } = reserved;
    const foreign = bootSector("reserved", { tenant: "red" });
    const refused = await refusal(create("reserved", null, { reservationId, spec: foreign }));
    assert.equal(refused.reason, "RESERVATION_FOREIGN");
    await succeeds(create("reserved", null, { reservationId }));
    assert.match(await host.virsh("vcpupin", "reserved", "--config"), /^\s*0\s+1$/m);
    const again = await refusal(create("twice", null, { reservationId }));
    assert.equal(again.reason, "RESERVATION_ENDED");
    const { reservations } = await host.client.ask(host.client.contract.reservations.ListReservations, {
      includeEnded: true,
    });
    const { vmId } = await host.client.ask(host.client.contract.vms.GetVm, { vm: "reserved" });
    assert.deepEqual(
      reservations.map(({ state, vmId: id }) => [state, id]),
      [["STATE_CONSUMED", vmId]],
    );
    await host.remove("reserved");
    assert.equal(await dedicatedFree(), 1);
  });

  test("a start with an older placement epoch is refused, also after a crash and while the VM runs", async () => {
    const start = (placementEpoch: number): Promise<Operation__Output> =>
      host.client.ask(host.client.contract.vms.StartVm, {
        requestId: randomUUID(),
        vm: "placed",
        placementEpoch,
      });
    const isStale = async (): Promise<boolean> =>
      host.failureOf(await host.end(await start(6)))?.reason === "PLACEMENT_EPOCH_STALE";
    await succeeds(create("placed", null, { placementEpoch: 7 }));
    assert.ok(await isStale());
    await agentDies();
    assert.ok(await isStale());
    await succeeds(start(8));
    assert.match(await host.virsh("dumpxml", "placed"), /<socle:placementEpoch>8</);
    assert.ok(await isStale());
    await succeeds(start(9));
    assert.match(await host.virsh("dumpxml", "placed", "--inactive"), /<socle:placementEpoch>9</);
    await host.remove("placed");
  });

  test("a disk beyond the pool's capacity is refused at once, also one of two concurrent ones", async () => {
    const poolIsRead = () =>
      eventually(
        async () => {
          const pools = (await host.host()).inventory?.storagePools ?? [];
          return pools.find(
            ({ name, provisionedBytes }) => name === "images" && provisionedBytes !== undefined,
          );
        },
        { what: "the pool to be read" },
      );
    const { capacityBytes, thinRatio } = await poolIsRead();
    assert.ok(capacityBytes !== undefined && thinRatio === 1);
    const withDisk = (name: string, bytes: number, more: More = {}): Promise<Operation__Output> => {
      const data = { name: "data", newVolume: { pool: "images", capacityBytes: bytes } };
      return create(name, null, { spec: bootSector(name, { disks: [data] }), ...more });
    };
    for (const validateOnly of [true, false]) {
      const refused = await refusal(withDisk("huge", 10 * 1024 ** 4, { validateOnly }));
      assert.deepEqual(
        [refused.reason, refused.details.metadata?.["dimension"], refused.details.metadata?.["pool"]],
        ["NO_CAPACITY", "storage", "images"],
      );
    }
    const most = Math.floor(capacityBytes * 0.6);
    const both = await Promise.allSettled([withDisk("disk-a", most), withDisk("disk-b", most)]);
    const refusals = both.flatMap((each) => (each.status === "rejected" ? [toSocleError(each.reason)] : []));
    assert.deepEqual(
      refusals.map(({ reason, details }) => [reason, details.metadata?.["dimension"]]),
      [["NO_CAPACITY", "storage"]],
    );
    for (const each of both) if (each.status === "fulfilled") await succeeds(Promise.resolve(each.value));
    const made = both[0].status === "fulfilled" ? "disk-a" : "disk-b";
    assert.equal((await refusal(withDisk("disk-c", most))).reason, "NO_CAPACITY");
    await agentDies();
    await poolIsRead();
    assert.equal((await refusal(withDisk("disk-c", most))).reason, "NO_CAPACITY");
    await host.remove(made);
    await succeeds(withDisk("disk-c", most));
    await host.remove("disk-c");
  });
});
