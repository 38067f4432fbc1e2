import { createHash } from "node:crypto";
import { defined } from "../../kernel/defined.ts";
import { SocleError } from "../../kernel/errors.ts";
import { dumpFormats, nicLinks } from "../../contract/spec-enums.ts";
import type { Slice } from "../../kernel/concurrency/slice.ts";
import type { Operation } from "../../state/operations/operation.ts";
import { ASK_PROVIDER, requireReadable } from "../../vm/model/unreadable.ts";
import type { Vm, VmView } from "../../vm/model/vm.ts";
import type { ListVmsRequest__Output } from "../../gen/socle/v1/ListVmsRequest.ts";
import type { ListVmsResponse } from "../../gen/socle/v1/ListVmsResponse.ts";
import type { Operation as ProtoOperation } from "../../gen/socle/v1/Operation.ts";
import type { VmServiceHandlers } from "../../gen/socle/v1/VmService.ts";
import { requireMayDump } from "../../vm/operations/dump-memory.ts";
import type { OperationKind, RequestOf } from "../../vm/operations/registry.ts";
import type { Mutation } from "../../vm/operations/vms.ts";
import { runConsole } from "./console.ts";
import { operationToProto } from "../convert/operation.ts";
import {
  diskFromProto,
  diskLimitsFromProto,
  limitsFromProto,
  mediumFromProto,
  nicFromProto,
  nonEmpty,
  seedFromProto,
  seedPartsFromProto,
  specFromProto,
} from "../convert/spec.ts";
import { durationMs, toTimestamp } from "../convert/time.ts";
import { presences, vmToProto } from "../convert/vm.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { ErrorEncoder } from "../convert/errors.ts";
import type { Caller } from "../auth/identity.ts";
import type { Methods } from "./handler.ts";
import { forCaller } from "./tenancy.ts";
import { afterIdOf, convertPage, pageSize, pageToken } from "../limits/paging.ts";
import { vmFilter, withoutSpec } from "./vm-filter.ts";
import { watchVms } from "./vm-watch.ts";

export function vmService(
  dependencies: ServiceDependencies,
  errors: ErrorEncoder,
): Methods<VmServiceHandlers> {
  const of = forCaller(dependencies);
  const reply = async (operation: Promise<Operation>, caller: Caller): Promise<ProtoOperation> =>
    operationToProto(await operation, errors, caller);
  const begin = <Kind extends Exclude<OperationKind, "CREATE_VM">>(
    kind: Kind,
    request: Mutation & RequestOf<Kind>,
    caller: Caller,
  ): Promise<ProtoOperation> => reply(of(caller).vms.begin(kind, by(request, caller), caller.name), caller);
  return {
    CreateVm({ spec, reservationId, ...request }, { caller }) {
      const made = { spec: specFromProto(spec), seed: seedFromProto(spec) };
      const asked = { ...request, ...made, reservationId: nonEmpty(reservationId) };
      return reply(of(caller).vms.create(by(asked, caller), caller.name), caller);
    },
    GetVm: ({ vm }, { caller }) => vmToProto(getVm(of(caller).vmView, vm)),
    ListVms: (request, context) => listVms(of(context.caller).vmView, request, context.slice()),
    WatchVms: ({ filter }, { caller, signal }) =>
      watchVms(
        of(caller).vmView,
        { matches: vmFilter(filter), mayMatch: vmFilter(withoutSpec(filter)) },
        signal,
      ),
    StartVm: (request, { caller }) => begin("START_VM", request, caller),
    StopVm({ gracefulTimeout, ...request }, { caller }) {
      return begin("STOP_VM", { ...request, gracefulTimeoutMs: timeoutOf(gracefulTimeout) }, caller);
    },
    RebootVm: (request, { caller }) => begin("REBOOT_VM", request, caller),
    PauseVm: (request, { caller }) => begin("PAUSE_VM", request, caller),
    ResumeVm: (request, { caller }) => begin("RESUME_VM", request, caller),
    DeleteVm: ({ etag, eraseDisks, ...request }, { caller }) =>
      begin("DELETE_VM", { ...request, ...(eraseDisks ? { eraseDisks } : {}), etag: nonEmpty(etag) }, caller),
    UpdateVm: ({ spec, updateMask, ...request }, { caller }) =>
      begin(
        "UPDATE_VM",
        { ...withEtag(request), spec: specFromProto(spec), updateMask: updateMask?.paths ?? [] },
        caller,
      ),
    AttachDisk: ({ disk, ...request }, { caller }) =>
      begin("ATTACH_DISK", { ...withEtag(request), disk: diskFromProto(disk, "disk") }, caller),
    DetachDisk: (request, { caller }) => begin("DETACH_DISK", withEtag(request), caller),
    ResizeDisk: (request, { caller }) => begin("RESIZE_DISK", withEtag(request), caller),
    UpdateDisk: ({ limits, ...request }, { caller }) =>
      begin("UPDATE_DISK", { ...withEtag(request), limits: diskLimitsFromProto(limits) }, caller),
    AttachNic: ({ nic, ...request }, { caller }) =>
      begin("ATTACH_NIC", { ...withEtag(request), nic: nicFromProto(nic, "nic") }, caller),
    DetachNic: (request, { caller }) => begin("DETACH_NIC", withEtag(request), caller),
    UpdateNic({ linkState, limits, ...request }, { caller }) {
      const link = nicLinks.fromProto("link_state", linkState);
      const asked = limits === null ? {} : { limits: limitsFromProto(limits) };
      return begin("UPDATE_NIC", { ...withEtag(request), link, ...asked }, caller);
    },
    AttachPciDevice: (request, { caller }) => begin("ATTACH_PCI_DEVICE", withEtag(request), caller),
    DetachPciDevice: (request, { caller }) => begin("DETACH_PCI_DEVICE", withEtag(request), caller),
    SuspendVm: (request, { caller }) => begin("SUSPEND_VM", request, caller),
    DiscardSavedState: (request, { caller }) => begin("DISCARD_SAVED_STATE", request, caller),
    InjectNmi: (request, { caller }) => begin("INJECT_NMI", request, caller),
    ChangeMedia: ({ volume, image, ...request }, { caller }) =>
      begin("CHANGE_MEDIA", { ...withEtag(request), ...mediumFromProto(defined({ volume, image })) }, caller),
    MoveDisk: (request, { caller }) => begin("MOVE_DISK", withEtag(request), caller),
    RescueVm: ({ source: _, image = "", volume, gracefulTimeout, ...request }, { caller }) =>
      begin(
        "RESCUE_VM",
        {
          ...withEtag(request),
          image: nonEmpty(image),
          volume: volume ?? undefined,
          gracefulTimeoutMs: timeoutOf(gracefulTimeout),
        },
        caller,
      ),
    UnrescueVm: ({ gracefulTimeout, ...request }, { caller }) =>
      begin("UNRESCUE_VM", { ...request, gracefulTimeoutMs: timeoutOf(gracefulTimeout) }, caller),
    ChangeSeed: ({ cloudInit, updateMask, ...request }, { caller }) =>
      begin(
        "CHANGE_SEED",
        {
          ...withEtag(request),
          cloudInit: seedPartsFromProto(cloudInit),
          updateMask: updateMask?.paths ?? [],
        },
        caller,
      ),
    DumpMemory({ format: wanted, volume, ...request }, { caller }) {
      const isOperator = caller.tenant === undefined && isOperatorRole(caller.role);
      // Before the host's directory is looked at.
      requireMayDump(volume !== null, isOperator);
      const format = dumpFormats.fromProto("format", wanted) ?? "elf";
      return begin("DUMP_MEMORY", defined({ ...request, format, volume: volume ?? undefined }), caller);
    },
    Console: (requests, { caller, signal }) => runConsole(of(caller).vms, requests, signal),
  };
}

