import { mkdtemp, rm, stat, utimes, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Long ago: the kernel notes the next read of a file whose last one was before its last change. */
const NEVER_READ = new Date(0);

/** A file and a server of the host that forged headers name: who follows a header reads the one, or connects to the other. */
export class Bait {
  readonly path: string;
  /** For QEMU. */
  readonly url: string;
  readonly directory: string;
  readonly #server: Server;
  #connections = 0;

  private constructor(directory: string) {
    this.directory = directory;
    this.path = join(directory, "bait");
    const socket = join(directory, "socket");
    this.url = `nbd+unix:///?socket=${socket}`;
    this.#server = createServer((connection) => {
      this.#connections += 1;
      connection.destroy();
    }).listen(socket);
  }

  static async lay(): Promise<Bait> {
    const bait = new Bait(await mkdtemp(join(tmpdir(), "socle-bait-")));
    await writeFile(bait.path, "the host's own");
    await utimes(bait.path, NEVER_READ, new Date());
    return bait;
  }

  /** What took it since it was laid, or since the last call. */
  async taken(): Promise<string[]> {
    const isRead = (await stat(this.path)).atimeMs !== NEVER_READ.getTime();
    const taken = [
      ...(isRead ? ["the file was read"] : []),
      ...(this.#connections > 0 ? ["the server was called"] : []),
    ];
    await utimes(this.path, NEVER_READ, new Date());
    this.#connections = 0;
    return taken;
  }

  async remove(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.directory, { recursive: true, force: true });
  }
}
