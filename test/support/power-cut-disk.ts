import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  rm,
  stat,
  truncate,
  writeFile,
  type FileHandle,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually } from "./wait.ts";

const run = promisify(execFile);

// The log of QEMU's blklogwrites, which is that of the kernel's dm-log-writes: little-endian, in sectors.
const SECTOR_BYTES = 512;
const FLAG = { flush: 1n, fua: 2n, discard: 4n } as const;

interface Written {
  /** In the disk and in the log. */
  readonly sector: number;
  readonly sectors: number;
  readonly logBytes: number;
  readonly flags: bigint;
}

/**
 * What a cut of power leaves of the writes since the last flush that the disk confirmed: nothing, or all of them. What has
 * not reached the disk is lost in both.
 */
export type Left = "flushed" | "written";

/**
 * An ext4 filesystem on a disk whose every write and flush is recorded, in order: so it can be looked at as after a cut of
 * power at any moment. A loop device over a file that qemu-storage-daemon serves.
 */
export class PowerCutDisk {
  readonly mountPoint: string;
  readonly #directory: string;
  readonly #sizeBytes: number;
  readonly #daemon: ChildProcess;
  readonly #device: string;

  private constructor(directory: string, sizeBytes: number, daemon: ChildProcess, device: string) {
    this.#directory = directory;
    this.mountPoint = join(directory, "pool");
    this.#sizeBytes = sizeBytes;
    this.#daemon = daemon;
    this.#device = device;
  }

  /** A reason why this machine cannot, or false. */
  static async unavailable(): Promise<string | false> {
    const [fuse, daemon] = await Promise.all([
      stat("/dev/fuse").catch(() => undefined),
      run("qemu-storage-daemon", ["--version"]).catch(() => undefined),
    ]);
    return fuse === undefined || daemon === undefined ? "needs /dev/fuse and qemu-storage-daemon" : false;
  }

  static async start(mib: number): Promise<PowerCutDisk> {
    const directory = await mkdtemp(join(tmpdir(), "socle-power-"));
    // QEMU's user opens the volumes.
    await chmod(directory, 0o755);
    const at = (name: string): string => join(directory, name);
    const sizeBytes = mib * 2 ** 20;
    for (const [name, size] of [
      ["disk", sizeBytes],
      ["log", 0],
      ["export", 0],
    ] as const) {
      await writeFile(at(name), "");
      await truncate(at(name), size);
    }
    const file = (name: string): string[] => [
      "--blockdev",
      `driver=file,node-name=${name},filename=${at(name)}`,
    ];
    const daemon = spawn(
      "qemu-storage-daemon",
      [
        ...[...file("disk"), ...file("log")],
        ...["--blockdev", "driver=blklogwrites,node-name=logged,file=disk,log=log"],
        ...["--export", `type=fuse,id=disk,node-name=logged,mountpoint=${at("export")},writable=on`],
      ],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    try {
      const isServed = async (): Promise<boolean> => (await stat(at("export"))).size === sizeBytes;
      await eventually(isServed, { what: "the disk to be served" });
      const device = (await run("losetup", ["--show", "-f", at("export")])).stdout.trim();
      await run("mkfs.ext4", ["-q", "-F", device]);
      const disk = new PowerCutDisk(directory, sizeBytes, daemon, device);
      await mkdir(disk.mountPoint);
      await run("mount", [device, disk.mountPoint]);
      return disk;
    } catch (thrown) {
      daemon.kill("SIGKILL");
      throw thrown;
    }
  }

  /** Now, as a moment for `afterCut`. */
  async now(): Promise<number> {
    return (await stat(join(this.#directory, "log"))).size;
  }

  /** The moments at which the disk confirmed a flush, from the first one after `from`. */
  async flushes(from: number): Promise<number[]> {
    const ends: number[] = [];
    for await (const { flags, logBytes } of this.#log(Infinity))
      if ((flags & FLAG.flush) !== 0n && logBytes > from) ends.push(logBytes);
    return ends;
  }

  /** Looks at the filesystem as it is after a cut of power at that moment. */
  async afterCut<T>(moment: number, left: Left, look: (directory: string) => Promise<T>): Promise<T> {
    const [image, directory] = [join(this.#directory, "after"), join(this.#directory, "after-cut")];
    await this.#replay(moment, left, image);
    await mkdir(directory);
    try {
      // ext4 recovers by its journal.
      await run("mount", ["-o", "loop", image, directory]);
      try {
        return await look(directory);
      } finally {
        await run("umount", [directory]);
      }
    } finally {
      await rm(directory, { recursive: true });
      await rm(image);
    }
  }

  async stop(): Promise<void> {
    await run("umount", ["--lazy", this.mountPoint]).catch(() => undefined);
    await run("losetup", ["-d", this.#device]).catch(() => undefined);
    const isGone = once(this.#daemon, "exit");
    this.#daemon.kill();
    await isGone;
    await run("umount", [join(this.#directory, "export")]).catch(() => undefined);
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #replay(moment: number, left: Left, image: string): Promise<void> {
    let end = moment;
    if (left === "flushed")
      for await (const { flags, logBytes } of this.#log(moment))
        if ((flags & FLAG.flush) !== 0n) end = logBytes;
    const [log, disk] = [await open(join(this.#directory, "log")), await open(image, "w")];
    try {
      await disk.truncate(this.#sizeBytes);
      for await (const { sector, sectors, logBytes, flags } of this.#log(end)) {
        const bytes = Buffer.alloc(sectors * SECTOR_BYTES);
        if ((flags & FLAG.discard) === 0n) await log.read(bytes, 0, bytes.length, logBytes - bytes.length);
        await disk.write(bytes, 0, bytes.length, sector * SECTOR_BYTES);
      }
    } finally {
      await log.close();
      await disk.close();
    }
  }

  /** The whole entries before that moment. `logBytes`: where each ends. */
  async *#log(before: number): AsyncGenerator<Written, void, undefined> {
    const log: FileHandle = await open(join(this.#directory, "log"));
    try {
      const end = Math.min(before, (await log.stat()).size);
      const head = Buffer.alloc(32);
      for (let at = SECTOR_BYTES; at + SECTOR_BYTES <= end;) {
        await log.read(head, 0, head.length, at);
        const [sector, sectors, flags] = [
          Number(head.readBigUInt64LE(0)),
          Number(head.readBigUInt64LE(8)),
          head.readBigUInt64LE(16),
        ];
        at += SECTOR_BYTES + ((flags & FLAG.discard) === 0n ? sectors * SECTOR_BYTES : 0);
        if (at > end) return;
        yield { sector, sectors, logBytes: at, flags };
      }
    } finally {
      await log.close();
    }
  }
}
