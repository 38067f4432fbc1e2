import { valueOf } from "../../hardware/reading.ts";
import { defined } from "../../kernel/defined.ts";
import type { HostInventory, HostNetwork, Listed, Listing, StoragePool } from "../host.ts";
import type { InventorySources } from "./inventory.ts";

const never: Listing<never> = { items: [], complete: false, observedAtMs: undefined };

/** The pools and networks of the last round as lists, with the reason for each part that could not be read. */
export class Listings {
  #pools: Listing<StoragePool> = never;
  #networks: Listing<HostNetwork> = never;
  #poolsWithVolumes: ReadonlySet<string> = new Set();

  get pools(): Listing<StoragePool> {
    return this.#pools;
  }

  get networks(): Listing<HostNetwork> {
    return this.#networks;
  }

  /** Whether the last round read all volumes of a pool. */
  hasVolumes(pool: string): boolean {
    return this.#poolsWithVolumes.has(pool);
  }

  /** `inventory`: what the round made of these sources. */
  see(
    sources: Pick<InventorySources, "pools" | "networks" | "volumes">,
    inventory: Pick<HostInventory, "storagePools" | "networks">,
    nowMs: number,
  ): void {
    const pools = valueOf(sources.pools)?.map(({ name, details }) => ({
      name,
      problem: details.kind === "read" ? volumesProblem(sources.volumes.get(name)) : details.reason,
    }));
    this.#pools = next(this.#pools, pools, inventory.storagePools, nowMs);
    this.#networks = next(this.#networks, valueOf(sources.networks), inventory.networks, nowMs);
    this.#poolsWithVolumes = new Set(
      [...sources.volumes].flatMap(([name, { kind }]) => (kind === "read" ? [name] : [])),
    );
  }
}

function volumesProblem(volumes: ReturnType<InventorySources["volumes"]["get"]>): string | undefined {
  const problem = volumes?.kind === "read" ? volumes.value.missing : volumes?.reason;
  return problem === undefined ? undefined : `volumes: ${problem}`;
}

/** `listed`: undefined if libvirt did not list them. */
function next<Item extends { readonly name: string }>(
  before: Listing<Item>,
  listed: readonly { readonly name: string; readonly problem?: string | undefined }[] | undefined,
  items: readonly Item[],
  nowMs: number,
): Listing<Item> {
  const byName = new Map(items.map((item) => [item.name, item]));
  const all = listed ?? before.items;
  return {
    items: all
      .map(({ name, problem }) => defined<Listed<Item>>({ name, item: byName.get(name), problem }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    complete: listed !== undefined,
    observedAtMs: listed === undefined ? before.observedAtMs : nowMs,
  };
}
