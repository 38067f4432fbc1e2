import type { Inode, SimulatedDisk } from "./simulated-disk.ts";

/** The part of a FileHandle that the agent uses. */
export class SimulatedFile {
  readonly #disk: SimulatedDisk;
  readonly #inode: Inode;
  readonly #path: string;
  readonly #appends: boolean;
  #position = 0;

  constructor(disk: SimulatedDisk, inode: Inode, path: string, appends: boolean) {
    this.#disk = disk;
    this.#inode = inode;
    this.#path = path;
    this.#appends = appends;
  }

  async write(buffer: Buffer, offset = 0, length = buffer.length - offset, position: number | null = null) {
    const at = this.#appends ? this.#inode.bytes.length : (position ?? this.#position);
    const bytesWritten = await this.#disk.write(
      this.#inode,
      this.#path,
      buffer.subarray(offset, offset + length),
      at,
    );
    if (position === null) this.#position = at + bytesWritten;
    return { bytesWritten, buffer };
  }

  async read(buffer: Buffer, offset = 0, length = buffer.length - offset, position: number | null = null) {
    await this.#disk.pause();
    const at = position ?? this.#position;
    const part = this.#inode.bytes.subarray(at, at + length);
    part.copy(buffer, offset);
    if (position === null) this.#position = at + part.length;
    return { bytesRead: part.length, buffer };
  }

  async appendFile(bytes: Buffer | string): Promise<void> {
    await this.#disk.write(this.#inode, this.#path, Buffer.from(bytes as string), this.#inode.bytes.length);
  }

  async readFile(encoding?: BufferEncoding): Promise<string | Buffer> {
    await this.#disk.pause();
    return encoding === undefined ? Buffer.from(this.#inode.bytes) : this.#inode.bytes.toString(encoding);
  }

  async truncate(length = 0): Promise<void> {
    await this.#disk.pause();
    const { bytes } = this.#inode;
    const next = Buffer.alloc(length);
    bytes.copy(next, 0, 0, Math.min(length, bytes.length));
    this.#inode.bytes = next;
  }

  async stat(options: { bigint?: boolean } = {}): Promise<unknown> {
    await this.#disk.pause();
    return statusOf(this.#inode, options);
  }

  datasync(): Promise<void> {
    return this.#disk.sync(this.#inode, this.#path, "fdatasync");
  }

  sync(): Promise<void> {
    return this.#disk.sync(this.#inode, this.#path, "fsync");
  }

  async chmod(mode: number): Promise<void> {
    await this.#disk.pause();
    this.#inode.mode = mode;
  }

  async close(): Promise<void> {
    await this.#disk.pause();
  }
}

const uid = process.geteuid?.() ?? 0;

/** The part of fs.Stats that the agent uses. */
class Status {
  readonly dev = 1;
  readonly ino: number;
  readonly mode: number;
  readonly nlink = 1;
  readonly uid = uid;
  readonly gid = 0;
  readonly size: number;
  readonly mtimeMs = 0;
  readonly ctimeMs = 0;
  readonly #kind: Inode["kind"];

  constructor({ number, mode, bytes, kind }: Inode) {
    this.ino = number;
    this.mode = mode;
    this.size = bytes.length;
    this.#kind = kind;
  }

  isFile(): boolean {
    return this.#kind === "file";
  }

  isDirectory(): boolean {
    return this.#kind === "directory";
  }

  isSymbolicLink(): boolean {
    return this.#kind === "link";
  }
}

/** `bigint`: only the numbers. */
export function statusOf(inode: Inode, { bigint = false }: { bigint?: boolean } = {}): unknown {
  const status = new Status(inode);
  if (!bigint) return status;
  return Object.fromEntries(Object.entries(status).map(([name, value]) => [name, BigInt(value as number)]));
}
