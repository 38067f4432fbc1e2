import type { Clock } from "../../kernel/clock.ts";
import { toCollect, type UsedPool } from "../../kernel/collection.ts";
import { LATE, within } from "../../kernel/concurrency/deadline.ts";
import { toSocleError } from "../../kernel/errors.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import type { Logger } from "../../kernel/log.ts";
import type { NewEvent } from "../../state/events/event.ts";
import { isDone, type Operation } from "../../state/operations/operation.ts";
import type { Operations } from "../../state/operations/operations.ts";
import { isMadeBy, type Image } from "../images/image.ts";
import { imagesOf } from "../images/image-disks.ts";
import type { ImageStore } from "../images/image-store.ts";
import type { VmTable } from "../observation/vm-table.ts";
import type { Images } from "./images.ts";
import { AGENT } from "./own-starts.ts";

/** A pool of this host alone, as it was read. */
export interface ReadPool extends UsedPool {
  /** On the wall clock. */
  readonly observedAtMs: number;
}

/** The deletion of an image, for the audit log. */
export interface OwnDeletion {
  readonly image: Image;
  readonly requestId: string;
}

interface Options {
  readonly store: Pick<ImageStore, "seen" | "unreadPools" | "used" | "usedAtMs">;
  readonly images: Pick<Images, "delete">;
  readonly operations: Pick<Operations, "wait" | "untilPermitted">;
  readonly table: Pick<VmTable, "all" | "untilComplete">;
  /** Without those whose use is not known. */
  readonly pools: () => readonly ReadPool[];
  readonly hostId: () => string;
  readonly rule: {
    readonly percent: number;
    readonly unusedMs: number;
    /** Names of images that stay. */
    readonly keep: readonly string[];
  };
  /** Resolves once the deletion is in the audit log; the returned function records the answer. */
  readonly admit: (
    deletion: OwnDeletion,
  ) => Promise<(answer: { readonly operation: string } | { readonly reason: string }) => void>;
  readonly publish: (event: NewEvent) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

const AGAIN_MS = 60_000;
/** Before the pools or the images were read. */
const SOON_MS = 5000;
const END_WITHIN_MS = 600_000;
/** A reading takes less: one that began before a removal has the space that it freed. */
const READ_WITHIN_MS = 30_000;
/** An image that was not deleted, as one with an overlay that no VM of this host has, is tried again after it. */
const REFUSED_MS = 3_600_000;

/**
 * Removes images that no VM uses from pools that are fuller than the rule allows, the least recently used first, one a
 * minute until they are not. Each is an ordinary operation of the agent, which is refused if a VM or a creation uses the image by then. Of a pool
 * whose use or images are not known, none is removed.
 */
export class ImageCollector implements Service {
  readonly name = "image collector";
  readonly #options: Options;
  readonly #refusedAtMs = new Map<string, number>();
  /** The pools have to be read after it. */
  #removedAtMs = -Infinity;
  #count = 0;
  #bytes = 0;

  /** What an earlier agent knew of uses is not known. */
  readonly #startedAtMs: number;

  constructor(options: Options) {
    this.#options = options;
    this.#startedAtMs = options.clock.monotonicMs();
  }

  /** Since the agent's start. */
  get collected(): { readonly count: number; readonly bytes: number } {
    return { count: this.#count, bytes: this.#bytes };
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { table, operations, pools, store, clock, log } = this.#options;
    ready();
    for (;;) {
      try {
        await table.untilComplete(signal);
        await operations.untilPermitted(signal);
        await this.collect(signal);
      } catch (thrown) {
        log.debug({ err: thrown }, "images could not be collected now");
      }
      const isRead = pools().length > 0 && store.seen() !== undefined;
      try {
        await clock.sleep(isRead ? AGAIN_MS : SOON_MS, signal);
      } catch {
        return;
      }
    }
  }

  /** Removes one image: pools on one file system have the same use, and all are read again before the next. */
  async collect(signal: AbortSignal): Promise<void> {
    const { store, table, pools, rule, clock } = this.#options;
    // The last time at which a VM has it counts.
    const used = new Set(table.all().flatMap(({ spec }) => (spec === undefined ? [] : imagesOf(spec))));
    for (const image of used) store.used(image);
    if (clock.monotonicMs() - this.#startedAtMs < rule.unusedMs) return;
    for (const pool of pools()) {
      const image = this.#next(pool, used);
      if (image === undefined) continue;
      if (!(await this.#remove(image, signal)))
        this.#refusedAtMs.set(image.id, this.#options.clock.monotonicMs());
      return;
    }
  }

  /** The next image to remove from a pool. Undefined also if that is not known. */
  #next(pool: ReadPool, used: ReadonlySet<string>): Image | undefined {
    const { store, hostId, rule, clock } = this.#options;
    const images = store.seen();
    if (images === undefined || store.unreadPools.includes(pool.name)) return undefined;
    if (pool.observedAtMs <= this.#removedAtMs + READ_WITHIN_MS) return undefined;
    const candidates = images.filter(
      ({ id, name }) =>
        isMadeBy(id, hostId()) && !rule.keep.includes(name) && !this.#wasRefused(id) && !used.has(id),
    );
    const seen = candidates.map((image) => ({
      ...image,
      image,
      users: 0,
      usedAtMs: Math.max(image.createdAtMs, store.usedAtMs(image.id) ?? 0),
    }));
    const [next] = toCollect(seen, [pool], { above: rule }, clock.now());
    return next?.item.image;
  }

  #wasRefused(id: string): boolean {
    const atMs = this.#refusedAtMs.get(id);
    if (atMs === undefined) return false;
    if (this.#options.clock.monotonicMs() - atMs < REFUSED_MS) return true;
    this.#refusedAtMs.delete(id);
    return false;
  }

  /** Whether it was removed. Throws the signal's reason. */
  async #remove(image: Image, signal: AbortSignal): Promise<boolean> {
    const { publish, log, clock } = this.#options;
    const { id, name, pool, sizeBytes } = image;
    const about = { image: id, name, pool, bytes: String(sizeBytes) };
    try {
      const operation = await this.#delete(image, signal);
      this.#count += 1;
      this.#bytes += sizeBytes;
      const details = { ...about, operation: operation.id };
      log.warn(
        details,
        "removed an image that no VM uses: its pool is fuller than images.collectAbovePercent",
      );
      publish({ kind: "image_collected", reason: "PRESSURE", details });
      return true;
    } catch (thrown) {
      signal.throwIfAborted();
      log.info({ ...about, err: toSocleError(thrown) }, "an image was not removed from its full pool");
      return false;
    } finally {
      this.#removedAtMs = clock.now();
    }
  }

  async #delete(image: Image, signal: AbortSignal): Promise<Operation> {
    const { images, operations, admit, clock } = this.#options;
    const requestId = `collect-${clock.now()}-${image.id}`;
    const answered = await admit({ image, requestId });
    let begun: Operation;
    try {
      begun = await images.delete({ requestId, image: image.id, tenant: "" }, AGENT);
      answered({ operation: begun.id });
    } catch (thrown) {
      answered({ reason: toSocleError(thrown).reason });
      throw thrown;
    }
    const end = isDone(begun)
      ? begun
      : await within(clock, END_WITHIN_MS, operations.wait(begun.id, END_WITHIN_MS, signal), signal);
    if (end !== LATE && end.state === "succeeded") return end;
    const why = end === LATE ? undefined : end.error?.message;
    throw new Error(why ?? "its deletion has not ended yet");
  }
}
