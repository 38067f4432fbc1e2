import { access, constants, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { SocleError } from "../../kernel/errors.ts";
import { formatBytes } from "../../kernel/text/bytes.ts";
import { codeOf, messageOf } from "../../kernel/thrown.ts";
import { FilesystemProbe } from "../../hardware/storage/filesystem.ts";

const PROBE_MS = 5000;
/** A dump leaves so much free. */
const LEAST_FREE_BYTES = 256 * 1024 * 1024;
const OTHERS_MAY_WRITE = 0o002;

/**
 * The directory of the host for dumps of memory. libvirt writes a file there, which only root may read. Until it is whole it has
 * the ending .part: a file without it is a whole dump.
 */
export class DumpDirectory {
  readonly #path: string | undefined;
  readonly #probe: Pick<FilesystemProbe, "read">;
  #claimedBytes = 0;

  /** `path` undefined: none is configured. */
  constructor(
    path: string | undefined,
    probe: Pick<FilesystemProbe, "read"> = new FilesystemProbe({ timeoutMs: PROBE_MS }),
  ) {
    this.#path = path;
    this.#probe = probe;
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

  partOf(file: string): string {
    return `${join(this.path, file)}.part`;
  }

  /**
   * Throws as `path`, `unavailable` DUMP_DIRECTORY_UNUSABLE if the agent could not rename and delete files there, and `exhausted`
   * DUMP_NO_SPACE beside the dumps that are being written.
   */
  async requireRoom(bytes: number): Promise<void> {
    const { path } = this;
    // In a child process: a dead file system does not answer.
    const space = await this.#probe.read(path);
    if (space.kind !== "read") throw unusable(path, "its file system does not report its space");
    let found;
    try {
      found = await stat(path);
      await access(path, constants.W_OK | constants.X_OK);
    } catch (thrown) {
      throw unusable(path, codeOf(thrown) ?? messageOf(thrown));
    }
    if (!found.isDirectory()) throw unusable(path, "it is no directory");
    // libvirt writes as root: another user must not place a link for it there.
    if ((found.mode & OTHERS_MAY_WRITE) !== 0) throw unusable(path, "any user may write to it");
    const free = space.value.availableBytes - this.#claimedBytes - LEAST_FREE_BYTES;
    if (free < bytes) throw noSpace(path, bytes, free);
  }

  /** Throws as `requireRoom`. Call the result when the dump has ended. */
  async claim(bytes: number): Promise<() => void> {
    await this.requireRoom(bytes);
    this.#claimedBytes += bytes;
    return () => {
      this.#claimedBytes -= bytes;
    };
  }

  /** Makes the file a whole dump, durably, and returns where it is and its size. Also if that is done already. */
  async keep(file: string): Promise<{ readonly path: string; readonly sizeBytes: number }> {
    const path = join(this.path, file);
    try {
      await rename(this.partOf(file), path);
    } catch (thrown) {
      if (codeOf(thrown) !== "ENOENT" || (await this.whole(file)) === undefined) throw thrown;
    }
    const directory = await open(this.path, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
    return { path, sizeBytes: (await stat(path)).size };
  }

  /** Undefined: there is no whole dump of this name. */
  async whole(file: string): Promise<{ readonly path: string; readonly sizeBytes: number } | undefined> {
    const path = join(this.path, file);
    try {
      return { path, sizeBytes: (await stat(path)).size };
    } catch (thrown) {
      if (codeOf(thrown) === "ENOENT") return undefined;
      throw thrown;
    }
  }

  /** Deletes what there is of a dump that is not whole. */
  async removePart(file: string): Promise<void> {
    await rm(this.partOf(file), { force: true });
  }
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
