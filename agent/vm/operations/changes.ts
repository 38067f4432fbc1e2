import type { Operation } from "../../state/operations/operation.ts";
import type { GrowthClaim, VmHost } from "../model/vm-host.ts";
import type { DeviceSpec } from "../model/volume-names.ts";
import { nothingTaken, type Taken } from "./creations.ts";
import { definitionOf, type Intent } from "./registry.ts";
import { SeedRoom } from "./seed-room.ts";

type ChangedVm = Pick<DeviceSpec, "id" | "name" | "tenant">;

interface Held {
  readonly devices: DeviceSpec;
  readonly growth: GrowthClaim | undefined;
}

/** What the changes of existing VMs, and of volumes, hold until they have ended: volumes, addresses and storage. */
export class Changes {
  readonly #host: Pick<VmHost, "grow" | "regrow">;
  /** By intent: always the same object for one operation. */
  readonly #held = new Map<Intent, Held>();

  readonly #seedRoom: SeedRoom;

  constructor({ host }: { readonly host: Pick<VmHost, "grow" | "regrow"> }, seedRoom = new SeedRoom()) {
    this.#host = host;
    this.#seedRoom = seedRoom;
  }

  /** The devices that are being added to VMs. */
  *devices(): Generator<DeviceSpec> {
    for (const { devices } of this.#held.values()) yield devices;
  }

  /** `requireFree` throws for devices that cannot be added. Throws as VmHost.grow and SeedRoom.require. */
  take(intent: Intent, vm: ChangedVm, requireFree?: (devices: DeviceSpec) => void): Taken {
    if (!isChange(intent)) return nothingTaken;
    const devices = devicesOf(intent, vm);
    requireFree?.(devices);
    this.#seedRoom.require(vm.tenant, heldBytesOf(intent));
    const growth = growthOf(intent, vm);
    return this.#take(intent, { devices, growth: growth && this.#host.grow(growth) });
  }

  /** Claims again for an operation that was interrupted, or whose outcome is unknown. */
  reclaim(intent: Intent, { vmId: id, tenant = "" }: Pick<Operation, "vmId" | "tenant">): Taken {
    if (!isChange(intent)) return nothingTaken;
    if (this.#held.has(intent)) return this.#taken(intent);
    const vm = { id, name: id, tenant };
    const growth = growthOf(intent, vm);
    return this.#take(intent, {
      devices: devicesOf(intent, vm),
      growth: growth && this.#host.regrow(growth),
    });
  }

  /** Releases what an operation holds that ended without its work. */
  ended(intent: Intent, how: "made" | "not made"): void {
    const held = this.#held.get(intent);
    if (how === "made") held?.growth?.made();
    else held?.growth?.released();
    this.#held.delete(intent);
    this.#seedRoom.release(intent);
  }

  #take(intent: Intent, held: Held): Taken {
    this.#held.set(intent, held);
    this.#seedRoom.hold(intent, held.devices.tenant, heldBytesOf(intent));
    return this.#taken(intent);
  }

  #taken(intent: Intent): Taken {
    return {
      begun: () => Promise.resolve(),
      ended: (how) => {
        // An operation of unknown outcome continues once libvirt answers.
        if (how !== "unknown") this.ended(intent, how);
      },
    };
  }
}

function isChange({ kind }: Intent): boolean {
  const { adds, grows } = definitionOf(kind);
  return adds !== undefined || grows !== undefined;
}

const heldBytesOf = (intent: Intent): number => definitionOf(intent.kind).holdsBytes?.(intent) ?? 0;

const devicesOf = (intent: Intent, { id, name, tenant }: ChangedVm): DeviceSpec => ({
  disks: [],
  nics: [],
  ...definitionOf(intent.kind).adds?.(intent),
  id,
  name,
  tenant,
});

function growthOf(intent: Intent, { id, tenant }: ChangedVm): Parameters<VmHost["grow"]>[0] | undefined {
  const growth = definitionOf(intent.kind).grows?.(intent, id);
  return growth && { tenant, ...growth };
}
