import { randomUUID } from "node:crypto";
import type { Contract } from "../../agent/contract/load.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { Belongings } from "./foreign-rows.ts";

const MIB = 2 ** 20;
const POOL = "images";
/** No try lasts as long. */
const LEASE_SECONDS = 86_400;

/** What makes a tenant's things: the tenant's own calls, and the end of an operation. */
interface Maker {
  readonly contract: Contract;
  readonly vm: { readonly vmId: string; readonly name: string };
  /** The reply; throws an error reply. */
  readonly get: <Request, Response>(
    method: {
      readonly path: string;
      readonly requestSerialize: (request: Request) => Buffer;
      readonly responseDeserialize: (bytes: Buffer) => Response;
    },
    request: Request,
  ) => Promise<Response>;
  /** Throws if it does not succeed. */
  readonly succeeded: (operation: Operation__Output) => Promise<Operation__Output>;
}

/** Gives a tenant with a running VM, which has a disk "data", one thing of each kind. The tenant's own lists show them. */
export async function makeBelongings(name: string, maker: Maker): Promise<Belongings> {
  const { contract, vm, get, succeeded } = maker;
  const { storage, images, snapshots, backups, operations } = contract;
  const of = () => ({ requestId: randomUUID(), vm: vm.vmId });
  const made = await succeeded(
    await get(storage.CreateVolume, {
      ...{ requestId: randomUUID(), pool: POOL, name: `${name}-own`, capacityBytes: MIB },
    }),
  );
  const source = { pool: POOL, volume: made.result["volume"] ?? "" };
  const imported = { requestId: randomUUID(), name: `${name}-image`, pool: POOL, volume: source };
  const { imageId } = await succeeded(await get(images.ImportImage, imported));
  const image = await get(images.GetImage, { image: imageId });
  await succeeded(await get(snapshots.CreateSnapshot, { ...of(), name: `${name}-snapshot` }));
  const begun = await succeeded(
    await get(backups.BeginBackup, { ...of(), disks: ["data"], leaseSeconds: LEASE_SECONDS }),
  );
  const { snapshots: own } = await get(snapshots.ListSnapshots, { vm: vm.vmId });
  const { backups: open } = await get(backups.ListBackups, {});
  const { operations: all } = await get(operations.ListOperations, {});
  const [snapshot, backup] = [own[0], open[0]];
  if (
    snapshot === undefined ||
    backup === undefined ||
    !all.some((one) => one.operationId === begun.operationId)
  )
    throw new Error(`the lists of ${name} lack a snapshot, a backup or an operation`);
  return {
    vm: [vm.vmId, vm.name],
    image: [image.imageId, image.name],
    snapshot: [snapshot.id, snapshot.name],
    backup: [backup.backupId],
    operation: [begun.operationId],
    volume: [source.volume, image.volume, `socle-${vm.vmId}-data.qcow2`],
  };
}

/** Texts that only another tenant's answers have. */
export const marksOf = (belongings: Belongings): string[] => Object.values(belongings).flat() as string[];
