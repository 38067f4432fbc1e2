import { dimensions, type TenantShare } from "../../host/capacity/tenant-quotas.ts";
import { invalidField, SocleError } from "../../kernel/errors.ts";
import type { Host } from "../../gen/socle/v1/Host.ts";
import type { HostServiceHandlers } from "../../gen/socle/v1/HostService.ts";
import type { ListTenantsResponse } from "../../gen/socle/v1/ListTenantsResponse.ts";
import { schedulingStates, usageToProto } from "../convert/host.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { CallContext, Methods } from "./handler.ts";
import { HostDocuments } from "./host-document.ts";
import type { Contract } from "../../contract/load.ts";

const maxReason = 256;

export function hostService(
  dependencies: ServiceDependencies,
  protos: Pick<Contract, "host" | "hostParts">,
): Methods<HostServiceHandlers> {
  const { host, vmView, position, controlEpochs } = dependencies;
  const documents = new HostDocuments(protos);
  const now = (context: Pick<CallContext, "slice">): Promise<Host> => {
    const more = {
      position: position(),
      usage: usageToProto(host.usage()),
      controlEpoch: controlEpochs.controlEpoch,
    };
    return documents.make(host.snapshot(), vmView.all(), vmView.complete, {
      more,
      slice: context.slice(),
    });
  };
  return {
    GetHost: (_request, context) => now(context),
    WatchHost: (_request, context) => watchHost(dependencies, () => now(context), context.signal),
    ListTenants: () => listTenants(host.tenants()),
    SetSchedulingState: async (request, context) => {
      const state = schedulingStates.fromProto("state", request.state);
      if (state === undefined) throw invalidField("REQUEST_INVALID", "state", "must be ACTIVE or CORDONED");
      if (request.reason.length > maxReason)
        throw invalidField("REQUEST_INVALID", "reason", `must be at most ${maxReason} characters`);
      await host.setScheduling(state, request.reason);
      return await now(context);
    },
    AcknowledgeCondition: async ({ type, requestId }, context) => {
      if (type === "BreakGlass" && context.caller.behalf?.breakGlass !== undefined) throw notBySame();
      await host.acknowledge(type, requestId);
      return await now(context);
    },
    ResetControlEpoch: async ({ controlEpoch }) => {
      const previousControlEpoch = await controlEpochs.reset(controlEpoch);
      return { controlEpoch, previousControlEpoch };
    },
  };
}

/** The host, then again after every change; a slow reader gets only the newest. */
async function* watchHost(
  { host }: ServiceDependencies,
  now: () => Promise<Host>,
  signal: AbortSignal,
): AsyncGenerator<Host, void, undefined> {
  const changes = host.subscribe(signal);
  let etag: string | undefined;
  const ifChanged = async function* (): AsyncGenerator<Host, void, undefined> {
    const next = await now();
    if (next.etag === etag) return;
    etag = next.etag;
    yield next;
  };
  yield* ifChanged();
  for await (const _ of changes) yield* ifChanged();
}

const MOST_TENANTS = 1000;

function listTenants(shares: readonly TenantShare[]): ListTenantsResponse {
  const shown = [...shares].sort((a, b) => b.use.vms - a.use.vms).slice(0, MOST_TENANTS);
  const keys = Object.keys(dimensions) as (keyof typeof dimensions)[];
  const tenants = shown.map(({ tenant, use, quota }) => ({
    tenant,
    dimensions: keys.map((key) => {
      const limit = quota?.[key] ?? null;
      return { name: dimensions[key].name, used: use[key], limited: limit !== null, limit: limit ?? 0 };
    }),
  }));
  return { tenants, totalSize: shares.length };
}

const notBySame = (): SocleError =>
  new SocleError(
    "denied",
    "BREAK_GLASS_CANNOT_ACKNOWLEDGE",
    "break-glass cannot acknowledge break-glass: the operator of this host must see it",
  );
