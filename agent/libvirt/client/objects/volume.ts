import * as protocol from "../../protocol/index.ts";
import { parseVolume, type StorageVolume } from "../../xml/storage/volume.ts";
import { namer, type NameOf } from "../events.ts";
import type { LibvirtError } from "../../internal/errors.ts";
import type { CallSettings, StreamSettings } from "../options.ts";
import type { ActSettings } from "./caller.ts";
import { LibvirtObject } from "./object.ts";

const typeName = namer(protocol.StorageVolType);

export interface VolumeInfo {
  readonly type: NameOf<typeof protocol.StorageVolType>;
  readonly capacityBytes: number;
  readonly allocationBytes: number;
}

export interface TransferSettings extends StreamSettings {
  /** Where in the volume to begin; 0 by default. */
  readonly offsetBytes?: number | undefined;
  /** How much at most; by default up to the end of the source, or of the volume. */
  readonly lengthBytes?: number | undefined;
}

/** One volume of a pool. Each function throws as `Libvirt.call`. */
export class LibvirtVolume extends LibvirtObject<protocol.StorageVol> {
  /** The name of its pool. */
  get pool(): string {
    return this.ref.pool;
  }

  /** libvirt's own key, unique on the host; of a file, its path. */
  get key(): string {
    return this.ref.key;
  }

  async info(settings?: CallSettings): Promise<VolumeInfo> {
    const info = await this.caller.call(protocol.storageVolGetInfo, { vol: this.ref }, settings);
    return {
      type: typeName(info.type),
      capacityBytes: info.capacity,
      allocationBytes: info.allocation,
    };
  }

  async path(settings?: CallSettings): Promise<string> {
    return (await this.caller.call(protocol.storageVolGetPath, { vol: this.ref }, settings)).name;
  }

  async xml({ flags = 0, ...settings }: ActSettings = {}): Promise<string> {
    return (await this.caller.call(protocol.storageVolGetXmlDesc, { vol: this.ref, flags }, settings)).xml;
  }

  /** The description as data, with sizes in bytes. */
  async document(settings?: ActSettings): Promise<StorageVolume> {
    return parseVolume(await this.xml(settings));
  }

  /** `flags`: StorageVolResizeFlags; a volume does not shrink without one. */
  async resize(capacityBytes: number, { flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    const args = { vol: this.ref, capacity: capacityBytes, flags };
    await this.caller.call(protocol.storageVolResize, args, settings);
  }

  /** Overwrites the data with zeros, which may take hours: `timeoutMs` decides how long this waits for the end. */
  async wipe({ flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    const slow: ActSettings = { lane: "slow", ...settings };
    await this.caller.call(protocol.storageVolWipe, { vol: this.ref, flags }, slow);
  }

  /** Removes the volume and its data. `flags`: StorageVolDeleteFlags. */
  async delete({ flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    await this.caller.call(protocol.storageVolDelete, { vol: this.ref, flags }, settings);
  }

  /**
   * Writes the source into the volume: a file's stream, an array of buffers, ... It resolves once libvirt has all of it.
   * An error of the source, or the signal, ends the upload; what the volume holds then is undefined.
   */
  async upload(
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    { offsetBytes = 0, lengthBytes = 0, ...settings }: TransferSettings = {},
  ): Promise<void> {
    const args = { vol: this.ref, offset: offsetBytes, length: lengthBytes, flags: 0 };
    const stream = await this.caller.openStream(protocol.storageVolUpload, args, settings);
    const chunks =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    // A source that is silent must not hold up the end of a stream that failed.
    let interrupt: (why: LibvirtError) => void = () => undefined;
    let failure: LibvirtError | undefined;
    void stream.failed.then((why) => interrupt((failure = why)));
    const next = (): Promise<IteratorResult<Uint8Array, unknown>> =>
      new Promise((resolve, reject) => {
        interrupt = reject;
        if (failure === undefined) Promise.resolve(chunks.next()).then(resolve, reject);
        else reject(failure);
      });
    try {
      for (let chunk = await next(); chunk.done !== true; chunk = await next())
        await stream.write(chunk.value);
      await stream.finish();
    } catch (thrown) {
      // Not awaited: a generator returns only after the value that it waits for.
      void Promise.resolve(chunks.return?.()).catch(() => undefined);
      await stream.abort();
      throw thrown;
    }
  }

  /** The volume's data, in chunks of any size. It opens at the first read; leaving the loop ends it. */
  async *download({ offsetBytes = 0, lengthBytes = 0, ...settings }: TransferSettings = {}): AsyncGenerator<
    Buffer,
    void,
    undefined
  > {
    const args = { vol: this.ref, offset: offsetBytes, length: lengthBytes, flags: 0 };
    yield* await this.caller.openStream(protocol.storageVolDownload, args, settings);
  }
}
