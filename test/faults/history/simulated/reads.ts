import type { OperationRead, OperationState, VmRead } from "../history.ts";

/** A message of the contract. */
export type Message = Readonly<Record<string, unknown>>;

const operationStates: Readonly<Record<string, OperationState>> = {
  STATE_RUNNING: "running",
  STATE_SUCCEEDED: "succeeded",
  STATE_FAILED: "failed",
  STATE_CANCELLED: "cancelled",
  STATE_OUTCOME_UNKNOWN: "unknown",
};

const readers: ReadonlySet<string> = new Set(["GetVm", "ListVms", "ListOperations"]);

export function operationsIn(method: string, response: Message): OperationRead[] {
  if (method === "ListOperations") return (response["operations"] as Message[]).map(operationRead);
  return readers.has(method) ? [] : [operationRead(response)];
}

export function vmsIn(method: string, response: Message): VmRead[] {
  if (method === "GetVm") return [vmRead(response)];
  return method === "ListVms" ? ((response["vms"] ?? []) as Message[]).map(vmRead) : [];
}

/** Whether a list is complete; undefined: the message is not a list. */
export function isComplete(method: string, response: Message): boolean | undefined {
  const isWhole = (response["nextPageToken"] ?? "") === "";
  if (method === "ListOperations") return isWhole;
  if (method !== "ListVms") return undefined;
  const { presence } = response["observation"] as { presence?: string };
  return presence === "PRESENCE_PRESENT" && isWhole;
}

function operationRead(read: Message): OperationRead {
  const { operationId, kind, vmId: vm, requestId, caller, state } = read as Record<string, string>;
  return {
    id: operationId ?? "",
    kind: kind ?? "",
    vm: vm ?? "",
    requestId: requestId ?? "",
    caller: caller ?? "",
    state: operationStates[state ?? ""] ?? "unknown",
  };
}

function vmRead(read: Message): VmRead {
  const { vmId: id, tenant, etag, state } = read as Record<string, string>;
  const { presence, observedAt } = read["observation"] as {
    presence: string;
    observedAt: { seconds: number; nanos: number } | null;
  };
  return {
    id: id ?? "",
    tenant: tenant ?? "",
    etag: etag ?? "",
    presence: presence === "PRESENCE_PRESENT" ? "present" : "unknown",
    state: (state ?? "").replace("VM_STATE_", "").toLowerCase(),
    observedAtMs: observedAt === null ? 0 : observedAt.seconds * 1000 + observedAt.nanos / 1e6,
  };
}
