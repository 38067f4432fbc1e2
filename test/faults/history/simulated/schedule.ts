import type { EffectCall, FaultKind, RequestBegin } from "../history.ts";
import { Chance } from "./chance.ts";

export interface SimulatedCaller {
  readonly name: string;
  readonly role: RequestBegin["role"];
  readonly tenant?: string;
}

export const callers: readonly SimulatedCaller[] = [
  { name: "unix:operator", role: "operator" },
  { name: "scheduler-1", role: "scheduler" },
  { name: "scheduler-of-blue", role: "scheduler", tenant: "blue" },
  { name: "scheduler-of-red", role: "scheduler", tenant: "red" },
];

/** Indexes in `callers`: those without a tenant, and the one of `withSecondTenant`. */
export const OPERATOR = 0;
export const SCHEDULER = 1;
export const SECOND_TENANT = 3;

export const vmId = (vm: number): string => `00000000-0000-4000-8000-${String(vm + 1).padStart(12, "0")}`;

/** Every VM boots from this volume, read-only: the agent refuses a VM without a boot source. */
export const bootVolume = { pool: "images", volume: "bootsector.img" };

/** The host's network. */
export const NETWORK = "default";

/** A caller sends a request. */
export interface CallAction {
  readonly do: "call";
  /** The request's id; a repetition has the same. */
  readonly id: number;
  readonly caller: number;
  readonly method: string;
  readonly vm: number;
  /** Uses the VM's name instead of its id. */
  readonly byName?: boolean;
  readonly tenant?: string;
  readonly hasDisk?: boolean;
  /** With an empty CD-ROM drive. */
  readonly hasDrive?: boolean;
  readonly leaveStopped?: boolean;
  readonly force?: boolean;
  readonly graceSeconds?: number;
  readonly keepDisks?: boolean;
  readonly eraseDisks?: boolean;
  /** With the caller's last read etag. */
  readonly withEtag?: boolean;
  readonly controlEpoch?: number;
  /** The number of a disk or NIC beside those of the creation. */
  readonly device?: number;
}

/** Repeats the request, or reads its operation. */
export interface AgainAction {
  readonly do: "again" | "look" | "cancel";
  readonly id: number;
  /** Absent: now. */
  readonly at?: Moment;
}

/**
 * At the agent's next effect on libvirt, also of one kind, at the next sync, at the next sync of the operations' journal
 * (`begin`: any, `end`: after an effect), or when an interrupted operation resumes.
 */
export type Moment = "now" | "effect" | EffectCall | "sync" | "begin" | "end" | "resume";

export interface FaultAction {
  readonly do: "fault";
  readonly fault: FaultKind | "power_cut" | "stop" | "snapshot";
  /** Absent: now. For kills, snapshots, failed syncs, lost answers and libvirt's end. */
  readonly at?: Moment;
  readonly forMs?: number;
  readonly stepMs?: number;
  readonly silently?: boolean;
  /** For a lost answer: the procedure. Absent: the next change. */
  readonly of?: string;
  /** For a rollback: the agent keeps running. */
  readonly underAgent?: boolean;
  /** For libvirt's end: the guests end during the outage. */
  readonly withGuests?: boolean;
}

/** An act of another client or of the guest. */
export interface ForeignAction {
  readonly do: "foreign";
  readonly act:
    | "start"
    | "destroy"
    | "suspend"
    | "resume"
    | "undefine"
    | "guest_stopped"
    | "save"
    | "save_remove";
  readonly vm: number;
  /** Absent: now. */
  readonly at?: Moment;
}

export type Action = { readonly afterMs: number } & (CallAction | AgainAction | FaultAction | ForeignAction);

/** The actions of one history. JSON. */
export interface Schedule {
  readonly seed: number;
  readonly actions: readonly Action[];
}

const kinds = [
  "kill",
  "kill",
  "kill",
  "power_cut",
  "stop",
  "disk_full",
  "sync_failed",
  "sync_failed",
  "write_failed",
  "answer_lost",
  "answer_lost",
  "clock_step",
  "state_rolled_back",
  "libvirt_down",
] as const;

