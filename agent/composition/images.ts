import { readFile } from "node:fs/promises";
import type { Config } from "../config/schema.ts";
import type { StoragePool } from "../host/host.ts";
import type { HostService } from "../host/host-service.ts";
import type { Clock } from "../kernel/clock.ts";
import { Semaphore } from "../kernel/concurrency/semaphore.ts";
import type { Logger } from "../kernel/log.ts";
import type { NewEvent } from "../state/events/event.ts";
import type { Permit } from "../state/operations/permit.ts";
import { Downloads } from "../vm/images/download.ts";
import { dataVolume, sourceVolume } from "../vm/images/image.ts";
import { ImageStore, type ImageRoom } from "../vm/images/image-store.ts";
import { ImageVolumes } from "../vm/images/image-volumes.ts";
import { TransferPace } from "../vm/images/transfer-pace.ts";
import type { LibvirtCalls } from "../vm/hypervisor/certainty.ts";
import type { VmTable } from "../vm/observation/vm-table.ts";
import { ImageCollector, type ReadPool } from "../vm/operations/image-collector.ts";
import type { Images } from "../vm/operations/images.ts";
import { AGENT } from "../vm/operations/own-starts.ts";
import type { ImageParts } from "../vm/operations/work.ts";
import { usersNow, usersOf, volumeKey } from "../vm/storage/volume-users.ts";
import type { Volumes } from "../vm/storage/volumes.ts";
import type { Basis } from "./basis.ts";
import type { State } from "./state.ts";

const HOUR_MS = 3_600_000;

interface Parts {
  readonly libvirt: LibvirtCalls;
  readonly volumes: Volumes;
  readonly table: VmTable;
  readonly host: {
    readonly ledger: Pick<HostService["ledger"], "claimImage" | "deleted" | "storage">;
    readonly storageRead: () => Promise<void>;
  };
  readonly hostId: () => string;
  readonly permit: Pick<Permit, "refusal">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The images of this host, as the operations use them. The store is a service. */
export function buildImages(config: Config["images"], parts: Parts): ImageParts {
  const { libvirt, volumes: allVolumes, table, clock, log } = parts;
  const volumes = new ImageVolumes(libvirt, allVolumes);
  const room = roomOf(parts.host);
  const store = new ImageStore({
    volumes,
    hostId: parts.hostId,
    permit: parts.permit,
    untilListed: (signal) => table.untilComplete(signal),
    // Its own images have no users among the VMs that are being created: those need a published image.
    async isUsed({ pool, volumes: names }) {
      const parts = names.map((volume) => ({ pool, volume }));
      const dependents = await allVolumes.dependents(parts);
      if (dependents.unsearched?.includes(pool) === true) return true;
      const where = [...parts.map(volumeKey), ...dependents.paths];
      const users = await usersNow({ table, volumes: allVolumes }, () => [], where);
      return usersOf("", parts, users, dependents).size > 0;
    },
    room,
    clock,
    log,
  });
  const { allowHttp, allowPrivateAddresses, allowedHosts, proxy, authorities, maxBytes } = config;
  const pace = new TransferPace(clock, config.leastBytesPerSecond);
  const downloads = new Downloads({
    rules: { allowHttp, allowPrivateAddresses, allowedHosts },
    proxy,
    authorities: async () => (authorities === null ? undefined : await readFile(authorities, "utf8")),
    clock,
  });
  const conversions = new Semaphore(1, Infinity, "image conversions");
  return { store, volumes, downloads, uploads: new Map(), room, conversions, maxBytes, pace };
}

const roomOf = (host: Parts["host"]): ImageRoom => {
  const { ledger } = host;
  return {
    async claim(image, volume) {
      await host.storageRead();
      ledger.claimImage(image.id, image.tenant, volume);
    },
    keep(image) {
      ledger.storage.keepImage(image.id, image.tenant, {
        ...dataVolume(image),
        capacityBytes: image.sizeBytes,
      });
      // Its import has removed it.
      ledger.deleted([sourceVolume(image)]);
    },
    removed(image) {
      ledger.storage.releaseImage(image.id);
      ledger.deleted([dataVolume(image), sourceVolume(image)]);
    },
  };
};

/** Deletes images from full pools. Undefined: the configuration asks for none. */
export function buildImageCollector(
  { config, clock, log }: Basis,
  { operations, audit }: State,
  parts: {
    readonly store: ImageStore;
    readonly images: Images;
    readonly table: VmTable;
    readonly host: Pick<HostService, "listings">;
    readonly hostId: () => string;
    readonly publish: (event: NewEvent) => void;
  },
): ImageCollector | undefined {
  const { collectAbovePercent: percent, collectUnusedHours, collectKeep: keep } = config.images;
  if (percent === null) return undefined;
  const { host, ...rest } = parts;
  return new ImageCollector({
    ...rest,
    operations,
    pools: () => host.listings.pools.items.flatMap(({ item, problem }) => readPool(item, problem)),
    rule: { percent, unusedMs: collectUnusedHours * HOUR_MS, keep },
    admit: async ({ image: { id, tenant, name, pool }, requestId }) => {
      const about = {
        caller: { name: AGENT, role: AGENT },
        method: "/socle.v1.ImageService/DeleteImage",
        requestId,
        ...(tenant === "" ? {} : { tenant }),
      };
      const details = { cause: "pressure", image: id, name, pool };
      const of = await audit.record({ act: "call_admitted", ...about, details, outcome: "allowed" });
      return (answer) =>
        audit.note({
          act: "call_ended",
          of,
          ...about,
          ...answer,
          outcome: "reason" in answer ? "refused" : "done",
        });
    },
    clock,
    log,
  });
}

/** A pool whose use is known, and that no other host has: its images may be in use there. */
function readPool(pool: StoragePool | undefined, problem: string | undefined): readonly ReadPool[] {
  if (pool === undefined || problem !== undefined) return [];
  const { name, active, presence, observedAtMs, capacityBytes, allocatedBytes: usedBytes, sharedId } = pool;
  const isLocal = sharedId?.startsWith("local:") === true;
  if (!active || presence !== "present" || !isLocal) return [];
  return capacityBytes === undefined || usedBytes === undefined
    ? []
    : [{ name, capacityBytes, usedBytes, observedAtMs }];
}
