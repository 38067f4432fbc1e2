import type { Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";
import { imageBytes, qcow2Image } from "../../kernel/qcow2/qcow2-image.ts";
import type { Report } from "../../state/operations/run.ts";
import { openForeign } from "../images/foreign-formats.ts";
import { tooLarge } from "../images/header-check.ts";
import {
  dataVolume,
  SOURCE_OFFSET_BYTES,
  sourceVolume,
  type ForeignFormat,
  type Image,
} from "../images/image.ts";
import type { PendingImage } from "../images/image-store.ts";
import { VolumeBytes } from "../images/volume-bytes.ts";
import type { RunContext } from "./work.ts";

/**
 * The time of a conversion, and the least that it reads and writes beyond it. The parts of a hostile file may be in any order,
 * and each jump costs milliseconds: without a bound it would hold a permit for days.
 */
const BASE_MS = 10 * 60_000;
const LEAST_BYTES_PER_MS = (8 * 1024 * 1024) / 1000;

interface Conversion {
  readonly wanted: PendingImage;
  readonly from: ForeignFormat;
  /** Of the source's volume. */
  readonly sizeBytes: number;
  readonly ends: { readonly signal: AbortSignal; readonly lost: (why: Error) => void };
}

/**
 * Fills the data volume with a qcow2 image of the disk in the source's volume, and returns the sizes of its file and disk.
 * Throws as `openForeign` and `ImageVolumes.fill`, `invalid` IMAGE_TOO_LARGE, `timeout` IMAGE_CONVERSION_SLOW.
 */
export async function convert(
  { images, clock }: Pick<RunContext, "images" | "clock">,
  { wanted, from, sizeBytes, ends }: Conversion,
  report: Report,
): Promise<Pick<Image, "sizeBytes" | "capacityBytes">> {
  const { volumes, room, maxBytes } = images;
  const time = new ConversionTime(clock);
  time.addFor(sizeBytes);
  const stored = new VolumeBytes(sizeBytes, (at, length) => {
    time.require();
    return volumes.bytes(sourceVolume(wanted), length, ends.signal, SOURCE_OFFSET_BYTES + at);
  });
  try {
    const disk = await openForeign(stored, from);
    const totalBytes = imageBytes(disk.map);
    if (totalBytes > maxBytes) throw tooLarge(totalBytes, maxBytes);
    time.addFor(totalBytes);
    // Until the source is removed, both volumes take their room.
    await room.claim(wanted, { ...dataVolume(wanted), capacityBytes: totalBytes });
    await volumes.requireRoom(wanted.pool, totalBytes);
    const content = async function* (): AsyncGenerator<Buffer, void, undefined> {
      let doneBytes = 0;
      for await (const chunk of qcow2Image(disk.map, (index) => disk.cluster(index))) {
        ends.signal.throwIfAborted();
        time.require();
        yield chunk;
        report({ doneBytes: (doneBytes += chunk.length), totalBytes });
      }
    };
    await volumes.fill(dataVolume(wanted), totalBytes, content(), ends);
    return { sizeBytes: totalBytes, capacityBytes: disk.map.capacityBytes };
  } finally {
    await stored.close();
  }
}

/** A step of the conversion that hangs has deadlines of its own: this one is checked between the steps. */
class ConversionTime {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #startedMs: number;
  #allowedMs = BASE_MS;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
  }

  addFor(bytes: number): void {
    this.#allowedMs += bytes / LEAST_BYTES_PER_MS;
  }

  require(): void {
    if (this.#clock.monotonicMs() - this.#startedMs <= this.#allowedMs) return;
    const message =
      `the conversion of the image takes more than ${Math.ceil(this.#allowedMs / 60_000)} minutes, the most for its size: ` +
      "its parts are scattered over the file, or its pool is too slow; convert it first (qemu-img convert -O qcow2)";
    throw new SocleError("timeout", "IMAGE_CONVERSION_SLOW", message);
  }
}
