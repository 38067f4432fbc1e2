import { access, constants, lstat, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { systemClock, type Clock } from "../../kernel/clock.ts";
import { LATE, within } from "../../kernel/concurrency/deadline.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { formatBytes } from "../../kernel/text/bytes.ts";
import { codeOf, messageOf } from "../../kernel/thrown.ts";
import { runChild } from "../../hardware/privileged/child.ts";
import { FilesystemProbe, type FilesystemSpace } from "../../hardware/storage/filesystem.ts";

const PROBE_MS = 5000;
const CALL_MS = 30_000;
/** The page cache has a part of a dump once libvirt has written it. */
const SYNC_MS = 10 * 60_000;
/** A dump leaves so much free, and this share of the file system. */
const LEAST_FREE_BYTES = 2 * 1024 ** 3;
const LEAST_FREE_RATIO = 0.05;
const ALL_OF_OTHERS = 0o077;
const PART = ".part";

/** Writes a file system's data to its disk, also of files that only root may open. */
const syncfs = async (path: string): Promise<void> => {
  await runChild(["sync", "-f", "--", path], { timeoutMs: SYNC_MS, maxOutputBytes: 4096 }).output;
};

interface Parts {
  readonly probe?: Pick<FilesystemProbe, "read">;
  readonly clock?: Pick<Clock, "sleep">;
  /** Only for tests. */
  readonly sync?: typeof syncfs;
}

/**
 * The directory of the host for dumps of memory. libvirt writes a file there, which only root may read. Until it is whole it has
 * the ending .part: a file without it is a whole dump. Each call has a deadline.
 */
export class DumpDirectory {
  readonly #path: string | undefined;
  readonly #probe: Pick<FilesystemProbe, "read">;
  readonly #clock: Pick<Clock, "sleep">;
  readonly #sync: typeof syncfs;
  /** By the dump's file. */
  readonly #claimedBytes = new Map<string, number>();

  /** `path` undefined: none is configured. */
  constructor(
    path: string | undefined,
    { probe = new FilesystemProbe({ timeoutMs: PROBE_MS }), clock = systemClock, sync = syncfs }: Parts = {},
  ) {
    this.#path = path;
    this.#probe = probe;
    this.#clock = clock;
    this.#sync = sync;
  }

  /** The one that had this path when a dump was requested: the configuration may have changed since. */
  at(path: string): DumpDirectory {
    if (path === this.#path) return this;
    return new DumpDirectory(path, { probe: this.#probe, clock: this.#clock, sync: this.#sync });
  }

  /** Throws `conflict` DUMPS_NOT_CONFIGURED. */
  get path(): string {
    if (this.#path !== undefined) return this.#path;
    throw new SocleError(
      "conflict",
      "DUMPS_NOT_CONFIGURED",
      "this host has no directory for dumps of memory: set vm.dumpDirectory in the agent's configuration, and make that directory (install -d -m 0700 -o socle -g socle DIRECTORY)",
    );
  }

  /** Undefined: none is configured. */
  get configured(): string | undefined {
    return this.#path;
  }

  partOf(file: string): string {
    return `${join(this.path, file)}${PART}`;
  }

  /**
   * Throws as `path`, `unavailable` DUMP_DIRECTORY_UNUSABLE if the agent could not rename and delete files there, or others could,
   * and `exhausted` DUMP_NO_SPACE beside the dumps that are being written.
   */
  async requireRoom(bytes: number): Promise<void> {
    const { path } = this;
    const { availableBytes, sizeBytes } = await this.#space();
    await this.#requireOwn();
    const claimed = [...this.#claimedBytes.values()].reduce((sum, each) => sum + each, 0);
    const free = availableBytes - claimed - Math.max(LEAST_FREE_BYTES, sizeBytes * LEAST_FREE_RATIO);
    if (free < bytes) throw noSpace(path, bytes, free);
  }

  /** Without its file system, a mount point is there as an empty directory: what is not in it is not known to be gone. */
  async #requireOwn(): Promise<void> {
    const { path } = this;
    const found = await this.#call(async () => {
      await access(path, constants.W_OK | constants.X_OK);
      return await stat(path);
    }).catch((thrown: unknown) => {
      throw thrown instanceof SocleError ? thrown : unusable(path, codeOf(thrown) ?? messageOf(thrown));
    });
    if (!found.isDirectory()) throw unusable(path, "it is no directory");
    // libvirt writes as root: another user must not place a link for it there.
    if (found.uid !== process.getuid?.()) throw unusable(path, "another user owns it");
    if ((found.mode & ALL_OF_OTHERS) !== 0) throw unusable(path, "other users may use it");
  }

  /** Throws as `requireRoom`. `release` when libvirt does not write any more. */
  async claim(file: string, bytes: number): Promise<void> {
    await this.requireRoom(bytes);
    this.hold(file, bytes);
  }

  /** As `claim`, for a dump that libvirt may be writing already. */
  hold(file: string, bytes: number): void {
    this.#claimedBytes.set(file, bytes);
  }

  release(file: string): void {
    this.#claimedBytes.delete(file);
  }

  /** The dumps that have room. */
  get claimed(): readonly string[] {
    return [...this.#claimedBytes.keys()];
  }

  /** The dumps that have a part there, of this agent and of others. */
  async withPart(): Promise<readonly string[]> {
    await this.#space();
    const names = await this.#call(() => readdir(this.path));
    return names.flatMap((name) => (name.endsWith(PART) ? name.slice(0, -PART.length) : []));
  }

  /**
   * Makes the file a whole dump, durably, and returns where it is and its size. Also if that is done already. Throws `internal`
   * DUMP_NOT_KEPT, which names the part.
   */
  async keep(
    file: string,
    owner: "libvirt" | "libvirt or QEMU" = "libvirt",
  ): Promise<{ readonly path: string; readonly sizeBytes: number }> {
    const part = this.partOf(file);
    try {
      return (await this.whole(file)) ?? (await this.#keep(part, join(this.path, file), owner));
    } catch (thrown) {
      const { message } = toSocleError(thrown);
      const left = `the memory was written to ${part}, but that could not be made a dump (${message}): look at that file, and delete it`;
      throw new SocleError("internal", "DUMP_NOT_KEPT", left, { cause: thrown });
    }
  }

  async #keep(
    part: string,
    path: string,
    owner: "libvirt" | "libvirt or QEMU",
  ): Promise<{ readonly path: string; readonly sizeBytes: number }> {
    await this.#space();
    const { size } = await this.#call(() => requireClosed(part, owner));
    // The name without .part says that the dump is whole, also after a power failure.
    await this.#sync(this.path);
    await this.#call(async () => {
      await rename(part, path);
      await syncDirectory(this.path);
    });
    return { path, sizeBytes: size };
  }

  /** Undefined: there is no whole dump of this name. Throws `unavailable` DUMP_DIRECTORY_UNUSABLE if that is not known. */
  async whole(file: string): Promise<{ readonly path: string; readonly sizeBytes: number } | undefined> {
    const path = join(this.path, file);
    await this.#space();
    const sizeBytes = await this.#sizeOf(path);
    return sizeBytes === undefined ? undefined : { path, sizeBytes };
  }

  /** The size of the part of this name, in bytes; undefined: there is none. Throws as `whole`. */
  async partBytes(file: string): Promise<number | undefined> {
    await this.#space();
    return await this.#sizeOf(this.partOf(file));
  }

  async #sizeOf(path: string): Promise<number | undefined> {
    try {
      return (await this.#call(() => lstat(path))).size;
    } catch (thrown) {
      if (codeOf(thrown) !== "ENOENT") throw thrown;
      await this.#requireOwn();
      return undefined;
    }
  }

  /** Deletes the file, whole or in part, durably. Also succeeds without it. Throws `unavailable` DUMP_DIRECTORY_UNUSABLE. */
  async remove(file: string): Promise<void> {
    // A file system that does not answer would hold a thread.
    await this.#space();
    await this.#requireOwn();
    await this.#call(async () => {
      for (const path of [join(this.path, file), this.partOf(file)]) await rm(path, { force: true });
      await syncDirectory(this.path);
    }).catch((thrown: unknown) => {
      if (thrown instanceof SocleError) throw thrown;
      throw unusable(this.path, codeOf(thrown) ?? messageOf(thrown));
    });
  }

  /** Deletes what there is of a dump that is not whole. */
  async removePart(file: string): Promise<void> {
    await this.#space();
    await this.#call(() => rm(this.partOf(file), { force: true }));
  }

  /** In a child process: a dead file system does not answer. */
  async #space(): Promise<FilesystemSpace> {
    const space = await this.#probe.read(this.path);
    if (space.kind === "read") return space.value;
    throw unusable(this.path, "its file system does not report its space");
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    const done = await within(this.#clock, CALL_MS, work());
    if (done === LATE) throw unusable(this.path, "its file system does not answer");
    return done;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Throws unless the part is a file that libvirt made, which only its owner can read. libvirt gives QEMU's user what QEMU writes. */
async function requireClosed(
  part: string,
  owner: "libvirt" | "libvirt or QEMU",
): Promise<{ readonly size: number }> {
  const found = await lstat(part);
  const isClosed = found.nlink === 1 && (found.mode & ALL_OF_OTHERS) === 0;
  const isOwned = owner !== "libvirt" || [0, process.getuid?.()].includes(found.uid);
  if (found.isFile() && isClosed && isOwned) return found;
  throw new Error("it is not a file of libvirt that only its owner can read");
}

const unusable = (path: string, why: string): SocleError =>
  new SocleError(
    "unavailable",
    "DUMP_DIRECTORY_UNUSABLE",
    `the directory for dumps of memory, ${path}, cannot be used (${why}): the agent's user must own it, with mode 0700, and systemd must let the agent write there (ReadWritePaths)`,
  );

const noSpace = (path: string, bytes: number, free: number): SocleError =>
  new SocleError(
    "exhausted",
    "DUMP_NO_SPACE",
    `the dump may take ${formatBytes(bytes)}, and ${path} has room for ${formatBytes(Math.max(0, free))} beside what stays free: delete old dumps, or choose another directory (vm.dumpDirectory)`,
  );
