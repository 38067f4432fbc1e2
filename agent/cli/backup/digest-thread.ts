import { Worker } from "node:worker_threads";

/** A text: the command has a file in each kind of bundle and one among its sources, and a thread would have to find its own. */
const PROGRAM = `
const { parentPort } = require("node:worker_threads");
const hash = require("node:crypto").createHash("sha256");
parentPort.on("message", (bytes) => {
  if (bytes !== undefined) hash.update(bytes);
  parentPort.postMessage(bytes === undefined ? hash.digest("hex") : "");
});
`;

interface Waiting {
  readonly resolve: (answer: string) => void;
  readonly reject: (failure: Error) => void;
}

/** Computes the SHA-256 of bytes in a thread of its own, while its caller reads and writes. `close` ends the thread. */
export class DigestThread {
  readonly #worker = new Worker(PROGRAM, { eval: true, execArgv: [] });
  readonly #waiting: Waiting[] = [];
  #failure: Error | undefined;

  constructor() {
    this.#worker.on("message", (answer: string) => this.#waiting.shift()?.resolve(answer));
    this.#worker.on("error", (failure: Error) => this.#fail(failure));
    this.#worker.on("exit", () => this.#fail(new Error("the thread that computes the digest has ended")));
  }

  /** Reads bytes in shared memory, which must stay until it resolves. */
  async add(bytes: Uint8Array): Promise<void> {
    await this.#ask(bytes);
  }

  /** In hexadecimal digits. */
  async end(): Promise<string> {
    return await this.#ask(undefined);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #ask(message: Uint8Array | undefined): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(message);
    });
  }

  #fail(failure: Error): void {
    this.#failure ??= failure;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}
