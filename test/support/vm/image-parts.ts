import { buildImages } from "../../../agent/composition/images.ts";
import { configSchema, type Config } from "../../../agent/config/schema.ts";
import { StorageLedger } from "../../../agent/host/capacity/storage-ledger.ts";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { ImageStore } from "../../../agent/vm/images/image-store.ts";
import type { VmTable } from "../../../agent/vm/observation/vm-table.ts";
import type { ImageParts } from "../../../agent/vm/operations/work.ts";
import type { Volumes } from "../../../agent/vm/storage/volumes.ts";

/** The parts for works on images, over the test's libvirt and a host without limits. */
export const imagePartsOf = (
  libvirt: Parameters<typeof buildImages>[1]["libvirt"],
  volumes: Volumes,
  table: VmTable,
  clock: Clock,
  config: Partial<Config["images"]> = {},
): ImageParts =>
  buildImages(
    { ...configSchema.parse({}).images, ...config },
    {
      libvirt,
      volumes,
      table,
      host: {
        ledger: {
          claimImage: () => undefined,
          storage: new StorageLedger(),
          deleted: () => undefined,
        },
        storageRead: () => Promise.resolve(),
      },
      hostId: () => "test",
      permit: { refusal: undefined },
      clock,
      log: silentLog,
    },
  );

/** A store over pools without images. */
export const storeOfNothing = (): ImageStore =>
  new ImageStore({
    volumes: {
      list: () => Promise.resolve({ found: [], unread: [] }),
      published: () => Promise.resolve(undefined),
      removeLeftover: () => Promise.resolve(),
    },
    hostId: () => "test",
    permit: { refusal: undefined },
    untilListed: () => Promise.resolve(),
    isUsed: () => Promise.resolve(false),
    room: { keep: () => undefined, removed: () => undefined },
    clock: systemClock,
    log: silentLog,
  });
