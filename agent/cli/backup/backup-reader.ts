import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { NbdReader, type Extent } from "../../kernel/nbd/nbd-reader.ts";
import { MOST_READ_BYTES } from "../../kernel/nbd/nbd-wire.ts";
import { ClusterMap } from "../../kernel/qcow2/cluster-map.ts";
import type { Backup__Output } from "../../gen/socle/v1/Backup.ts";
import type { BackupDisk__Output } from "../../gen/socle/v1/BackupDisk.ts";
import type { Agent } from "../client.ts";
import { interrupted } from "../errors.ts";
import type { Session } from "../session.ts";
import type { Piece } from "./cluster-feed.ts";

/** Attempts in a row without any progress. */
const MOST_ATTEMPTS = 6;
const AGAIN_MS = 500;
/** Reads of QEMU's socket do not renew the lease. */
const RENEW_EVERY_MS = 60_000;

interface OfDisk {
  readonly vm: string;
  readonly backupId: string;
  readonly disk: string;
}

/**
 * Reads a disk of an open backup: from QEMU's own socket where this command reaches it, so that the agent has no part in
 * it, else from the agent. A lost stream is continued at its offset, a bounded number of times.
 */
export class BackupReader {
  readonly #agent: Agent;
  readonly #of: OfDisk;
  readonly #interrupt: AbortSignal;
  #nbd: NbdReader | undefined;
  #renewals: NodeJS.Timeout | undefined;
  /** Since the last renewal. A reader that stands still loses its lease, as at the agent. */
  #hasRead = false;

  private constructor(agent: Agent, of: OfDisk, interrupt: AbortSignal) {
    this.#agent = agent;
    this.#of = of;
    this.#interrupt = interrupt;
  }

  static async open(
    session: Session,
    backup: Backup__Output,
    disk: BackupDisk__Output,
  ): Promise<BackupReader> {
    const of = { vm: backup.vmId, backupId: backup.backupId, disk: disk.disk };
    const reader = new BackupReader(await session.agent(), of, session.interrupt);
    // The path of another host's socket may be one of this host.
    if (session.target.kind === "socket") await reader.#openNbd(backup.nbdUri, disk);
    return reader;
  }

  close(): void {
    clearInterval(this.#renewals);
    this.#nbd?.close();
    this.#nbd = undefined;
  }

  /** Which clusters have data; of an increment also which are zero. */
  async map(capacityBytes: number, isOverlay: boolean): Promise<ClusterMap> {
    const map = new ClusterMap(capacityBytes, isOverlay);
    let offset = 0;
    for (let attempts = 1; ;) {
      try {
        for await (const { offsetBytes, lengthBytes, zero } of this.#extentsFrom(offset)) {
          if (offsetBytes + lengthBytes <= offset) continue;
          const from = Math.max(offsetBytes, offset);
          offset = offsetBytes + lengthBytes;
          map.mark(from, offset - from, zero ? "zero" : "data");
          this.#hasRead = true;
          attempts = 1;
        }
        return map;
      } catch (thrown) {
        await this.#again(thrown, (attempts += 1));
      }
    }
  }

  async *pieces(): AsyncGenerator<Piece, void, undefined> {
    let offset = 0;
    for (let attempts = 1; ;) {
      try {
        for await (const piece of this.#piecesFrom(offset)) {
          attempts = 1;
          this.#hasRead = true;
          offset = piece.offsetBytes + piece.lengthBytes;
          yield piece;
        }
        return;
      } catch (thrown) {
        await this.#again(thrown, (attempts += 1));
      }
    }
  }

  /** Where it fails, the agent is read, and knows why. */
  async #openNbd(uri: string, { nbdExport, nbdBitmap, incremental }: BackupDisk__Output): Promise<void> {
    if (!uri.startsWith("nbd+unix:") || (incremental && nbdBitmap === "")) return;
    try {
      const socket = new URL(uri).searchParams.get("socket") ?? "";
      const changes = incremental ? nbdBitmap : undefined;
      const where = { socket, exportName: nbdExport, changes, pieceBytes: MOST_READ_BYTES };
      this.#nbd = await NbdReader.open(where, this.#interrupt);
      // The next backup of the VM has the same socket: what is open now is what the connection has reached.
      await this.#renew();
    } catch {
      this.close();
      return;
    }
    this.#renewals = setInterval(() => void this.#renewIfRead(), RENEW_EVERY_MS);
    this.#renewals.unref();
  }

  /** The agent's stream renews the lease where the agent refuses to, or says why the backup cannot be read. */
  async #renewIfRead(): Promise<void> {
    if (!this.#hasRead) return;
    this.#hasRead = false;
    try {
      await this.#renew();
    } catch (thrown) {
      if (toSocleError(thrown).kind !== "unavailable") this.close();
    }
  }

  async #renew(): Promise<void> {
    const { vm, backupId } = this.#of;
    const request = { requestId: randomUUID(), vm, backupId };
    await this.#agent.ask(this.#agent.contract.backups.RenewBackup, request);
  }

  async *#extentsFrom(offsetBytes: number): AsyncGenerator<Extent, void, undefined> {
    if (this.#nbd !== undefined) {
      yield* this.#nbd.extents(offsetBytes);
      return;
    }
    const { ListExtents } = this.#agent.contract.backups;
    for await (const { extents } of this.#agent.watch(ListExtents, { ...this.#of, offsetBytes }))
      yield* extents;
  }

  async *#piecesFrom(from: number): AsyncGenerator<Piece, void, undefined> {
    if (this.#nbd !== undefined) {
      yield* this.#nbd.pieces(from);
      return;
    }
    const { ReadExtents } = this.#agent.contract.backups;
    for await (const message of this.#agent.watch(ReadExtents, { ...this.#of, offsetBytes: from })) {
      const { offsetBytes, content, zeroBytes } = message;
      if (content.length > 0) yield { offsetBytes, lengthBytes: content.length, bytes: content };
      else yield { offsetBytes, lengthBytes: zeroBytes };
    }
  }

  /** Waits before another attempt, or throws. After QEMU's socket the agent is read at once. */
  async #again(thrown: unknown, attempts: number): Promise<void> {
    if (this.#interrupt.aborted) throw interrupted();
    const isLost = thrown instanceof SocleError && thrown.kind === "unavailable";
    if (!isLost || attempts > MOST_ATTEMPTS) throw thrown;
    if (this.#nbd === undefined)
      await sleep(AGAIN_MS * attempts, undefined, { signal: this.#interrupt }).catch(() => undefined);
    else this.close();
  }
}
