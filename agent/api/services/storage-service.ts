import { join } from "node:path";
import { SocleError } from "../../kernel/errors.ts";
import { withoutUndefined } from "../../kernel/defined.ts";
import type { Slice } from "../../kernel/concurrency/slice.ts";
import { enumWords } from "../../contract/enum.ts";
import { specEnums } from "../../contract/spec-enums.ts";
import { formatOf, imageOfVolume, tenantOfVolume } from "../../contract/spec-volume-name.ts";
import type { Listed, SeenVolumes, StoragePool } from "../../host/host.ts";
import type { Vm } from "../../vm/model/vm.ts";
import { isVisibleTo } from "../../vm/images/image-store.ts";
import { vmOfVolume } from "../../vm/model/volume-names.ts";
import { volumeKey } from "../../vm/storage/volume-users.ts";
import { volumeUses, type VolumeUse } from "../../vm/storage/volume-uses.ts";
import type { ListVolumesRequest__Output } from "../../gen/socle/v1/ListVolumesRequest.ts";
import type { ListVolumesResponse } from "../../gen/socle/v1/ListVolumesResponse.ts";
import type { Pool } from "../../gen/socle/v1/Pool.ts";
import type { StorageServiceHandlers } from "../../gen/socle/v1/StorageService.ts";
import type { Volume } from "../../gen/socle/v1/Volume.ts";
import { listObservation, observationOf } from "../convert/listing.ts";
import { pageOf } from "../limits/paging.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { Methods } from "./handler.ts";

const poolStates = enumWords("POOL_STATE", ["active", "inactive", "unknown"]);
const volumeRoles = enumWords("VOLUME_ROLE", ["disk", "base", "kernel", "free"]);

type Storage = Pick<ServiceDependencies, "host" | "vmView" | "imageStore">;

/** The methods of StorageService that list; volume-changes.ts has the others. */
export function storageService(
  dependencies: Storage,
): Pick<Methods<StorageServiceHandlers>, "ListPools" | "ListVolumes"> {
  const { host } = dependencies;
  return {
    ListPools: async (request, context) => {
      const { items, ...list } = host.listings.pools;
      const convert = context.caller.tenant === undefined ? poolToProto(host.ledger.storage) : forTenant;
      const page = await pageOf(
        { items, idOf: ({ name }) => name, request, query: "pools" },
        convert,
        context.slice(),
      );
      return { pools: page.messages, ...page.rest, observation: listObservation(list) };
    },
    ListVolumes: (request, context) =>
      listVolumes(dependencies, request, context.caller.tenant, context.slice()),
  };
}

const stateOf = ({ item }: Listed<StoragePool>) =>
  poolStates.toProto(item?.presence !== "present" ? "unknown" : item.active ? "active" : "inactive");

const forTenant = (listed: Listed<StoragePool>): Pool => ({ name: listed.name, state: stateOf(listed) });

const poolToProto =
  (storage: Storage["host"]["ledger"]["storage"]) =>
  (listed: Listed<StoragePool>): Pool => {
    const { name, item: pool, problem = "" } = listed;
    const volumes = storage.volumesOf(name);
    return {
      ...forTenant(listed),
      observation: observationOf(pool),
      type: pool?.type ?? "",
      sharedId: pool?.sharedId ?? "",
      problem,
      ...withoutUndefined({
        capacityBytes: pool?.capacityBytes,
        allocatedBytes: pool?.allocatedBytes,
        availableBytes: storage.availableBytes(name),
        thinRatio: pool?.thinRatio,
        volumes: volumes && volumes.bytes.size + volumes.unreadable.size,
      }),
    };
  };

/** A volume and its users that the caller may see. */
interface SeenVolume {
  readonly pool: string;
  readonly name: string;
  readonly seen: SeenVolumes;
  readonly uses: readonly VolumeUse[];
}

