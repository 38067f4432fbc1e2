/** What may be removed to make room in its pool. */
export interface Collectable {
  readonly id: string;
  readonly pool: string;
  readonly sizeBytes: number;
  /** It stays while it has any. */
  readonly users: number;
  /** Of its newest use that is known, or of its creation. */
  readonly usedAtMs: number;
}

/** A pool whose use is known. */
export interface UsedPool {
  readonly name: string;
  readonly capacityBytes: number;
  /** All files in it included. */
  readonly usedBytes: number;
  /** Pools with the same have the same bytes. By default the name. */
  readonly storage?: string;
}

export interface CollectionRule {
  /** What was not used for so long is collected. Absent: none for its age. */
  readonly olderThanMs?: number | undefined;
  /** Of a pool that is fuller, the least recently used are collected until it is not. Absent: none for that. */
  readonly above?: { readonly percent: number; readonly unusedMs: number } | undefined;
}

export interface Collected<Item> {
  readonly item: Item;
  readonly why: "age" | "pressure";
}

/**
 * What the rule collects of the items without a user, the least recently used first. Of a pool that is not among `pools` nothing
 * is collected for its use.
 */
export function toCollect<Item extends Collectable>(
  items: readonly Item[],
  pools: readonly UsedPool[],
  { olderThanMs = Infinity, above }: CollectionRule,
  nowMs: number,
): readonly Collected<Item>[] {
  const free = items
    .filter(({ users }) => users === 0)
    .toSorted((a, b) => a.usedAtMs - b.usedAtMs || (a.id < b.id ? -1 : 1));
  const unusedMs = ({ usedAtMs }: Item): number => nowMs - usedAtMs;
  const storages = new Map(pools.map(({ name, storage = name }) => [name, storage]));
  const excess = new Map(
    above === undefined
      ? []
      : pools.map(({ name, storage = name, capacityBytes, usedBytes }) => [
          storage,
          usedBytes - (capacityBytes * above.percent) / 100,
        ]),
  );
  return free.flatMap((item): Collected<Item>[] => {
    const storage = storages.get(item.pool) ?? item.pool;
    const over = excess.get(storage) ?? 0;
    const isOld = unusedMs(item) >= olderThanMs;
    const isPressed = over > 0 && above !== undefined && unusedMs(item) >= above.unusedMs;
    if (!isOld && !isPressed) return [];
    excess.set(storage, over - item.sizeBytes);
    return [{ item, why: isOld ? "age" : "pressure" }];
  });
}
