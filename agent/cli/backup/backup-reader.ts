import { setTimeout as sleep } from "node:timers/promises";
import { SocleError } from "../../kernel/errors.ts";
import type { Agent } from "../client.ts";
import { ClusterMap } from "../../kernel/qcow2/cluster-map.ts";
import type { Piece } from "./cluster-feed.ts";

/** Attempts in a row without any progress. */
const MOST_ATTEMPTS = 6;
const AGAIN_MS = 500;

interface OfDisk {
  readonly vm: string;
  readonly backupId: string;
  readonly disk: string;
}

/** Reads a disk of an open backup. A lost stream is continued at its offset, a bounded number of times. */
export class BackupReader {
  readonly #agent: Agent;
  readonly #of: OfDisk;
  readonly #interrupt: AbortSignal;

  constructor(agent: Agent, of: OfDisk, interrupt: AbortSignal) {
    this.#agent = agent;
    this.#of = of;
    this.#interrupt = interrupt;
  }

  /** Which clusters have data; of an increment also which are zero. */
  async map(capacityBytes: number, isOverlay: boolean): Promise<ClusterMap> {
    const map = new ClusterMap(capacityBytes, isOverlay);
    const { ListExtents } = this.#agent.contract.backups;
    let offset = 0;
    await this.#retried(async (progressed) => {
      for await (const { extents } of this.#agent.watch(ListExtents, { ...this.#of, offsetBytes: offset }))
        for (const { offsetBytes, lengthBytes, zero } of extents) {
          if (offsetBytes + lengthBytes <= offset) continue;
          const from = Math.max(offsetBytes, offset);
          offset = offsetBytes + lengthBytes;
          map.mark(from, offset - from, zero ? "zero" : "data");
          progressed();
        }
    });
    return map;
  }

  async *pieces(): AsyncGenerator<Piece, void, undefined> {
    const { ReadExtents } = this.#agent.contract.backups;
    let offset = 0;
    for (let attempts = 1; ;) {
      try {
        for await (const message of this.#agent.watch(ReadExtents, { ...this.#of, offsetBytes: offset })) {
          const { offsetBytes, content, zeroBytes } = message;
          const isData = content.length > 0;
          const piece: Piece = isData
            ? { offsetBytes, lengthBytes: content.length, bytes: content }
            : { offsetBytes, lengthBytes: zeroBytes };
          attempts = 1;
          offset = offsetBytes + piece.lengthBytes;
          yield piece;
        }
        return;
      } catch (thrown) {
        await this.#again(thrown, (attempts += 1));
      }
    }
  }

  async #retried(work: (progressed: () => void) => Promise<void>): Promise<void> {
    for (let attempts = 1; ;) {
      try {
        await work(() => (attempts = 1));
        return;
      } catch (thrown) {
        await this.#again(thrown, (attempts += 1));
      }
    }
  }

  /** Waits before another attempt, or throws. */
  async #again(thrown: unknown, attempts: number): Promise<void> {
    const isLost = thrown instanceof SocleError && thrown.kind === "unavailable";
    if (!isLost || attempts > MOST_ATTEMPTS) throw thrown;
    await sleep(AGAIN_MS * attempts, undefined, { signal: this.#interrupt }).catch(() => undefined);
  }
}
