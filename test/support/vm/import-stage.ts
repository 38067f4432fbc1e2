import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { Semaphore } from "../../../agent/kernel/concurrency/semaphore.ts";
import { Topic } from "../../../agent/kernel/concurrency/topic.ts";
import { SocleError, toSocleError } from "../../../agent/kernel/errors.ts";
import { newImageId, type Image } from "../../../agent/vm/images/image.ts";
import { TransferPace } from "../../../agent/vm/images/transfer-pace.ts";
import { VmTable } from "../../../agent/vm/observation/vm-table.ts";
import { importImage } from "../../../agent/vm/operations/import-image.ts";
import type { ImageParts, WorkRun } from "../../../agent/vm/operations/work.ts";
import { noOtherNames } from "../../../agent/vm/storage/storage-names.ts";
import type { VolumeFacts } from "../../../agent/vm/images/image-volumes.ts";
import type { VolumeRef } from "../../../agent/contract/spec.ts";
import { Volumes } from "../../../agent/vm/storage/volumes.ts";
import { storeOfNothing } from "./image-parts.ts";
import { steps } from "./steps.ts";
import { workContext } from "./work-context.ts";

/** Of the raw image that the server sends. */
export const bytes = Buffer.alloc(100_000, 7);
export const wanted = {
  id: newImageId("test"),
  name: "debian",
  tenant: "",
  sha256: createHash("sha256").update(bytes).digest("hex"),
  format: "raw" as const,
  pool: "images",
};
const whole: Image = { ...wanted, sizeBytes: bytes.length, capacityBytes: bytes.length, createdAtMs: 1 };
const silent = {
  call: () => new Promise<never>(() => undefined),
  openStream: () => new Promise<never>(() => undefined),
  events: new Topic<never>(),
};
/** libvirt does not answer. */
export const away = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "libvirt is away");

interface Stage {
  /** What the pool has: nothing, parts, or the published image. */
  readonly pool?: "nothing" | "parts" | "published" | "gone";
  readonly resumed?: boolean;
  readonly sent?: Buffer;
  /** In place of a raw image. */
  readonly vmdk?: Buffer;
  /** What the server reports. */
  readonly sizeBytes?: number;
  /** How long each transfer from a pool takes. */
  readonly readMs?: number;
  readonly conversions?: Semaphore;
  readonly maxBytes?: number;
  /** The step of the volumes that fails, and how. */
  readonly fails?: Partial<
    Record<"fill" | "lost" | "inspect" | "sync" | "publish" | "remove" | "removeSource", SocleError>
  >;
  readonly isEnding?: boolean;
  /** Its server sends a byte now and then. */
  readonly isSlow?: boolean;
  /** The pools have not been read since the agent's start. */
  readonly isUnread?: boolean;
  /** From a volume in place of a server, without a digest. `then`: what libvirt shows of it after the copy. */
  readonly from?: {
    readonly then?: Partial<VolumeFacts>;
    readonly overlays?: readonly VolumeRef[];
    /** How long its pool is busy after the copy. */
    readonly thenBusyForMs?: number;
    /** Its pool does not serve it: from its opening, its copy or its confirmation on. */
    readonly fails?: { readonly at: "open" | "copy" | "confirm"; readonly error: SocleError };
  };
}

