import type { FilesystemSpace } from "../../hardware/storage/filesystem.ts";
import type { Reading } from "../../hardware/reading.ts";
import { succeeds } from "../../kernel/thrown.ts";
import {
  OF_LIBVIRT,
  type LibvirtFacts,
  type Patience,
  type PoolFacts,
  type VolumeSize,
} from "./libvirt-facts.ts";
import type { VolumeCapacities } from "../capacity/storage-ledger.ts";

/** Longest time per round for the volumes of all pools. */
const ROUND_MS = 2000;
const ANSWER_MS = 5000;
/** Deadline of the probe: libvirt answers it at once, even while volumes hang. */
const PROBE_MS = 1000;
/** A hung call occupies a libvirt worker: its pool is skipped for this time. */
const REST_MS = 600_000;

/** The code of a pool whose volumes did not fit into one round: the next round continues. */
export const MORE_TO_READ = "again";

/**
 * Maximum sizes of each pool's volumes. libvirt reports one volume per call and inspects it for that. So volumes are
 * queried sequentially, least recently queried first, and each round continues where the last one ended.
 */
export class VolumeSizes {
  readonly #facts: Pick<LibvirtFacts, "volumes" | "volumeSize" | "probe">;
  readonly #monotonicMs: () => number;
  /** By pool and volume, most recently queried last: its size, or why it was never read. */
  #pools = new Map<string, Map<string, VolumeSize | string>>();
  readonly #restUntilMs = new Map<string, number>();

  constructor(
    facts: Pick<LibvirtFacts, "volumes" | "volumeSize" | "probe">,
    monotonicMs: () => number = () => performance.now(),
  ) {
    this.#facts = facts;
    this.#monotonicMs = monotonicMs;
  }

  /** By pool, for active pools. `spaces`: filesystem space of directory pools. */
  async read(
    pools: readonly PoolFacts[],
    spaces: ReadonlyMap<string, Reading<FilesystemSpace>>,
    patience: Patience,
  ): Promise<ReadonlyMap<string, Reading<VolumeCapacities>>> {
    const endMs = this.#monotonicMs() + Math.min(ROUND_MS, patience.timeoutMs);
    const sizes = new Map<string, Reading<VolumeCapacities>>();
    const before = this.#pools;
    this.#pools = new Map();
    for (const [index, { name, details }] of pools.entries()) {
      const known = before.get(name) ?? new Map<string, VolumeSize | string>();
      this.#pools.set(name, known);
      if (details.kind !== "read" || !details.value.active) continue;
      const space = spaces.get(details.value.path ?? "");
      // Storage that hangs the agent would hang libvirt too; storage that only the agent may not read, libvirt can report.
      const hangs = space?.kind === "failed" && space.code === "timeout";
      // A large pool leaves time for the pools after it.
      const leftMs = Math.max(0, endMs - this.#monotonicMs());
      const untilMs = this.#monotonicMs() + leftMs / (pools.length - index);
      sizes.set(name, hangs ? space : await this.#read(name, known, patience, untilMs));
    }
    return sizes;
  }

  async #read(
    pool: string,
    known: Map<string, VolumeSize | string>,
    patience: Patience,
    untilMs: number,
  ): Promise<Reading<VolumeCapacities>> {
    if (this.#monotonicMs() < (this.#restUntilMs.get(pool) ?? -Infinity))
      return { kind: "failed", reason: "a volume did not answer; the pool is skipped for a while" };
    const listed = await this.#facts.volumes(pool, patience);
    if (listed.kind !== "read") return listed;
    const volumes = new Map(listed.value.map((volume) => [volume.name, volume]));
    for (const name of known.keys()) if (!volumes.has(name)) known.delete(name);
    const inTurn = [...[...volumes.keys()].filter((name) => !known.has(name)), ...known.keys()];
    for (const name of inTurn) {
      const volume = volumes.get(name);
      if (volume === undefined || this.#monotonicMs() >= untilMs) break;
      const found = await this.#facts.volumeSize(volume, { ...patience, timeoutMs: ANSWER_MS });
      const code = found.kind === "failed" ? found.code : undefined;
      if (found.kind !== "read" && OF_LIBVIRT.has(code)) return found;
      // While libvirt itself hangs, a timeout does not prove that the volume hangs.
      const answers = (): Promise<boolean> => succeeds(this.#facts.probe(patience.signal, PROBE_MS));
      if (found.kind !== "read" && code === "timeout" && !(await answers())) return found;
      const before = known.get(name);
      known.delete(name);
      if (found.kind === "read") known.set(name, found.value);
      else if (code === "not_found") volumes.delete(name);
      else if (code !== "timeout") known.set(name, found.reason);
      else {
        known.set(name, before ?? found.reason);
        this.#restUntilMs.set(pool, this.#monotonicMs() + REST_MS);
        // Query the other volumes first next time; a volume that hangs again is unreadable.
        if (typeof before !== "string") return found;
        break;
      }
    }
    if (known.size < volumes.size) {
      const reason = `${known.size} of ${volumes.size} were read so far`;
      return { kind: "failed", reason, code: MORE_TO_READ };
    }
    const bytes = new Map<string, number>();
    const allocatedBytes = new Map<string, number>();
    const unreadable = new Map<string, string>();
    const suspicious = new Map<string, string>();
    for (const [name, found] of known)
      if (typeof found === "string") unreadable.set(name, found);
      else {
        bytes.set(name, found.capacityBytes);
        allocatedBytes.set(name, found.allocatedBytes);
        if (found.suspicious !== undefined) suspicious.set(name, found.suspicious);
      }
    const [first] = unreadable;
    if (first === undefined)
      return { kind: "read", value: { bytes, allocatedBytes, unreadable, suspicious } };
    const missing = `${unreadable.size} cannot be read, the first is ${first.join(": ")}`;
    return { kind: "read", value: { bytes, allocatedBytes, unreadable, suspicious, missing } };
  }
}