const isOperatorRole = (role: Caller["role"]): boolean => role === "operator" || role === "admin";

const timeoutOf = (gracefulTimeout: Parameters<typeof durationMs>[1] | null): number | undefined =>
  gracefulTimeout === null ? undefined : durationMs("graceful_timeout", gracefulTimeout);

const withEtag = <Request extends { readonly etag: string }>({ etag, ...request }: Request) => ({
  ...request,
  etag: nonEmpty(etag),
});

const by = <Request>(request: Request, { behalf }: Caller) =>
  behalf === undefined ? request : { ...request, behalf };

function getVm(view: VmView, idOrName: string): Vm {
  const vm = view.get(idOrName);
  if (vm !== undefined) return vm;
  const hidden = view.hidden?.(idOrName);
  if (hidden !== undefined) requireReadable(hidden, ASK_PROVIDER);
  if (!view.complete) {
    const message = `libvirt has not reported all VMs, so it is unknown whether ${idOrName} exists; retry`;
    throw new SocleError("unavailable", "LIBVIRT_UNAVAILABLE", message, { details: { retryAfterMs: 2000 } });
  }
  throw new SocleError("not_found", "VM_NOT_FOUND", `there is no VM ${idOrName} on this host`);
}

/** Ordered by id, so that pages stay stable while VMs come and go. */
async function listVms(
  view: VmView,
  request: ListVmsRequest__Output,
  slice: Slice,
): Promise<ListVmsResponse> {
  const { filter, pageToken: token } = request;
  const afterId = afterIdOf(token, filter);
  const matching = view.all().filter(vmFilter(filter));
  const { specUnreadable } = view;
  const etag = listEtag(matching, `${view.complete ? "complete" : "unknown"} ${specUnreadable}`);
  const observation = {
    presence: presences.toProto(view.complete ? "present" : "unknown"),
    // 0: the VMs were never listed.
    observedAt: view.observedAtMs === 0 ? null : toTimestamp(view.observedAtMs),
  };
  const head = { totalSize: matching.length, etag, observation, specUnreadable };
  if (request.etag === etag) return { ...head, notModified: true };
  const rest = afterId === undefined ? matching : matching.filter(({ id }) => id > afterId);
  const vms = await convertPage(rest.slice(0, pageSize(request.pageSize)), vmToProto, slice);
  const last = rest[vms.length - 1];
  const nextPageToken = last === undefined || vms.length === rest.length ? "" : pageToken(last.id, filter);
  return { ...head, vms, nextPageToken };
}

function listEtag(vms: readonly Vm[], sight: string): string {
  const hash = createHash("sha256").update(sight);
  for (const { id, etag, leases = [] } of vms)
    hash.update(`\n${id} ${etag}${leases.map(({ mac, address }) => ` ${mac}=${address}`).join("")}`);
  return hash.digest("base64url").slice(0, 22);
}
