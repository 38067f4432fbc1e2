import { realpath } from "node:fs/promises";
import { dirname } from "node:path";
import { runChild, type Child } from "../../hardware/privileged/child.ts";
import { mountOf, readMounts } from "../../hardware/storage/mounts.ts";
import { systemRoots } from "../../hardware/roots.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { VolumeLookup } from "./volume-lookup.ts";

/** A disk that takes longer is in trouble. */
const SYNC_MS = 300_000;

/** Runs coreutils' sync. */
export type RunSync = (args: readonly string[], timeoutMs: number) => Child;
const runSync: RunSync = (args, timeoutMs) =>
  runChild(["sync", ...args], { timeoutMs, maxOutputBytes: 4096 });

/**
 * Waits until what libvirt wrote into a pool of files is on its disk: data, sizes and directory entries. libvirt confirms an
 * upload once the kernel has it in memory. The agent may not open the files, so it syncs their filesystem (syncfs(2)), in a
 * child process, since a disk in trouble holds that for ever.
 */
export class PoolSync {
  readonly #lookup: VolumeLookup;
  readonly #run: RunSync;
  /** Directories whose last child still runs past its deadline. */
  readonly #stuck = new Set<string>();

  /** `run`: only for tests. */
  constructor(lookup: VolumeLookup, run: RunSync = runSync) {
    this.#lookup = lookup;
    this.#run = run;
  }

  /**
   * Of a pool of block devices nothing is left to do: the kernel syncs a device when its last user closes it. Throws
   * `unavailable` POOL_NOT_SYNCED, and as `VolumeLookup.pool`.
   */
  async sync(pool: string): Promise<void> {
    const directory = await this.#lookup.directoryOf(await this.#lookup.pool(pool));
    if (directory === undefined || directory === "") return;
    if (this.#stuck.has(directory)) throw notSynced(pool, "an earlier sync still waits for its disk");
    for (const args of await waysTo(directory)) {
      const child = this.#run(args, SYNC_MS);
      try {
        await child.output;
        return;
      } catch (thrown) {
        const { kind, message } = toSocleError(thrown);
        if (kind === "timeout") {
          this.#stuck.add(directory);
          void child.gone.then(() => this.#stuck.delete(directory));
        }
        // The agent may not open this directory: another one of the filesystem serves as well.
        if (!message.includes(NOT_ALLOWED)) throw notSynced(pool, message, thrown);
      }
    }
  }
}

const NOT_ALLOWED = "Permission denied";

/** The arguments of sync: by the directory, by those above it up to its mount point, and at last of all filesystems. */
async function waysTo(directory: string): Promise<readonly (readonly string[])[]> {
  const all = [[]];
  const at = await realpath(directory).catch(() => undefined);
  const mounts = await readMounts(systemRoots);
  const mountPoint = mounts.kind === "read" && at !== undefined ? mountOf(mounts.value, at)?.mountPoint : "";
  if (at === undefined || mountPoint === undefined || mountPoint === "") return all;
  const ways: string[][] = [];
  for (let each = at; ; each = dirname(each)) {
    ways.push(["--file-system", "--", each]);
    if (each === mountPoint || each === "/") return [...ways, ...all];
  }
}

const notSynced = (pool: string, why: string, cause?: unknown): SocleError =>
  new SocleError(
    "unavailable",
    "POOL_NOT_SYNCED",
    `storage pool ${pool} did not confirm that all bytes are on its disk: ${why}. Check the disk (dmesg), then repeat the request`,
    { cause, details: { retryAfterMs: 60_000, metadata: { pool } } },
  );