/** A seed's schedule: 1 to 3 VMs, 5 to 20 requests of the first three callers, up to 4 faults, and other clients' acts. */
export function scheduleOf(seed: number): Schedule {
  const chance = new Chance(seed);
  const vms = chance.whole(1, 3);
  const actions: Action[] = [];
  const pause = (): number => {
    const kind = chance.number();
    if (kind < 0.35) return 0;
    if (kind < 0.7) return chance.number() * 40;
    if (kind < 0.9) return chance.number() * 3000;
    return chance.number() * 20_000;
  };
  let epoch = 0;
  const calls: CallAction[] = [];
  const requests = chance.whole(5, 20);
  for (let id = 0; id < requests; id += 1) {
    const caller = chance.whole(0, SECOND_TENANT - 1);
    const method = id < vms ? "CreateVm" : methodOf(chance);
    const isRaising = callers[caller]?.role === "scheduler" && chance.is(0.08);
    const action: CallAction = {
      do: "call",
      id,
      caller,
      method,
      vm: id < vms ? id : chance.whole(0, vms - 1),
      ...(callers[caller]?.role === "scheduler" && (epoch > 0 || isRaising)
        ? { controlEpoch: isRaising ? (epoch += chance.whole(1, 3)) : epoch }
        : {}),
      ...detailsOf(method, chance, callers[caller]?.tenant),
    };
    calls.push(action);
    actions.push({ afterMs: pause(), ...action });
    if (chance.is(0.25))
      actions.push({ afterMs: pause(), do: chance.is(0.6) ? "again" : "look", id: chance.of(calls).id });
    if (chance.is(0.04)) actions.push({ afterMs: pause(), do: "cancel", id: chance.of(calls).id });
    if (chance.is(0.12))
      actions.push({ afterMs: pause(), do: "foreign", act: foreignOf(chance), vm: chance.whole(0, vms - 1) });
  }
  const faults = chance.whole(0, 4);
  for (let index = 0; index < faults; index += 1) insertFault(actions, chance);
  return { seed, actions };
}

export function methodOf(chance: Chance): string {
  return chance.of([
    "CreateVm",
    "CreateVm",
    "StartVm",
    "StartVm",
    "StopVm",
    "StopVm",
    "StopVm",
    "DeleteVm",
    "DeleteVm",
    "RebootVm",
    "PauseVm",
    "ResumeVm",
    "GetVm",
    "GetVm",
    "GetVm",
    "ListVms",
  ]);
}

export function detailsOf(method: string, chance: Chance, tenant: string | undefined): Partial<CallAction> {
  switch (method) {
    case "CreateVm":
      return {
        tenant: tenant ?? chance.of(["", "blue", "red"]),
        hasDisk: chance.is(0.6),
        leaveStopped: chance.is(0.3),
      };
    case "StopVm": {
      const force = chance.is(0.6);
      return { force, graceSeconds: force && chance.is(0.4) ? 0 : chance.whole(1, 30) };
    }
    case "RebootVm":
      return { force: chance.is(0.5) };
    case "DeleteVm":
      return { force: chance.is(0.7), keepDisks: chance.is(0.15), withEtag: chance.is(0.4) };
    default:
      return {};
  }
}

const foreignOf = (chance: Chance): ForeignAction["act"] =>
  chance.of(["start", "start", "start", "destroy", "suspend", "resume", "undefine", "guest_stopped"]);

function insertFault(actions: Action[], chance: Chance): void {
  const fault = chance.of(kinds);
  const at = chance.whole(1, actions.length);
  const afterMs = chance.is(0.6) ? chance.number() * 30 : chance.number() * 3000;
  const action = { afterMs, do: "fault" } as const;
  switch (fault) {
    case "kill":
      actions.splice(at, 0, { ...action, fault, at: chance.of(["now", "effect", "effect", "sync"]) });
      return;
    case "state_rolled_back":
      actions.splice(chance.whole(0, at), 0, { ...action, fault: "snapshot" });
      actions.splice(at + 1, 0, { ...action, fault });
      return;
    case "disk_full":
    case "libvirt_down":
      actions.splice(at, 0, { ...action, fault, forMs: chance.number() * 20_000 });
      return;
    case "clock_step":
      actions.splice(at, 0, { ...action, fault, stepMs: chance.whole(-100_000, 100_000) });
      return;
    case "answer_lost":
      actions.splice(at, 0, { ...action, fault, silently: chance.is(0.3) });
      return;
    default:
      actions.splice(at, 0, { ...action, fault });
  }
  // After a failed sync, a restart reads what the file holds.
  if (fault === "sync_failed" && chance.is(0.7))
    actions.splice(Math.min(actions.length, at + chance.whole(1, 4)), 0, {
      ...action,
      fault: "kill",
      at: "now",
    });
}
