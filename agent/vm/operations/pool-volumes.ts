import * as z from "../../kernel/zod.ts";
import { defined } from "../../kernel/defined.ts";
import { SocleError } from "../../kernel/errors.ts";
import { formatExactBytes } from "../../kernel/text/bytes.ts";
import type { specEnums } from "../../contract/spec-enums.ts";
import { resourceName } from "../../contract/spec-values.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import { tenantOfVolume } from "../../contract/spec-volume-name.ts";
import type { Operation } from "../../state/operations/operation.ts";
import { volumeKeyOf } from "../../state/operations/subject.ts";
import type { VmHost } from "../model/vm-host.ts";
import { volumeKey } from "../storage/volume-users.ts";
import type { Volumes } from "../storage/volumes.ts";
import type { BeginsOn, OnSubject } from "./begin-on.ts";
import { checkFields, volumeCapacity, wantedVolume } from "./new-volume.ts";
import { requireNoUsers, requireStandsAlone, volumeNotFound } from "./volume-free.ts";

export interface CreateVolumeRequest extends OnSubject {
  readonly pool: string;
  /** Without tenant and format. */
  readonly name: string;
  readonly format: (typeof specEnums.diskFormat.words)[number];
  readonly capacityBytes: number;
  /** "": the provider. */
  readonly tenant: string;
}

export interface ResizeVolumeRequest extends OnSubject, VolumeRef {
  readonly capacityBytes: number;
}

export interface DeleteVolumeRequest extends OnSubject, VolumeRef {
  readonly erase: boolean;
}

interface Parts {
  readonly vms: BeginsOn;
  readonly volumes: Pick<Volumes, "activePool" | "isThere" | "rawFiles" | "requireAbsent" | "resolve">;
  readonly host: Pick<VmHost, "storageRead">;
}

/** Changes of volumes that exist beside VMs; each is an operation, as in Vms. */
export class PoolVolumes {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Throws `invalid` SPEC_INVALID, `not_found` POOL_NOT_FOUND, `unavailable` POOL_INACTIVE, `denied` RAW_FILE_REFUSED, and what VmHost.grow and
   * Operations.begin throw.
   */
  async create(request: CreateVolumeRequest, caller: string): Promise<Operation> {
    const { vms, volumes, host } = this.#parts;
    return await vms.beginOn("CREATE_VOLUME", request, caller, {
      prepare: async () => {
        const { pool, volume } = wantedVolume(request);
        await volumes.activePool(pool);
        await volumes.rawFiles.refuse({ pool, volume }, "make");
        await host.storageRead();
      },
      admit: () => {
        const { tenant, format, capacityBytes, ...volume } = wantedVolume(request);
        return {
          key: volumeKeyOf(volume),
          tenant,
          intent: { kind: "CREATE_VOLUME", volume, format, capacityBytes },
          plan: async () => {
            await volumes.requireAbsent([volume]);
            return { ...volume, capacity_bytes: String(capacityBytes) };
          },
        };
      },
    });
  }

  /**
   * Throws `invalid` SPEC_INVALID and CAPACITY_TOO_SMALL, `not_found` VOLUME_NOT_FOUND, `denied` VOLUME_DENIED and RAW_FILE_REFUSED,
   * `conflict` VOLUME_IN_USE, and what VmHost.grow and Operations.begin throw.
   */
  async resize(request: ResizeVolumeRequest, caller: string): Promise<Operation> {
    const { vms, volumes, host } = this.#parts;
    const { pool, volume: name, capacityBytes, onlyTenant } = request;
    const volume = { pool, volume: name };
    let fromBytes = 0;
    return await vms.beginOn("RESIZE_VOLUME", request, caller, {
      prepare: async () => {
        requireChangeable(volume, onlyTenant);
        checkFields(z.object({ capacityBytes: volumeCapacity }), { capacityBytes });
        await volumes.rawFiles.refuse(volume, "use");
        fromBytes = (await volumes.resolve(volume)).capacityBytes;
        await host.storageRead();
      },
      admit: (users) => {
        if (capacityBytes < fromBytes) throw tooSmall(volume, capacityBytes, fromBytes);
        requireNoUsers({ volume, change: "resize", onlyTenant }, users);
        const before_bytes = String(fromBytes);
        return {
          ...subjectOf(volume),
          intent: defined({ kind: "RESIZE_VOLUME" as const, volume, capacityBytes, onlyTenant }),
          plan: () => Promise.resolve({ capacity_bytes: String(capacityBytes), before_bytes }),
        };
      },
    });
  }

  /** Throws as `resize` does. */
  async delete(request: DeleteVolumeRequest, caller: string): Promise<Operation> {
    const { vms, volumes } = this.#parts;
    const { pool, volume: name, erase, onlyTenant } = request;
    const volume = { pool, volume: name };
    return await vms.beginOn("DELETE_VOLUME", request, caller, {
      prepare: async () => {
        requireChangeable(volume, onlyTenant);
        await volumes.activePool(pool);
        if (!(await volumes.isThere(volume))) throw volumeNotFound(volume);
      },
      admit: (users) => {
        requireNoUsers({ volume, change: "delete", onlyTenant }, users);
        const erased = erase ? (true as const) : undefined;
        return {
          ...subjectOf(volume),
          intent: defined({ kind: "DELETE_VOLUME" as const, volume, erase: erased, onlyTenant }),
          plan: () => Promise.resolve({ destroys: volumeKey(volume) }),
        };
      },
    });
  }
}

const subjectOf = (volume: VolumeRef): { readonly key: string; readonly tenant: string } => ({
  key: volumeKeyOf(volume),
  tenant: tenantOfVolume(volume.volume) ?? "",
});

/** Throws `invalid` SPEC_INVALID, and as `requireStandsAlone`. */
function requireChangeable(volume: VolumeRef, onlyTenant: string | undefined): void {
  checkFields(z.object({ pool: resourceName, volume: resourceName }), volume);
  requireStandsAlone(volume, onlyTenant, {
    ofImage: "delete the image (DeleteImage)",
    ofVm: "change it with its VM (ResizeDisk, DetachDisk, DeleteVm), or with virsh if that VM is gone",
  });
}

function tooSmall(volume: VolumeRef, wantedBytes: number, nowBytes: number): SocleError {
  const message =
    `volume ${volumeKey(volume)} has ${formatExactBytes(nowBytes)} and cannot be made smaller ` +
    `(${formatExactBytes(wantedBytes)}): the data at its end would be lost; ask for the present size or more`;
  return new SocleError("invalid", "CAPACITY_TOO_SMALL", message, {
    details: { fields: { capacity_bytes: message }, metadata: { capacity_bytes: String(nowBytes) } },
  });
}
