import { collector } from "../collector.ts";
import { counter, gauge } from "../family.ts";

const by = ["pool"] as const;

export const images = collector(
  "images",
  {
    count: gauge("socle_images", "Images for new disks in the storage pool.", by),
    bytes: gauge("socle_image_bytes", "Bytes of the images in the storage pool.", by),
    collected: counter(
      "socle_images_collected_total",
      "Images that the agent deleted since their pool was too full (images.collectAbovePercent).",
    ),
    collectedBytes: counter("socle_image_bytes_collected_total", "Bytes of those images."),
  },
  ({ images: read, imagesCollected }, emit) => {
    const { count: collected, bytes: collectedBytes } = imagesCollected();
    emit.collected(collected);
    emit.collectedBytes(collectedBytes);
    const pools = new Map<string, { count: number; bytes: number }>();
    for (const { pool, sizeBytes } of read() ?? []) {
      const { count, bytes } = pools.get(pool) ?? { count: 0, bytes: 0 };
      pools.set(pool, { count: count + 1, bytes: bytes + sizeBytes });
    }
    for (const [pool, { count, bytes }] of pools) {
      emit.count(count, pool);
      emit.bytes(bytes, pool);
    }
  },
);
