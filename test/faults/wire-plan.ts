import * as libvirt from "../../agent/libvirt/index.ts";
import type { Procedure } from "../../agent/libvirt/rpc/procedure.ts";
import type { Fault, ProxyLane } from "./fault.ts";
import type { Kind } from "./host.ts";

/** The activity during the fault: an operation, a read of changes, or new connections. */
export type Act = Kind | "STOP_GRACEFULLY" | "OBSERVE" | "CONNECT";

export interface WireTry {
  readonly act: Act;
  readonly procedure: Procedure<unknown, unknown>;
  readonly lane?: ProxyLane;
  readonly fault: Fault;
  /** All calls for a while instead of one. */
  readonly lasting: boolean;
}

interface Way {
  readonly act: Act;
  readonly lane?: ProxyLane;
  readonly procedures: readonly Procedure<unknown, unknown>[];
}

/** The procedures of each activity of the main paths. */
const ways: readonly Way[] = [
  {
    act: "CREATE",
    lane: "command",
    procedures: [
      libvirt.storagePoolLookupByName,
      libvirt.storagePoolIsActive,
      libvirt.storageVolLookupByName,
      libvirt.storageVolGetXmlDesc,
      libvirt.storagePoolRefresh,
      libvirt.storagePoolGetInfo,
      libvirt.storageVolCreateXml,
      libvirt.domainGetXmlDesc,
      libvirt.domainDefineXmlFlags,
      libvirt.domainCreateWithFlags,
    ],
  },
  { act: "STOP", lane: "command", procedures: [libvirt.domainGetState, libvirt.domainDestroyFlags] },
  {
    act: "STOP_GRACEFULLY",
    lane: "command",
    procedures: [libvirt.domainShutdownFlags, libvirt.domainDestroyFlags],
  },
  { act: "START", lane: "command", procedures: [libvirt.domainGetState, libvirt.domainCreateWithFlags] },
  { act: "PAUSE", lane: "command", procedures: [libvirt.domainGetState, libvirt.domainSuspend] },
  { act: "RESUME", lane: "command", procedures: [libvirt.domainGetState, libvirt.domainResume] },
  {
    act: "DELETE",
    lane: "command",
    procedures: [
      libvirt.domainDestroyFlags,
      libvirt.domainUndefineFlags,
      libvirt.storageVolLookupByName,
      libvirt.storageVolDelete,
    ],
  },
  {
    act: "OBSERVE",
    lane: "observation",
    procedures: [
      libvirt.connectGetAllDomainStats,
      libvirt.domainGetState,
      libvirt.domainGetXmlDesc,
      libvirt.connectGetCapabilities,
    ],
  },
  {
    act: "CONNECT",
    procedures: [
      libvirt.authList,
      libvirt.connectOpen,
      libvirt.connectGetVersion,
      libvirt.connectSupportsFeature,
      libvirt.connectGetLibVersion,
      libvirt.connectDomainEventCallbackRegisterAny,
    ],
  },
];

/** VIR_ERR_OPERATION_FAILED: an error without a special meaning. */
const REFUSAL = 9;

const faults: readonly Fault[] = [
  { kind: "refuse", code: REFUSAL },
  { kind: "hang" },
  { kind: "cut_call" },
  { kind: "drop_reply" },
  { kind: "cut_reply" },
  { kind: "garble_reply" },
  { kind: "delay", ms: 300 },
  // Longer than the agent waits for a reply, and longer than it looks for an effect.
  { kind: "delay", ms: 1500 },
  { kind: "delay", ms: 6000 },
  { kind: "delay_reply", ms: 1500 },
];
const lastingFaults: readonly Fault[] = [
  { kind: "refuse", code: REFUSAL },
  { kind: "hang" },
  { kind: "drop_reply" },
  { kind: "cut_reply" },
];
const listFaults: readonly Fault[] = [
  { kind: "truncate", keep: 0 },
  { kind: "truncate", keep: 1 },
];

/** Every fault on every procedure of every activity. */
export const wirePlan: readonly WireTry[] = ways.flatMap(({ act, lane, procedures }) =>
  procedures.flatMap((procedure) => {
    const isList = procedure.number === libvirt.connectGetAllDomainStats.number;
    const once = isList ? [...faults, ...listFaults] : faults;
    const lasting = isList ? [...lastingFaults, ...listFaults] : lastingFaults;
    const base = { act, procedure, ...(lane === undefined ? {} : { lane }) };
    return [
      ...once.map((fault) => ({ ...base, fault, lasting: false })),
      ...lasting.map((fault) => ({ ...base, fault, lasting: true })),
    ];
  }),
);

/** `count` tries, spread over all. */
export function spread<T>(all: readonly T[], count: number): T[] {
  if (count >= all.length) return [...all];
  return Array.from({ length: count }, (_, index) => all[Math.floor((index * all.length) / count)] as T);
}

export const describeTry = ({ act, procedure, fault, lasting }: WireTry): string => {
  const how = "ms" in fault ? ` ${fault.ms} ms` : "keep" in fault ? ` to ${fault.keep}` : "";
  return `${act} with ${fault.kind}${how} on ${procedure.name}${lasting ? " (lasting)" : ""}`;
};
