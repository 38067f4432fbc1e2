import { enumWords } from "../../contract/enum.ts";
import { defined } from "../../kernel/defined.ts";
import type { Backup as ProtoBackup } from "../../gen/socle/v1/Backup.ts";
import type { BackupServiceHandlers } from "../../gen/socle/v1/BackupService.ts";
import type { Extent as ProtoExtent } from "../../gen/socle/v1/Extent.ts";
import type { ExtentData } from "../../gen/socle/v1/ExtentData.ts";
import type { ExtentList } from "../../gen/socle/v1/ExtentList.ts";
import type { Operation as ProtoOperation } from "../../gen/socle/v1/Operation.ts";
import {
  CHANGES,
  exportNameOf,
  findBackup,
  noBackups,
  type OpenBackup,
  type WholeBackup,
} from "../../vm/model/backups.ts";
import type { Vm } from "../../vm/model/vm.ts";
import { noBackup } from "../../vm/operations/backup-refusals.ts";
import type { OperationKind, RequestOf } from "../../vm/operations/registry.ts";
import type { Mutation } from "../../vm/operations/vms.ts";
import type { Caller } from "../auth/identity.ts";
import type { ErrorEncoder } from "../convert/errors.ts";
import { operationToProto } from "../convert/operation.ts";
import { nonEmpty } from "../convert/spec.ts";
import { toTimestamp } from "../convert/time.ts";
import { pageOf } from "../limits/paging.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { Methods } from "./handler.ts";
import { readableVm } from "./readable-vm.ts";
import { restoreDisk } from "./restore.ts";
import { forCaller } from "./tenancy.ts";

const states = enumWords("BACKUP_STATE", ["open", "complete"]);

export function backupService(
  dependencies: ServiceDependencies,
  errors: ErrorEncoder,
): Methods<BackupServiceHandlers> {
  const { backups } = dependencies;
  const of = forCaller(dependencies);
  const vmOf = (caller: Caller, vm: string): Vm => readableVm(of(caller).vmView, vm);
  const begin = async <Kind extends Exclude<OperationKind, "CREATE_VM">>(
    kind: Kind,
    request: Mutation & RequestOf<Kind>,
    caller: Caller,
  ): Promise<ProtoOperation> =>
    operationToProto(await of(caller).vms.begin(kind, by(request, caller), caller.name), errors, caller);
  const toProto = (vm: Vm, backup: OpenBackup | WholeBackup, { tenant }: Caller): ProtoBackup => {
    const whole = wholeToProto(vm, backup);
    if (!("scratchBytes" in backup)) return whole;
    const leaseMs = backups.leaseUntilMs(vm.id, backup.id);
    return defined<ProtoBackup>({
      ...whole,
      leaseExpiresAt: leaseMs === undefined ? undefined : toTimestamp(leaseMs),
      scratchBytes: backup.scratchBytes,
      scratchUsedBytes: backups.scratchUsedBytes(vm.id),
      nbdUri: tenant === undefined && backup.phase === "open" ? nbdUri(vm.id, backup) : undefined,
    });
  };
  const nbdUri = (vmId: string, { nbd }: OpenBackup): string => {
    if (nbd === undefined) return `nbd+unix:///?socket=${backups.socketOf(vmId)}`;
    const { address, port } = nbd;
    return `nbds://${address.includes(":") ? `[${address}]` : address}:${port}/`;
  };
  return {
    BeginBackup: ({ etag, ...request }, { caller }) =>
      begin("BEGIN_BACKUP", { ...request, etag: nonEmpty(etag) }, caller),
    GetBackup({ vm: name, backupId }, { caller }) {
      const vm = vmOf(caller, name);
      const found = findBackup(vm.backups, backupId);
      if (found === undefined) throw noBackup(vm.name, backupId);
      return toProto(vm, found, caller);
    },
    async ListBackups({ vm: name, onlyOpen, ...request }, context) {
      const { caller } = context;
      const vms = name === "" ? of(caller).vmView.all() : [vmOf(caller, name)];
      const items = vms
        .flatMap((vm) => backupsOf(vm, onlyOpen).map((backup) => ({ vm, backup })))
        .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
      const list = { items, idOf: keyOf, request, query: { vm: name, onlyOpen } };
      const { messages, rest } = await pageOf(
        list,
        ({ vm, backup }) => toProto(vm, backup, caller),
        context.slice(),
      );
      return { backups: messages, nextPageToken: rest.nextPageToken };
    },
    async RenewBackup({ vm: name, backupId, leaseSeconds }, { caller }) {
      const vm = vmOf(caller, name);
      await backups.renew(vm, backupId, leaseSeconds);
      const found = findBackup(vm.backups, backupId);
      if (found === undefined) throw noBackup(vm.name, backupId);
      return toProto(vm, found, caller);
    },
    async *ListExtents({ vm, ...asked }, { caller, signal }): AsyncGenerator<ExtentList, void, undefined> {
      for await (const extents of backups.extents(vmOf(caller, vm), asked, signal))
        yield { extents: extents.map(extentToProto) };
    },
    async *ReadExtents({ vm, ...asked }, { caller, signal }): AsyncGenerator<ExtentData, void, undefined> {
      for await (const piece of backups.pieces(vmOf(caller, vm), asked, signal)) {
        const { offsetBytes, lengthBytes, bytes } = piece;
        yield bytes === undefined ? { offsetBytes, zeroBytes: lengthBytes } : { offsetBytes, content: bytes };
      }
    },
    FinishBackup: (request, { caller }) => begin("FINISH_BACKUP", request, caller),
    RestoreDisk: restoreDisk(dependencies, errors),
  };
}

interface BackupOfVm {
  readonly vm: Vm;
  readonly backup: OpenBackup | WholeBackup;
}

function backupsOf({ backups = noBackups }: Vm, onlyOpen: boolean): readonly (OpenBackup | WholeBackup)[] {
  const { open, whole } = backups;
  const all = [open, onlyOpen || open?.id === whole?.id ? undefined : whole];
  return all.filter((each) => each !== undefined);
}

/** By VM, the open one first. */
const keyOf = ({ vm, backup }: BackupOfVm): string => `${vm.id} ${"phase" in backup ? 0 : 1}`;

const by = <Request>(request: Request, { behalf }: Caller) =>
  behalf === undefined ? request : { ...request, behalf };

const extentToProto = ({
  offsetBytes,
  lengthBytes,
  zero,
}: {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly zero: boolean;
}): ProtoExtent => ({ offsetBytes, lengthBytes, zero });

function wholeToProto(vm: Vm, backup: OpenBackup | WholeBackup): ProtoBackup {
  const isOpen = "phase" in backup && backup.phase === "open";
  return {
    backupId: backup.id,
    vmId: vm.id,
    state: states.toProto("phase" in backup ? "open" : "complete"),
    createdAt: toTimestamp(backup.createdAtMs),
    baseBackup: backup.base ?? "",
    quiesced: backup.quiesced === true,
    disks: backup.disks.map((disk) => ({
      disk: disk.disk,
      capacityBytes: disk.capacityBytes,
      incremental: disk.incremental === true,
      fullReason: disk.fullReason ?? "",
      nbdExport: isOpen && "device" in disk ? exportNameOf(backup, disk.device) : "",
      nbdBitmap: isOpen && disk.incremental === true ? CHANGES : "",
    })),
  };
}