/** One run of an import over volumes in memory: its end, and what it did, in order. */
export async function imported({
  pool = "nothing",
  resumed = false,
  sent = bytes,
  fails = {},
  isEnding,
  isSlow = false,
  isUnread = false,
  from,
  vmdk,
  sizeBytes = vmdk?.length ?? bytes.length,
  readMs = 0,
  conversions = new Semaphore(1),
  maxBytes = 2 ** 40,
}: Stage) {
  if (vmdk !== undefined) sent = vmdk;
  const did: string[] = [];
  const table = new VmTable();
  table.completed(1);
  const context = workContext(silent, systemClock, table);
  const store = storeOfNothing();
  if (!isUnread) await store.refresh();
  if (isEnding === true) {
    const stop = new AbortController();
    const ran = store.run(stop.signal, () => undefined);
    stop.abort();
    await ran;
  }
  const act = async (what: keyof NonNullable<Stage["fails"]>): Promise<void> => {
    did.push(what);
    const failure = fails[what];
    if (failure !== undefined) throw failure;
    await Promise.resolve();
  };
  const { volumes } = context.images;
  volumes.publishedAs = () => Promise.resolve(pool === "published" ? whole : undefined);
  volumes.requireRoom = () =>
    pool === "gone"
      ? Promise.reject(new SocleError("not_found", "POOL_NOT_FOUND", "no pool"))
      : Promise.resolve();
  volumes.remove = () => act("remove");
  const filled = new Map<string, Buffer>();
  volumes.fill = async (reference, size, chunks, ends) => {
    if (fails.lost !== undefined) ends?.lost?.(fails.lost);
    const all: Buffer[] = [];
    for await (const chunk of chunks) all.push(chunk);
    const content = Buffer.concat(all);
    if (vmdk !== undefined) assert.equal(content.length, size);
    filled.set(reference.volume, content);
    await act("fill");
  };
  volumes.removeSource = () => act("removeSource");
  volumes.inspect = async ({ volume }) => {
    await act("inspect");
    const made = filled.get(volume);
    if (vmdk !== undefined && made !== undefined) {
      assert.equal(made.toString("latin1", 0, 4), "QFI\u00fb");
      const [sizeBytes, capacityBytes] = [made.length, Number(made.readBigUInt64BE(24))];
      return { format: "qcow2", sizeBytes, capacityBytes, hasBacking: false, isFile: true, changedAt: "1" };
    }
    return {
      format: "raw",
      sizeBytes: bytes.length,
      capacityBytes: bytes.length,
      hasBacking: false,
      isFile: true,
      changedAt: "1",
    };
  };
  volumes.sync = async () => {
    await act("sync");
  };
  volumes.publish = async (image) => {
    await act("publish");
    published = image;
  };
  let published: Image | undefined;
  let [looks, nowMs] = [0, 0];
  const failAt = (at: "open" | "copy" | "confirm"): void => {
    if (from?.fails?.at === at) throw from.fails.error;
  };
  volumes.facts = async () => {
    await Promise.resolve();
    looks += 1;
    failAt(looks > 1 ? "confirm" : "open");
    const facts = { format: "raw", sizeBytes: bytes.length, capacityBytes: bytes.length, hasBacking: false };
    return { ...facts, isFile: true, changedAt: "1", ...(looks > 1 ? from?.then : {}) };
  };
  volumes.bytes = async function* ({ volume }, length, ends, offset) {
    ends.throwIfAborted();
    failAt("copy");
    nowMs += readMs;
    yield await Promise.resolve(filled.get(volume)?.subarray(offset, offset + length) ?? sent);
  };
  const all = new Volumes(silent, systemClock);
  all.isThere = () => Promise.resolve(true);
  all.dependents = (_references, wait = { forMs: 2000 }) => {
    if (wait.forMs > 2000) assert.equal(wait.signal?.aborted, false, "a long wait can be cancelled");
    const isBusy = looks > 0 && wait.forMs < (from?.thenBusyForMs ?? 0);
    const unsearched = isBusy ? ["images"] : [];
    return Promise.resolve({ paths: [], overlays: from?.overlays ?? [], backings: [], unsearched });
  };
  all.names.of = () => Promise.resolve(noOtherNames);
  all.resolve = (reference) =>
    Promise.resolve({
      path: `/${reference.volume}`,
      format: "raw",
      capacityBytes: bytes.length,
      beneath: [],
    });
  const downloads: ImageParts["downloads"] = {
    open: (_url, _isTenants, signal) => {
      signal.throwIfAborted();
      const source = {
        sizeBytes,
        bytes: (async function* () {
          while (isSlow) yield await nextTurn(Buffer.alloc(1)).finally(() => signal.throwIfAborted());
          yield await Promise.resolve(sent);
        })(),
        close: () => undefined,
      };
      return Promise.resolve(source);
    },
  };
  const signal = new AbortController().signal;
  const run = {
    vmId: "",
    caller: "test",
    operationId: "o",
    step: steps(),
    signal,
    resumed,
    createdAtMs: 1,
  } as unknown as WorkRun;
  const claimed: string[] = [];
  const room: ImageParts["room"] = {
    claim: async ({ id }, { volume, capacityBytes }) => {
      await Promise.resolve();
      claimed.push(`${volume.replace(id, "")} ${capacityBytes}`);
    },
    keep: () => undefined,
    removed: () => void claimed.splice(0),
  };
  // Its periods pass at once.
  const pace = isSlow ? new TransferPace({ sleep: () => nextTurn() }, 1000) : context.images.pace;
  const images = { ...context.images, pace, store, downloads, room, conversions, maxBytes };
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  const digest = (content: Buffer): string => createHash("sha256").update(content).digest("hex");
  const source = { pool: "images", volume: "golden.raw" };
  const intent =
    vmdk !== undefined
      ? {
          image: { ...wanted, format: "qcow2" as const, sha256: digest(vmdk) },
          from: "vmdk" as const,
          url: "https://images.example/x",
          byTenant: false,
        }
      : from === undefined
        ? { image: wanted, url: "https://images.example/x", byTenant: false }
        : { image: { ...wanted, sha256: "" }, volume: source, byTenant: false };
  const [reason, message] = await importImage
    .run({ ...context, clock, volumes: all, images }, intent, run)
    .then(
      () => ["done", ""] as const,
      (thrown: unknown) => {
        const { kind, reason: why, message: text } = toSocleError(thrown);
        return [`${kind} ${why}`, text] as const;
      },
    );
  return { reason, message, did, claimed, published, isKnown: store.find(wanted.id) !== undefined };
}
