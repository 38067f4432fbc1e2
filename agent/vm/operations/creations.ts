import { isUncertain, SocleError } from "../../kernel/errors.ts";
import { unbound } from "../../state/reservations/placement.ts";
import type { VmHost, RoomClaim, VmClaim } from "../model/vm-host.ts";
import type { Accelerator, VmSpec } from "../../contract/spec.ts";
import type { VmTable } from "../observation/vm-table.ts";
import { ownCapacities } from "../model/volume-names.ts";
import type { Volumes } from "../storage/volumes.ts";
import type { Intent } from "./registry.ts";
import { sizedDisk } from "./own-volume.ts";
import { SeedRoom } from "./seed-room.ts";
import { defined } from "../../kernel/defined.ts";

/** What a creation holds until it has ended: its VM's id, name and capacity. */
export interface Taken {
  readonly begun: () => Promise<void>;
  readonly ended: (how: "made" | "not made" | "unknown") => void;
}

export const nothingTaken: Taken = { begun: () => Promise.resolve(), ended: () => undefined };

/** What two parts hold for one operation. */
export const together = (first: Taken, second: Taken): Taken => ({
  begun: async () => {
    await first.begun();
    await second.begun();
  },
  ended: (how) => {
    first.ended(how);
    second.ended(how);
  },
});

/** Releases what a request took if `work` fails; the request of an unknown outcome keeps it. */
export async function releasing<T>(taken: Taken, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    taken.ended(isUncertain(thrown) ? "unknown" : "not made");
    throw thrown;
  }
}

/** The VMs that are being created, which are not in the table yet. */
export class Creations {
  readonly #host: Pick<VmHost, "reclaim">;
  readonly #table: Pick<VmTable, "get">;
  /** By name and by id. */
  readonly #specs = new Map<string, VmSpec>();
  /** Of the secret parts of seeds, also of those of VMs that exist. */
  readonly seedRoom = new SeedRoom();

  constructor({ host, table }: { host: Pick<VmHost, "reclaim">; table: Pick<VmTable, "get"> }) {
    this.#host = host;
    this.#table = table;
  }

  specs(): Iterable<VmSpec> {
    return new Set(this.#specs.values());
  }

  /** Throws `already_exists` VM_EXISTS. */
  requireFree(spec: VmSpec): void {
    for (const key of [spec.id, spec.name]) {
      if (this.#table.get(key) === undefined && !this.#specs.has(key)) continue;
      throw new SocleError("already_exists", "VM_EXISTS", `there is a VM ${key} on this host already`);
    }
  }

  /**
   * Claims a VM's id, name and capacity, and room for its seed's secret parts, until its creation has ended. Check
   * before.
   */
  take(spec: VmSpec, room: RoomClaim, seedBytes: number): Taken {
    const { id, name } = spec;
    this.#specs.set(id, spec).set(name, spec);
    this.seedRoom.hold(spec, spec.tenant, seedBytes);
    return {
      begun: () => room.begun(),
      ended: (how) => {
        // If the outcome is unknown the VM may exist: observation then finds and counts it.
        if (how === "not made") room.release();
        else room.consume();
        // The creation continues once libvirt answers, and adopts what exists under its names.
        if (how === "unknown") return;
        this.seedRoom.release(spec);
        for (const key of [id, name]) if (this.#specs.get(key) === spec) this.#specs.delete(key);
      },
    };
  }

  /**
   * Releases what a creation holds that ended without its work; a later creation with the same id or name keeps its
   * own.
   */
  ended(intent: Intent, how: "made" | "not made"): void {
    if (intent.kind === "CREATE_VM" && this.#specs.get(intent.spec.id) === intent.spec)
      this.reclaim(intent).ended(how);
  }

  /** Claims again for a creation that was interrupted, or whose outcome is unknown. */
  reclaim(intent: Intent): Taken {
    if (intent.kind !== "CREATE_VM") return nothingTaken;
    const { spec, accelerator, placement = unbound, reservationId, seed } = intent;
    const promised = { ...sizeOf(spec, accelerator), placement, reservationId };
    return this.take(spec, this.#host.reclaim(defined(promised)), seed?.text.length ?? 0);
  }
}

/** Fills in the capacity of every disk: by default the base volume's, as it is now. Throws as Volumes.resolve. */
export const sized = async (
  spec: VmSpec,
  volumes: Pick<Volumes, "resolve" | "rawFiles">,
): Promise<VmSpec> => ({
  ...spec,
  disks: await Promise.all(spec.disks.map((disk) => sizedDisk(disk, volumes))),
});

export const sizeOf = (spec: VmSpec, accelerator: Accelerator): VmClaim => {
  const { id, tenant, vcpus, memoryBytes, placement } = spec;
  const volumes = ownCapacities(spec);
  return defined({
    holder: id,
    tenant,
    vcpus,
    memoryBytes,
    accelerator,
    placementRequest: placement,
    volumes,
  });
};
