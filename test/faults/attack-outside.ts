import { chmod, lstat, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";

/** Files of the machine that an attack would target. */
const ofTheMachine = [
  "/etc/passwd",
  "/etc/shadow",
  "/etc/group",
  "/etc/sudoers",
  "/etc/ld.so.preload",
  "/etc/crontab",
];

/** Private files beside a pool: a secret, and a socket that must get no connection. */
export class Outside {
  readonly directory: string;
  /** A file that only root may read. */
  readonly secret: string;
  readonly socket: string;
  calls = 0;
  readonly #server: Server;
  #before = "";

  static async make(directory: string): Promise<Outside> {
    await mkdir(directory, { mode: 0o755 });
    const outside = new Outside(directory);
    await writeFile(outside.secret, "socle-attack: the secret\n".repeat(4096), { mode: 0o600 });
    await new Promise<void>((resolve) => outside.#server.listen(outside.socket, resolve));
    await chmod(outside.socket, 0o777);
    outside.#before = await outside.#look();
    return outside;
  }

  private constructor(directory: string) {
    this.directory = directory;
    this.secret = join(directory, "secret");
    this.socket = join(directory, "socket");
    this.#server = createServer((socket) => {
      this.calls += 1;
      socket.destroy();
    });
    this.#server.unref();
  }

  /** The file that was opened since the last call; undefined: none. */
  async touched(): Promise<string | undefined> {
    const now = await this.#look();
    if (now === this.#before) return undefined;
    const was = this.#before.split("\n");
    this.#before = now;
    return `touched outside: ${now
      .split("\n")
      .filter((line) => !was.includes(line))
      .join("; ")}`;
  }

  /** The files of this list that a process has open, by device and inode. */
  async openIn(pid: number): Promise<boolean> {
    const { dev, ino } = await lstat(this.secret);
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const text = await readFile(`/proc/${pid}/fdinfo/${fd}`, "utf8").catch(() => "");
      if (/^ino:\s+(\d+)$/m.exec(text)?.[1] === String(ino) && dev > 0) return true;
    }
    return false;
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #look(): Promise<string> {
    const own = (await readdir(this.directory, { recursive: true }))
      .sort()
      .map((name) => join(this.directory, name));
    const lines = [this.directory, ...own, ...ofTheMachine].map(async (path) => {
      try {
        const { ino, mode, uid, gid, size, mtimeMs, ctimeMs } = await lstat(path);
        return [path, ino, mode.toString(8), uid, gid, size, mtimeMs, ctimeMs].join(" ");
      } catch {
        return `${path} is not there`;
      }
    });
    return [...(await Promise.all(lines)), `${this.calls} calls`].join("\n");
  }
}
