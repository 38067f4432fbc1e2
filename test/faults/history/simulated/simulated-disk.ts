import { basename, dirname } from "node:path";
import { SimulatedFile, statusOf } from "./simulated-file.ts";
import type { Chance } from "./chance.ts";
import type { VirtualTime } from "./virtual-time.ts";

type Kind = "file" | "directory" | "link";

/** A file, a directory or a link. `durable`: its state after a power cut. */
export interface Inode {
  readonly number: number;
  readonly kind: Kind;
  mode: number;
  bytes: Buffer;
  durable: Buffer;
  /** Only for a directory. */
  entries: Map<string, Inode>;
  durableEntries: Map<string, Inode>;
}

/** A disk's fault for the next calls of a kind. */
export interface DiskTrouble {
  /** Writes that extend a file fail with ENOSPC. */
  isFull: boolean;
  /** New files, directories and links fail with ENOSPC. */
  hasNoInodes: boolean;
  /** The number of the next syncs that fail; their bytes stay readable or are dropped. */
  failingSyncs: number;
  /** The number of the next writes that fail with EIO. */
  failingWrites: number;
}

const root = "/simulated";

/**
 * The in-memory files below /simulated and /dev/null, with the interface of node:fs/promises. A write is visible at once; it
 * survives a power cut once it is synced, and its name once the directory is synced. Each call takes time; an agent that dies
 * meanwhile never sees its result.
 */
export class SimulatedDisk {
  readonly trouble: DiskTrouble = { isFull: false, hasNoInodes: false, failingSyncs: 0, failingWrites: 0 };
  /** Called before each sync. */
  onSync: (path: string) => void = () => undefined;
  /** Identifies this boot, and the run of the process in it. */
  bootId = "boot-1";
  processStart = 1;
  readonly #time: VirtualTime;
  readonly #chance: Chance;
  #numbers = 0;
  #root = this.#make("directory", 0o755);
  readonly #null = this.#make("file", 0o666);

  constructor(time: VirtualTime, chance: Chance) {
    this.#time = time;
    this.#chance = chance;
  }

