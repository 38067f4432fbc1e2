import { createHash } from "node:crypto";
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

interface Asked {
  /** Undefined: the digest is asked for. */
  readonly bytes: Uint8Array | undefined;
  readonly resolve: (answer: string | Promise<string>) => void;
}

/** Computes the SHA-256 of bytes in a thread of its own, while its caller reads and writes. `close` ends the thread. */
export class DigestThread {
  /** Undefined: it has ended, or has not started. */
  #worker = newWorker();
  #hasStarted = false;
  readonly #asked: Asked[] = [];
  readonly #hash = createHash("sha256");

  constructor() {
    this.#worker?.on("message", (answer: string) => {
      this.#hasStarted = true;
      this.#asked.shift()?.resolve(answer);
    });
    const onEnd = (): void => {
      this.#worker = undefined;
      for (const { bytes, resolve } of this.#asked.splice(0)) resolve(this.#answer(bytes));
    };
    this.#worker?.on("error", onEnd);
    this.#worker?.on("exit", onEnd);
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
    await this.#worker?.terminate();
  }

  async #ask(bytes: Uint8Array | undefined): Promise<string> {
    const worker = this.#worker;
    if (worker === undefined) return await this.#answer(bytes);
    return await new Promise((resolve) => {
      this.#asked.push({ bytes, resolve });
      worker.postMessage(bytes);
    });
  }

  /** In this thread, where no other has started: Node starts none in a working directory that is gone. */
  #answer(bytes: Uint8Array | undefined): Promise<string> {
    if (this.#hasStarted) return Promise.reject(new Error("the thread that computes the digest has ended"));
    if (bytes === undefined) return Promise.resolve(this.#hash.digest("hex"));
    this.#hash.update(bytes);
    return Promise.resolve("");
  }
}

/** Undefined: the host has no more threads for this user. */
function newWorker(): Worker | undefined {
  try {
    return new Worker(PROGRAM, { eval: true, execArgv: [] });
  } catch {
    return undefined;
  }
}
