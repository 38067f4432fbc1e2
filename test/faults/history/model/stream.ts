import { LibvirtError } from "../../../../agent/libvirt/index.ts";

/** A stream of the model: existing bytes, or bytes that are counted until `finish`. */
export class ModelStream implements AsyncIterable<Buffer> {
  readonly #bytes: Buffer;
  readonly #finish: () => Promise<void>;
  #finished = false;
  #end: () => void = () => undefined;
  readonly ended: Promise<void>;

  constructor(bytes: Buffer, finish: () => Promise<void> = () => Promise.resolve()) {
    this.#bytes = bytes;
    this.#finish = finish;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    if (this.#bytes.length > 0) yield await Promise.resolve(this.#bytes);
    this.#close();
  }

  write(): Promise<void> {
    if (!this.#finished) return Promise.resolve();
    return Promise.reject(new LibvirtError("conflict", "LIBVIRT_STREAM_FINISHED", "the stream is finished"));
  }

  writeHole(): Promise<void> {
    return this.write();
  }

  async finish(): Promise<void> {
    if (this.#finished) return;
    this.#close();
    await this.#finish();
  }

  abort(): Promise<void> {
    this.#close();
    return Promise.resolve();
  }

  #close(): void {
    this.#finished = true;
    this.#end();
  }
}
