import { invalidField } from "../../kernel/errors.ts";
import { enumWords } from "../../contract/enum.ts";
import type { Operation as ProtoOperation } from "../../gen/socle/v1/Operation.ts";
import type { Snapshot as ProtoSnapshot } from "../../gen/socle/v1/Snapshot.ts";
import type { SnapshotServiceHandlers } from "../../gen/socle/v1/SnapshotService.ts";
import { noSnapshots, type Snapshot, type Snapshots } from "../../vm/model/snapshots.ts";
import { requireSnapshot } from "../../vm/operations/layers.ts";
import type { OperationKind, RequestOf } from "../../vm/operations/registry.ts";
import type { Mutation } from "../../vm/operations/vms.ts";
import type { Caller } from "../auth/identity.ts";
import type { ErrorEncoder } from "../convert/errors.ts";
import { operationToProto } from "../convert/operation.ts";
import { nonEmpty } from "../convert/spec.ts";
import { toTimestamp } from "../convert/time.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { Methods } from "./handler.ts";
import { readableVm } from "./readable-vm.ts";
import { forCaller } from "./tenancy.ts";

const states = enumWords("SNAPSHOT_STATE", ["ready", "deleting"]);

export function snapshotService(
  dependencies: ServiceDependencies,
  errors: ErrorEncoder,
): Methods<SnapshotServiceHandlers> {
  const of = forCaller(dependencies);
  const begin = async <Kind extends Exclude<OperationKind, "CREATE_VM">>(
    kind: Kind,
    request: Mutation & RequestOf<Kind>,
    caller: Caller,
  ): Promise<ProtoOperation> =>
    operationToProto(await of(caller).vms.begin(kind, by(request, caller), caller.name), errors, caller);
  return {
    CreateSnapshot: ({ description, etag, ...request }, { caller }) =>
      begin(
        "CREATE_SNAPSHOT",
        { ...request, description: nonEmpty(description), etag: nonEmpty(etag) },
        caller,
      ),
    GetSnapshot({ vm, snapshot }, { caller }) {
      requireNamed(snapshot);
      const found = readableVm(of(caller).vmView, vm);
      return toProto(found.snapshots ?? noSnapshots)(requireSnapshot(found, snapshot));
    },
    ListSnapshots({ vm }, { caller }) {
      const { snapshots = noSnapshots } = readableVm(of(caller).vmView, vm);
      return { snapshots: snapshots.snapshots.map(toProto(snapshots)) };
    },
    DeleteSnapshot({ etag, ...request }, { caller }) {
      requireNamed(request.snapshot);
      return begin("DELETE_SNAPSHOT", { ...request, etag: nonEmpty(etag) }, caller);
    },
    RevertSnapshot({ etag, ...request }, { caller }) {
      requireNamed(request.snapshot);
      return begin("REVERT_SNAPSHOT", { ...request, etag: nonEmpty(etag) }, caller);
    },
  };
}

const by = <Request>(request: Request, { behalf }: Caller) =>
  behalf === undefined ? request : { ...request, behalf };

function requireNamed(snapshot: string): void {
  if (snapshot === "") throw invalidField("REQUEST_INVALID", "snapshot", "must be an id or a name");
}

const toProto =
  ({ current }: Snapshots) =>
  ({
    id,
    name,
    description,
    parent,
    createdAtMs,
    deleting,
    quiesced,
    memory,
    volumes,
  }: Snapshot): ProtoSnapshot => ({
    id,
    name,
    description: description ?? "",
    parentId: parent ?? "",
    createdAt: toTimestamp(createdAtMs),
    state: states.toProto(deleting === true ? "deleting" : "ready"),
    quiesced: quiesced === true,
    current: id === current,
    disks: Object.keys(volumes),
    memoryBytes: memory?.bytes ?? 0,
  });