async function listVolumes(
  { host, vmView, imageStore }: Storage,
  request: ListVolumesRequest__Output,
  tenant: string | undefined,
  slice: Slice,
): Promise<ListVolumesResponse> {
  const { listings, ledger } = host;
  const { items, complete, observedAtMs } = listings.pools;
  const pools = request.pool === "" ? items : items.filter(({ name }) => name === request.pool);
  if (complete && request.pool !== "" && pools.length === 0) throw noPool(request.pool);
  const isKnown = vmView.complete;
  const uses = await volumeUses(vmView.all(), slice);
  const visible: SeenVolume[] = [];
  for (const { name: pool, item } of pools) {
    const seen = ledger.storage.volumesOf(pool);
    if (seen === undefined) continue;
    for (const name of sortedNames(seen)) {
      const at = [
        volumeKey({ pool, volume: name }),
        ...(item?.path === undefined ? [] : [join(item.path, name)]),
      ];
      const all = at.flatMap((place) => uses.get(place) ?? []);
      const shown =
        tenant === undefined ? all : forTenantOf(tenant, { name, uses: all, vmView, imageStore, isKnown });
      if (shown !== undefined) visible.push({ pool, name, seen, uses: shown });
      if (slice.over) await slice.rest();
    }
  }
  const convert = volumeToProto({ isKnown, isTenant: tenant !== undefined });
  // NUL is in no name, and before every other character: the order of ids is that of pools and names.
  const idOf = ({ pool, name }: SeenVolume): string => `${pool}\0${name}`;
  const page = await pageOf(
    { items: visible, idOf, request, query: ["volumes", request.pool] },
    convert,
    slice,
  );
  const incompletePools = pools.flatMap(({ name }) => (listings.hasVolumes(name) ? [] : [name]));
  const isComplete = complete && isKnown && incompletePools.length === 0;
  return {
    volumes: page.messages,
    ...page.rest,
    observation: listObservation({ complete: isComplete, observedAtMs }),
    incompletePools,
  };
}

/** The uses that a caller of one tenant sees; undefined: the volume is hidden from it. */
function forTenantOf(
  tenant: string,
  {
    name,
    uses,
    vmView,
    imageStore,
    isKnown,
  }: Pick<Storage, "vmView" | "imageStore"> & {
    name: string;
    uses: readonly VolumeUse[];
    isKnown: boolean;
  },
): readonly VolumeUse[] | undefined {
  const isOwn = (vm: Vm | undefined): boolean => vm?.managed === true && vm.tenant === tenant;
  const own = uses.filter(({ vm }) => isOwn(vm));
  const owner = tenantOfVolume(name);
  if (owner !== undefined) return owner === tenant ? own : undefined;
  const maker = vmOfVolume(name);
  // The name of such a volume has the id of its VM.
  if (maker !== undefined) return isOwn(vmView.get(maker)) ? own : undefined;
  const image = imageOfVolume(name);
  if (image !== undefined) {
    const found = imageStore.find(image.id);
    if (found === undefined || !isVisibleTo(tenant, found)) return undefined;
  }
  if (own.length > 0) return own;
  // Without all VMs it is unknown whether another tenant's VM writes to it.
  return isKnown && !uses.some(({ writes }) => writes) ? own : undefined;
}

/** In the order of names. A reading is sorted once; volumes that were deleted since are left out. */
function sortedNames({ bytes, unreadable }: SeenVolumes): readonly string[] {
  let names = sorted.get(bytes);
  if (names === undefined) sorted.set(bytes, (names = [...bytes.keys(), ...unreadable.keys()].sort()));
  return names.filter((name) => bytes.has(name) || unreadable.has(name));
}

const sorted = new WeakMap<SeenVolumes["bytes"], readonly string[]>();

const volumeToProto =
  ({ isKnown, isTenant }: { readonly isKnown: boolean; readonly isTenant: boolean }) =>
  ({ pool, name, seen, uses }: SeenVolume): Volume => {
    const role = (["disk", "base", "kernel"] as const).find((one) => uses.some((use) => use.role === one));
    const isFree = role === undefined && isKnown && !isTenant;
    const shown = role ?? (isFree ? "free" : undefined);
    const found = seen.suspicious.get(name);
    const suspicious =
      found === undefined ? "" : `begins as a ${found} image: nothing opens it (VOLUME_SUSPICIOUS)`;
    // libvirt's texts have paths of the host.
    const problem = (isTenant ? undefined : seen.unreadable.get(name)) ?? suspicious;
    return {
      pool,
      name,
      format: specEnums.diskFormat.toProto(formatOf(name)),
      vmId: vmOfVolume(name) ?? "",
      tenant: tenantOfVolume(name) ?? "",
      users: [...new Set(uses.map(({ vm }) => vm.id))].sort(),
      problem,
      ...withoutUndefined({
        capacityBytes: seen.bytes.get(name),
        allocatedBytes: seen.allocatedBytes.get(name),
        role: shown && volumeRoles.toProto(shown),
      }),
    };
  };

const noPool = (name: string): SocleError =>
  new SocleError(
    "not_found",
    "POOL_NOT_FOUND",
    `there is no storage pool ${name} on this host; ListPools has their names`,
  );
