import { askAbout, fault, nextVm } from "./additions.ts";
import { Chance } from "./chance.ts";
import { bootVolume, NETWORK, type Action, type CallAction, type Schedule } from "./schedule.ts";

const MIB = 1024 ** 2;
/** The share of histories. */
const SHARE = 0.3;

type Details = Partial<CallAction>;
type Request = (device: number, id: number) => object;

/** The name of a VM's CD-ROM drive. */
export const DRIVE = "drive";

/** Changes of a VM, and their requests beside the VM. */
const changes: Readonly<Record<string, Request>> = {
  UpdateVm: (_device, id) => ({ spec: { labels: { change: `${id}` } }, updateMask: { paths: ["labels"] } }),
  AttachDisk: (device) => ({
    disk: { name: `more-${device}`, newVolume: { pool: "images", capacityBytes: MIB } },
  }),
  DetachDisk: (device) => ({ disk: `more-${device}`, deleteVolume: true }),
  AttachNic: (device) => ({ nic: { name: `net-${device}`, network: NETWORK } }),
  DetachNic: (device) => ({ nic: `net-${device}` }),
  UpdateNic: (device, id) => ({
    nic: `net-${device}`,
    linkState: id % 2 === 0 ? "NIC_LINK_DOWN" : "NIC_LINK_UP",
  }),
  ChangeMedia: (_device, id) => ({ disk: DRIVE, ...(id % 2 === 0 ? { volume: bootVolume } : {}) }),
  InjectNmi: () => ({}),
  // The host has no such device: it is refused, or fails without an effect.
  AttachPciDevice: () => ({ device: "0000:3b:00.0" }),
  DetachPciDevice: () => ({ device: "0000:3b:00.0" }),
};

/** The methods of `withChanges`. */
export const changeMethods: readonly string[] = Object.keys(changes);

/** The request of a change beside its VM; empty for another method. */
export const changeOf = ({ method, device = 0, id = 0 }: Details): object =>
  changes[method ?? ""]?.(device, id) ?? {};

/**
 * The schedule, followed by changes of a new VM's devices and spec, with faults and other clients' acts among them. A separate
 * generator draws them, so what comes before does not change.
 */
export function withChanges(schedule: Schedule): Schedule {
  const chance = new Chance(schedule.seed ^ 0x3ad8025f);
  if (!chance.is(SHARE)) return schedule;
  const actions = [...schedule.actions];
  const vm = nextVm(actions);
  const ask = askAbout(actions, vm);
  const create = ask("CreateVm", { hasDisk: chance.is(0.5), hasDrive: true, leaveStopped: chance.is(0.4) });
  actions.push(create);
  const ids = [create.id];
  const most = chance.whole(4, 10);
  for (let count = 0; count < most; count += 1) {
    const trouble = troubleOf(chance, vm, ids);
    if (trouble !== undefined && chance.is(0.5)) actions.push(trouble);
    const change = ask(count === 0 ? "AttachDisk" : chance.of(weighted), {
      device: chance.is(0.7) ? 0 : 1,
      afterMs: chance.is(0.5) ? chance.number() * 40 : chance.number() * 20_000,
    });
    ids.push(change.id);
    actions.push(change);
    if (trouble !== undefined && actions.at(-2) !== trouble) actions.push(trouble);
    if (chance.is(0.15)) actions.push(powerOf(chance, ask));
  }
  return { ...schedule, actions };
}

const weighted: readonly string[] = [...changeMethods, "AttachDisk", "DetachDisk", "DetachDisk", "AttachNic"];

function powerOf(chance: Chance, ask: ReturnType<typeof askAbout>): Action {
  const method = chance.of(["StartVm", "StopVm"]);
  return ask(method, method === "StopVm" ? { force: true, graceSeconds: 0 } : {});
}

function troubleOf(chance: Chance, vm: number, ids: readonly number[]): Action | undefined {
  const afterMs = chance.number() * (chance.is(0.7) ? 40 : 5000);
  if (chance.is(0.45)) return undefined;
  return chance.of<Action>([
    fault("kill", { afterMs, at: chance.of(["now", "effect", "sync", "attach_device", "detach_device"]) }),
    fault("kill", { afterMs, at: chance.of(["volume_create", "volume_delete", "set_metadata"]) }),
    fault("answer_lost", { afterMs, silently: chance.is(0.3) }),
    fault("answer_lost", { of: chance.of(["DOMAIN_ATTACH_DEVICE_FLAGS", "DOMAIN_DETACH_DEVICE_ALIAS"]) }),
    fault(chance.of(["kill", "libvirt_down"]), {
      afterMs,
      at: "update_device",
      forMs: chance.number() * 20_000,
    }),
    fault("libvirt_down", { afterMs, forMs: chance.number() * 20_000 }),
    fault("sync_failed", { afterMs }),
    { afterMs, do: "foreign", act: chance.of(["start", "destroy", "guest_stopped"]), vm },
    { afterMs, do: "foreign", act: "start", vm, at: chance.of(["detach_device", "attach_device"]) },
    { afterMs, do: "cancel", id: chance.of(ids) },
    { afterMs, do: "again", id: chance.of(ids) },
  ]);
}
