import type { TestContext } from "node:test";
import { vmHostOf } from "../../../agent/composition/hypervisor.ts";
import { Ledger } from "../../../agent/host/capacity/ledger.ts";
import { Reservations } from "../../../agent/host/capacity/reservations.ts";
import type { TenantQuota } from "../../../agent/host/capacity/tenant-quotas.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { Topic } from "../../../agent/kernel/concurrency/topic.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { Operations, type OperationsOptions } from "../../../agent/state/operations/operations.ts";
import { ReservationBook } from "../../../agent/state/reservations/reservation-book.ts";
import { nothingPermitted, type TenantPermissions } from "../../../agent/vm/model/tenant-policy.ts";
import { VmTable } from "../../../agent/vm/observation/vm-table.ts";
import { Vms, type CreateRequest } from "../../../agent/vm/operations/vms.ts";
import type { RunContext } from "../../../agent/vm/operations/work.ts";
import { folder } from "../state/folder.ts";
import { storeOfNothing } from "./image-parts.ts";
import { workContext } from "./work-context.ts";

export const GIB = 1024 ** 3;

/**
 * The admission of VMs with the agent's own parts, over a libvirt without answers: operations begin and do
 * not end.
 */
export async function admission(
  t: TestContext,
  {
    quota = {},
    permissions = {},
    directory,
    beforeShown,
    context: given,
  }: {
    quota?: Partial<TenantQuota>;
    permissions?: Partial<TenantPermissions>;
    directory?: string;
    beforeShown?: OperationsOptions["beforeShown"];
    /** The VMs' surroundings; by default a libvirt without answers. */
    context?: RunContext;
  } = {},
) {
  directory ??= await folder(t);
  const basis = { directory, clock: systemClock, log: silentLog, retentionMs: 86_400_000 };
  const operations = await Operations.open({
    ...basis,
    ...(beforeShown === undefined ? {} : { beforeShown }),
  });
  const book = await ReservationBook.open({ ...basis, boot: { bootId: "b", ms: () => 0 } });
  t.after(() => Promise.all([operations.drain(0), book.close()]));
  const ledger = new Ledger({
    policy: {
      reservedCpus: 0,
      reservedMemoryBytes: 0,
      cpuOvercommitRatio: 4,
      memoryOvercommitRatio: 1,
      dedicatedCpus: [],
    },
    scheduling: () => ({ state: "active", reason: "" }),
    quotaOf: () => ({ vms: null, vcpus: null, memoryBytes: null, diskBytes: null, ...quota }),
    clock: systemClock,
    changed: () => undefined,
  });
  ledger.setCells([
    { id: 0, cpus: [0, 1, 2, 3, 4, 5, 6, 7], memoryBytes: 64 * GIB, pages: [], distances: [] },
  ]);
  ledger.setFootprints([], true);
  const seen = { active: true, presence: "present", observedAtMs: 1, capacityBytes: 1000 * GIB } as const;
  ledger.setStorage({
    pools: new Map([["images", { ...seen, name: "images", type: "dir" }]]),
    volumes: new Map([["images", { kind: "read", value: { bytes: new Map() } }]]),
    startedAtMs: 0,
  });
  const reservations = new Reservations({ book, ledger, clock: systemClock, log: silentLog });
  const table = given?.table ?? new VmTable();
  table.completed(1);
  const silent = {
    call: () => new Promise<never>(() => undefined),
    openStream: () => new Promise<never>(() => undefined),
    events: new Topic<never>(),
  };
  const context = given ?? workContext(silent, systemClock, table);
  const store = storeOfNothing();
  await store.refresh();
  const vms = new Vms({
    ...context,
    images: { ...context.images, store },
    operations,
    kvmProbe: { suspect: () => Promise.resolve() },
    host: vmHostOf(
      {
        ledger,
        storageRead: () => Promise.resolve(),
        trait: () => true,
        kvm: () => ({ kind: "absent" }),
      },
      reservations,
    ),
    policy: {
      bridges: ["br0"],
      allowSpoofing: true,
      accelerator: "tcg",
      gracefulStopMs: 1000,
      permissionsOf: () => ({ ...nothingPermitted, ...permissions }),
    },
  });
  let requests = 0;
  const create = (
    spec: Readonly<Record<string, unknown>>,
    more: Partial<CreateRequest> & { caller?: string } = {},
  ) => {
    requests += 1;
    const { caller = "scheduler", ...request } = more;
    return vms.create(
      {
        requestId: `request-${requests}`,
        spec: {
          name: `vm-${requests}`,
          tenant: "acme",
          vcpus: 1,
          memoryBytes: GIB,
          kernelBoot: { kernel: { pool: "images", volume: "vmlinuz" } },
          ...spec,
        },
        leaveStopped: true,
        validateOnly: false,
        placementEpoch: 0,
        ...request,
      },
      caller,
    );
  };
  return { vms, create, ledger, reservations, operations, table, store };
}
