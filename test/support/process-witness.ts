import { readdir, readFile } from "node:fs/promises";

const LOOK_MS = 200;

/** Records the command lines and environments of all processes repeatedly. */
export class ProcessWitness {
  /** By `cmdline LINE` and `environ LINE`. */
  readonly seen = new Map<string, string>();
  #isOver = false;
  #looking: Promise<void> = Promise.resolve();

  start(): void {
    this.#looking = this.#look();
  }

  has(command: RegExp): boolean {
    return [...this.seen.keys()].some((what) => command.test(what));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#looking;
  }

  async #look(): Promise<void> {
    while (!this.#isOver) {
      const pids = (await readdir("/proc")).filter(
        (name) => /^\d+$/.test(name) && name !== String(process.pid),
      );
      await Promise.all(pids.map((pid) => this.#take(pid)));
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  async #take(pid: string): Promise<void> {
    try {
      const [line, environment] = await Promise.all(
        ["cmdline", "environ"].map((file) => readFile(`/proc/${pid}/${file}`, "latin1")),
      );
      if (line === undefined || line === "" || environment === undefined) return;
      const words = line.replaceAll("\0", " ");
      this.seen.set(`cmdline ${words}`, line).set(`environ ${words}`, environment);
    } catch {
      // It is gone.
    }
  }
}
