/** An image that may be collected, as an agent and its callers see it. */
export interface CollectableImage {
  readonly id: string;
  readonly pool: string;
  readonly sizeBytes: number;
  /** The VMs over it. */
  readonly users: number;
  /** Of its newest use that is known, or of its import. */
  readonly usedAtMs: number;
}

/** A pool whose use is known. */
export interface UsedPool {
  readonly name: string;
  readonly capacityBytes: number;
  /** All files in it included. */
  readonly usedBytes: number;
}

export interface CollectionRule {
  /** Images that were not used for so long are collected. Absent: none for its age. */
  readonly olderThanMs?: number | undefined;
  /** Of a pool that is fuller, images are collected until it is not. Absent: none for that. */
  readonly above?: { readonly percent: number; readonly unusedMs: number } | undefined;
}

export interface Collected<Image> {
  readonly image: Image;
  readonly why: "age" | "pressure";
}

/**
 * The images without a VM that the rule collects, the least recently used first. A pool that is not among `pools` collects none for
 * its use.
 */
export function imagesToCollect<Image extends CollectableImage>(
  images: readonly Image[],
  pools: readonly UsedPool[],
  { olderThanMs = Infinity, above }: CollectionRule,
  nowMs: number,
): readonly Collected<Image>[] {
  const free = images
    .filter(({ users }) => users === 0)
    .toSorted((a, b) => a.usedAtMs - b.usedAtMs || (a.id < b.id ? -1 : 1));
  const unusedMs = ({ usedAtMs }: Image): number => nowMs - usedAtMs;
  const excess = new Map(
    above === undefined
      ? []
      : pools.map(({ name, capacityBytes, usedBytes }) => [
          name,
          usedBytes - (capacityBytes * above.percent) / 100,
        ]),
  );
  return free.flatMap((image): Collected<Image>[] => {
    const over = excess.get(image.pool) ?? 0;
    const isOld = unusedMs(image) >= olderThanMs;
    const isPressed = over > 0 && above !== undefined && unusedMs(image) >= above.unusedMs;
    if (!isOld && !isPressed) return [];
    excess.set(image.pool, over - image.sizeBytes);
    return [{ image, why: isOld ? "age" : "pressure" }];
  });
}