  /** A copy of the whole disk, for `restore`. */
  snapshot(): () => void {
    const copies = new Map<Inode, Inode>();
    const copy = (inode: Inode): Inode => {
      const there = copies.get(inode);
      if (there !== undefined) return there;
      const bytes = Buffer.from(inode.bytes);
      const made: Inode = {
        ...inode,
        number: (this.#numbers += 1),
        bytes,
        durable: bytes,
        entries: new Map(),
        durableEntries: new Map(),
      };
      copies.set(inode, made);
      for (const [name, child] of inode.entries) made.entries.set(name, copy(child));
      made.durableEntries = new Map(made.entries);
      return made;
    };
    const kept = copy(this.#root);
    return () => {
      copies.clear();
      this.#root = copy(kept);
    };
  }

  /** Removes a file; the returned function restores it. Undefined: there is no such file. */
  take(path: string): (() => void) | undefined {
    const { entries, durableEntries } = this.#directory(path, "rename");
    const name = basename(path);
    const file = entries.get(name);
    if (file === undefined) return undefined;
    for (const names of [entries, durableEntries]) names.delete(name);
    return () => {
      for (const names of [entries, durableEntries]) names.set(name, file);
    };
  }

  /** All files in a directory, for the simulation: immediate, also while the agent is down. */
  textIn(directory: string): string {
    const files = [...(this.#find(directory)?.entries.values() ?? [])];
    return files.map(({ bytes }) => bytes.toString("latin1")).join("");
  }

  /** Removes everything. */
  clear(): void {
    this.#root = this.#make("directory", 0o755);
  }

  /** The root directory's entries are durable. */
  settle(): void {
    this.#root.durableEntries = new Map(this.#root.entries);
  }

  /** A power cut: unsynced data survives at random. */
  losePower(): void {
    const seen = new Set<Inode>();
    const settle = (inode: Inode): void => {
      if (seen.has(inode)) return;
      seen.add(inode);
      if (inode.kind === "directory") {
        if (this.#chance.is(0.5)) inode.entries = new Map(inode.durableEntries);
        inode.durableEntries = new Map(inode.entries);
        for (const child of inode.entries.values()) settle(child);
        return;
      }
      const { bytes, durable } = inode;
      if (!bytes.equals(durable)) {
        const isAppended = bytes.length > durable.length && bytes.subarray(0, durable.length).equals(durable);
        const torn = isAppended ? this.#chance.whole(durable.length, bytes.length) : 0;
        inode.bytes = isAppended
          ? Buffer.from(bytes.subarray(0, torn))
          : Buffer.from(this.#chance.is(0.5) ? bytes : durable);
      }
      inode.durable = inode.bytes;
    };
    settle(this.#root);
  }

  readonly open = async (
    path: string,
    flags: string | number = "r",
    mode = 0o666,
  ): Promise<SimulatedFile> => {
    await this.#pause();
    const isWriting = typeof flags === "number" ? (flags & 3) !== 0 : flags !== "r";
    const isMaking = typeof flags === "number" ? (flags & 0o100) !== 0 : /^[wa]/.test(flags);
    const isNew = typeof flags === "number" ? (flags & 0o200) !== 0 : flags.includes("x");
    let inode = this.#find(path);
    if (inode !== undefined && isNew) throw failure("EEXIST", "open", path);
    if (inode === undefined) {
      if (!isMaking) throw failure("ENOENT", "open", path);
      inode = this.#add("file", path, "open", mode);
    }
    if (inode.kind === "directory" && isWriting) throw failure("EISDIR", "open", path);
    if (typeof flags === "string" && flags.startsWith("w")) inode.bytes = Buffer.alloc(0);
    return new SimulatedFile(this, inode, path, typeof flags === "string" && flags.startsWith("a"));
  };

  readonly readFile = async (
    path: string,
    options?: string | { encoding?: string },
  ): Promise<string | Buffer> => {
    const bytes = path.startsWith("/proc/") ? this.#proc(path) : (await this.#read(path)).bytes;
    await this.#pause();
    const encoding = typeof options === "string" ? options : options?.encoding;
    return encoding === undefined ? Buffer.from(bytes) : bytes.toString(encoding as BufferEncoding);
  };

  async #read(path: string): Promise<Inode> {
    await this.#pause();
    const inode = this.#find(path);
    if (inode === undefined) throw failure("ENOENT", "open", path);
    if (inode.kind === "directory") throw failure("EISDIR", "read", path);
    return inode;
  }

  readonly writeFile = async (path: string, text: string | Buffer): Promise<void> => {
    const file = await this.open(path, "w");
    await file.appendFile(Buffer.from(text as string));
    await file.close();
  };

  readonly rename = async (from: string, to: string): Promise<void> => {
    await this.#pause();
    const inode = this.#directory(from, "rename").entries.get(basename(from));
    if (inode === undefined) throw failure("ENOENT", "rename", from);
    this.#directory(from, "rename").entries.delete(basename(from));
    this.#directory(to, "rename").entries.set(basename(to), inode);
  };

  readonly link = async (from: string, to: string): Promise<void> => {
    await this.#pause();
    const inode = this.#find(from);
    if (inode === undefined) throw failure("ENOENT", "link", from);
    const { entries } = this.#directory(to, "link");
    if (entries.has(basename(to))) throw failure("EEXIST", "link", to);
    entries.set(basename(to), inode);
  };

  readonly rm = async (
    path: string,
    options: { force?: boolean; recursive?: boolean } = {},
  ): Promise<void> => {
    await this.#pause();
    const { entries } = this.#directory(path, "rm");
    if (!entries.delete(basename(path)) && options.force !== true) throw failure("ENOENT", "rm", path);
  };

  readonly unlink = (path: string): Promise<void> => this.rm(path);

  readonly symlink = async (target: string, path: string): Promise<void> => {
    await this.#pause();
    if (this.#directory(path, "symlink").entries.has(basename(path)))
      throw failure("EEXIST", "symlink", path);
    const inode = this.#add("link", path, "symlink", 0o777);
    // A short link lies in its inode and is as durable as its name.
    inode.bytes = inode.durable = Buffer.from(target);
  };

  readonly readlink = async (path: string): Promise<string> => {
    await this.#pause();
    if (path === "/proc/self/ns/mnt") return "mnt:[1]";
    if (path === "/proc/self/ns/pid") return "pid:[1]";
    const inode = path.startsWith("/proc/") ? undefined : this.#find(path);
    if (inode === undefined) throw failure("ENOENT", "readlink", path);
    if (inode.kind !== "link") throw failure("EINVAL", "readlink", path);
    return inode.bytes.toString();
  };

  readonly realpath = async (path: string): Promise<string> => {
    await this.access(path);
    return path;
  };

  readonly readdir = async (path: string): Promise<string[]> => {
    await this.#pause();
    const inode = this.#find(path);
    if (inode === undefined) throw failure("ENOENT", "scandir", path);
    return [...inode.entries.keys()].sort();
  };

  readonly mkdir = async (
    path: string,
    options: number | { mode?: number; recursive?: boolean } = 0o777,
  ): Promise<void> => {
    await this.#pause();
    if (this.#find(path) !== undefined) {
      if (typeof options === "object" && options.recursive === true) return;
      throw failure("EEXIST", "mkdir", path);
    }
    const mode = typeof options === "number" ? options : (options.mode ?? 0o777);
    this.#add("directory", path, "mkdir", mode);
  };

  readonly stat = async (path: string, options: { bigint?: boolean } = {}): Promise<unknown> => {
    await this.#pause();
    const inode = this.#find(path);
    if (inode === undefined) throw failure("ENOENT", "stat", path);
    return statusOf(inode, options);
  };

  readonly lstat = this.stat;

  readonly access = async (path: string): Promise<void> => {
    await this.#pause();
    if (this.#find(path) === undefined) throw failure("ENOENT", "access", path);
  };

  readonly chmod = async (path: string, mode: number): Promise<void> => {
    const inode = await this.#read(path);
    inode.mode = mode;
  };

  readonly truncate = async (path: string, length = 0): Promise<void> => {
    const inode = await this.#read(path);
    inode.bytes = Buffer.from(inode.bytes.subarray(0, length));
  };

  /** For SimulatedFile. Writes become visible before or after their delay, at random. */
  async write(inode: Inode, path: string, bytes: Buffer, position: number): Promise<number> {
    const isEarly = this.#chance.is(0.5);
    if (!isEarly) await this.#pause();
    const { trouble } = this;
    if (trouble.failingWrites > 0) {
      trouble.failingWrites -= 1;
      throw failure("EIO", "write", path);
    }
    const end = position + bytes.length;
    if (trouble.isFull && end > inode.bytes.length) throw failure("ENOSPC", "write", path);
    const { length } = inode.bytes;
    const next = Buffer.allocUnsafe(Math.max(length, end));
    inode.bytes.copy(next);
    if (position > length) next.fill(0, length, position);
    bytes.copy(next, position);
    inode.bytes = next;
    if (isEarly) await this.#pause();
    return bytes.length;
  }

  async sync(inode: Inode, path: string, call: "fsync" | "fdatasync"): Promise<void> {
    const { owner } = this.#time;
    this.onSync(path);
    // An agent that is killed here does nothing more.
    if (this.#time.owner !== owner) await new Promise<never>(() => undefined);
    await this.#pause();
    if (this.trouble.failingSyncs > 0) {
      this.trouble.failingSyncs -= 1;
      // The kernel may have dropped the pages, or still hold them.
      if (inode.kind === "file" && this.#chance.is(0.3)) inode.bytes = Buffer.from(inode.durable);
      throw failure("EIO", call, path);
    }
    if (inode.kind === "directory") inode.durableEntries = new Map(inode.entries);
    else inode.durable = inode.bytes;
    await this.#pause();
  }

  pause(): Promise<void> {
    return this.#pause();
  }

  async #pause(): Promise<void> {
    const ms = this.#chance.is(0.9) ? this.#chance.number() * 0.5 : this.#chance.number() * 20;
    await new Promise<void>((resolve) => {
      this.#time.set(ms, resolve);
    });
  }

  #add(kind: Kind, path: string, call: string, mode: number): Inode {
    if (this.trouble.hasNoInodes) throw failure("ENOSPC", call, path);
    const inode = this.#make(kind, mode);
    this.#directory(path, call).entries.set(basename(path), inode);
    return inode;
  }

  #make(kind: Kind, mode: number): Inode {
    this.#numbers += 1;
    const format = { file: 0o100000, directory: 0o040000, link: 0o120000 }[kind];
    const bytes = Buffer.alloc(0);
    const entries = new Map<string, Inode>();
    return {
      number: this.#numbers,
      kind,
      mode: format | mode,
      bytes,
      durable: bytes,
      entries,
      durableEntries: new Map(),
    };
  }

  #find(path: string): Inode | undefined {
    if (path === "/dev/null") return this.#null;
    if (path !== root && !path.startsWith(`${root}/`)) return undefined;
    let inode: Inode | undefined = this.#root;
    for (const name of namesIn(path)) inode = inode?.entries.get(name);
    return inode;
  }

  #directory(path: string, call: string): Inode {
    const directory = this.#find(dirname(path));
    if (directory === undefined) throw failure("ENOENT", call, path);
    return directory;
  }

  #proc(path: string): Buffer {
    if (path === "/proc/sys/kernel/random/boot_id") return Buffer.from(`${this.bootId}\n`);
    if (path === `/proc/${process.pid}/stat` || path === "/proc/self/stat")
      return Buffer.from(`${process.pid} (node) S ${"0 ".repeat(18)}${this.processStart}${" 0".repeat(30)}`);
    throw failure("ENOENT", "open", path);
  }
}

const knownNames = new Map<string, readonly string[]>();
const MOST_NAMES = 1000;

/** The names below the root; kept, since few paths are looked up very often. */
function namesIn(path: string): readonly string[] {
  const names =
    knownNames.get(path) ??
    path
      .slice(root.length)
      .split("/")
      .filter((name) => name !== "");
  if (knownNames.size >= MOST_NAMES) knownNames.clear();
  knownNames.set(path, names);
  return names;
}

function failure(code: string, syscall: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${syscall} '${path}'`), { code, syscall, path, errno: -1 });
}
