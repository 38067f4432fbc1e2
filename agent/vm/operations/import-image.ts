import { createHash } from "node:crypto";
import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { resourceName } from "../../contract/spec-values.ts";
import { tenantOfCaller } from "../../trust/index.ts";
import type { Report } from "../../state/operations/run.ts";
import { requireForeignHead, requireForeignSize } from "../images/foreign-formats.ts";
import { mismatch, requireSafeHeader, tooLarge } from "../images/header-check.ts";
import { isAway } from "../images/image-volumes.ts";
import {
  dataVolume,
  foreignFormats,
  imageFields,
  SOURCE_OFFSET_BYTES,
  sourceVolume,
  type Image,
} from "../images/image.ts";
import type { ImageStore, PendingImage } from "../images/image-store.ts";
import type { Source } from "../images/download.ts";
import { uploadGone } from "../images/upload.ts";
import { HEADER_BYTES } from "../storage/qcow2-header.ts";
import { convert } from "./convert-image.ts";
import { defineOperation } from "./definition.ts";
import { volumeSchema } from "./erasure.ts";
import { openVolume, sourceDisk } from "./volume-source.ts";
import { interrupted, isUndecided, outcomeUnknown, type RunContext, type WorkRun } from "./work.ts";

const { id, name, tenant, sha256, format } = imageFields;
const schema = z.object({
  image: z.object({
    id,
    name,
    tenant,
    /** Empty: not known before the bytes are read. Only of a volume. */
    sha256: sha256.or(z.literal("")),
    format,
    pool: resourceName,
  }),
  /** The format of the source's bytes, which the import converts. Absent: that of the image. */
  from: z.enum(foreignFormats).exactOptional(),
  /** With its credentials, which nothing else stores or shows. The journal keeps it until the import has ended. */
  url: z.string().exactOptional(),
  /** In place of a URL: the upload that sends the bytes, known until the agent stops. */
  upload: z.string().exactOptional(),
  /** In place of a URL: a volume of this host. */
  volume: volumeSchema.exactOptional(),
  byTenant: z.boolean(),
});
export type ImportIntent = Readonly<z.output<typeof schema>>;

/** The step that fills the data volume. */
const transferOf = ({ volume }: Pick<ImportIntent, "volume">): string =>
  volume === undefined ? "download" : "copy";

/**
 * Copies an image from its source into a volume, verifies it, and publishes it by its manifest. A failed import removes
 * its volumes. An interrupted one begins again: libvirt does not report how much of an upload a file has durably.
 */
export const importImage = defineOperation({
  kind: "IMPORT_IMAGE",
  intent: schema,
  lane: ({ from }: ImportIntent) => (from === undefined ? "transfer" : "conversion"),
  mayLeaveHalf: true,
  checksInstance: "always",
  // Meanwhile no VM gets the volume, and no operation resizes or deletes it.
  adds: ({ volume }: ImportIntent) => (volume === undefined ? {} : { disks: [sourceDisk(volume)] }),
  async run(context, intent: ImportIntent, run) {
    const { image: wanted } = intent;
    const { store, room, volumes } = context.images;
    // Whether the tenant has its digest already is known once the pools were read.
    if (run.resumed && wanted.sha256 === "") requireImagesKnown(store);
    // An earlier run has published it, or another import of its digest.
    const published = store.find(wanted.id) ?? (run.resumed ? await earlier(context, wanted) : undefined);
    if (published !== undefined) {
      // An earlier run may have ended between the manifest and its sync.
      if (run.resumed) await volumes.sync(published.pool);
      store.publish(published);
      return resultOf(published);
    }
    let mayHaveVolumes = run.resumed;
    try {
      const image = await make(context, intent, run, () => (mayHaveVolumes = true));
      store.publish(image);
      return resultOf(image);
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (isUndecided(error, run)) throw error;
      if (store.ending.aborted && intent.upload === undefined) throw beginsAgain();
      if (mayHaveVolumes) {
        // Without libvirt the volumes stay for the next run.
        if (isAway(error)) throw outcomeUnknown(error);
        await run.step
          .undo(transferOf(intent), () => volumes.remove(wanted))
          .catch((left: unknown) => {
            throw outcomeUnknown(toSocleError(left));
          });
      }
      room.removed(wanted);
      throw error;
    }
  },
});

function requireImagesKnown(store: ImageStore): void {
  try {
    store.all();
  } catch (thrown) {
    throw outcomeUnknown(toSocleError(thrown));
  }
}

/** The image, if an earlier run published it. */
async function earlier({ images }: RunContext, wanted: PendingImage): Promise<Image | undefined> {
  try {
    return await images.volumes.publishedAs(wanted);
  } catch (thrown) {
    throw outcomeUnknown(toSocleError(thrown));
  }
}

const beginsAgain = (): SocleError =>
  new SocleError(
    "outcome_unknown",
    "IMPORT_INTERRUPTED",
    "the agent stopped during the import, which begins again at the agent's next start",
  );

const resultOf = ({ id, name }: Image): Record<string, string> => ({ image_id: id, name });

async function make(
  context: RunContext,
  intent: ImportIntent,
  run: WorkRun,
  begun: () => void,
): Promise<Image> {
  const { volumes, room } = context.images;
  const { image: wanted } = intent;
  const { step } = run;
  const loss = new AbortController();
  const signal = AbortSignal.any([run.signal, loss.signal, context.images.store.ending]);
  await step(
    "prepare",
    async () => {
      await volumes.requireRoom(wanted.pool, 0);
      // An earlier run may have made and claimed them.
      await volumes.remove(wanted);
      room.removed(wanted);
    },
    0.02,
  );
  const opening = intent.volume === undefined ? "connect" : "check volume";
  const source = await step(opening, () => sourceOf(context, intent, run.resumed, signal), 0.03);
  try {
    const transfer = { source, signal, begun, lost: (why: Error) => loss.abort(why) };
    return await publish(context, intent, run, transfer);
  } finally {
    source.close();
  }
}

async function sourceOf(
  context: RunContext,
  { image, url, upload = "", volume, byTenant }: ImportIntent,
  resumed: boolean,
  signal: AbortSignal,
): Promise<Source> {
  const { images } = context;
  if (volume !== undefined) return await openVolume(context, { volume, image, byTenant }, signal);
  if (url !== undefined) return await images.downloads.open(new URL(url), byTenant, signal);
  const sent = images.uploads.get(upload);
  if (sent === undefined) throw resumed ? interrupted("upload the image again") : uploadGone();
  return sent(signal);
}

interface Transfer {
  readonly source: Source;
  /** Ends the transfer: the operation is cancelled, or libvirt is lost. */
  readonly signal: AbortSignal;
  /** A volume may exist from now on. */
  readonly begun: () => void;
  readonly lost: (why: Error) => void;
}

/** Fills the data volume from the source, verifies it, and writes the manifest. */
async function publish(
  context: RunContext,
  intent: ImportIntent,
  { step, caller, createdAtMs }: WorkRun,
  { source, begun, ...ends }: Transfer,
): Promise<Image> {
  const { images, volumes: allVolumes } = context;
  const { image: wanted, from } = intent;
  const { volumes, room, maxBytes, store, conversions } = images;
  const { sizeBytes, confirm } = source;
  if (sizeBytes === 0) throw mismatch("the image is empty");
  if (sizeBytes > maxBytes) throw tooLarge(sizeBytes, maxBytes);
  if (from !== undefined) requireForeignSize(sizeBytes, from);
  const target = from === undefined ? dataVolume(wanted) : sourceVolume(wanted);
  const zeros = Buffer.alloc(from === undefined ? 0 : SOURCE_OFFSET_BYTES);
  const targetBytes = zeros.length + sizeBytes;
  await room.claim(wanted, { ...target, capacityBytes: targetBytes });
  await volumes.requireRoom(wanted.pool, targetBytes);
  const digest = createHash("sha256");
  const download = (report: Report): Promise<number | undefined> =>
    images.pace.keep(ends.lost, async (passed) => {
      const checked = new CheckedBytes(source, intent, (chunk, at) => {
        digest.update(chunk);
        passed(at);
        report({ doneBytes: at, totalBytes: sizeBytes });
      });
      await volumes.fill(target, targetBytes, behind(zeros, checked), ends);
      return checked.capacityBytes;
    });
  begun();
  const declaredBytes = await step(transferOf(intent), download, from === undefined ? 0.85 : 0.5);
  if (confirm !== undefined) await step("confirm", confirm);
  const sha256 = digest.digest("hex");
  if (wanted.sha256 === "") store.learn({ ...wanted, sha256 }, intent);
  else if (sha256 !== wanted.sha256) throw wrongDigest(wanted, sha256);
  let made = { sizeBytes, capacityBytes: declaredBytes ?? sizeBytes };
  if (from !== undefined) {
    const work = (report: Report) => convert(context, { wanted, from, sizeBytes, ends }, report);
    const order = { ahead: tenantOfCaller(caller) === undefined };
    made = await conversions.run(caller, () => step("convert", work, 0.4), ends.signal, order);
  }
  const image = { ...wanted, sha256, ...made, createdAtMs };
  await step("verify", async () => {
    requireAsDeclared(image, await volumes.inspect(dataVolume(image)));
    // As each VM that uses it will.
    await allVolumes.resolve(dataVolume(image));
  });
  if (from !== undefined) await step("remove source", () => volumes.removeSource(wanted));
  // The manifest that follows vouches for the bytes, also after a power loss.
  await step("sync", () => volumes.sync(wanted.pool));
  // From here on it is published whatever happens.
  step.commit();
  await step("publish", () => volumes.publish(image));
  return image;
}

async function* behind(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  if (first.length > 0) yield first;
  yield* rest;
}

/** The bytes of the source, passed on once the header is safe: none of an unsafe image reach the pool. */
class CheckedBytes implements AsyncIterable<Buffer> {
  readonly #source: Source;
  readonly #intent: Pick<ImportIntent, "image" | "from">;
  readonly #passed: (chunk: Buffer, at: number) => void;
  /** That a qcow2 header declares, once it has passed. */
  capacityBytes: number | undefined;

  constructor(
    source: Source,
    intent: Pick<ImportIntent, "image" | "from">,
    passed: (chunk: Buffer, at: number) => void,
  ) {
    this.#source = source;
    this.#intent = intent;
    this.#passed = passed;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    const { sizeBytes, bytes } = this.#source;
    let head: Buffer | undefined = Buffer.alloc(0);
    let at = 0;
    for await (const chunk of bytes) {
      at += chunk.length;
      this.#passed(chunk, at);
      if (head === undefined) {
        yield chunk;
        continue;
      }
      head = Buffer.concat([head, chunk]);
      if (head.length < Math.min(HEADER_BYTES, sizeBytes)) continue;
      const { image, from } = this.#intent;
      if (from === undefined) this.capacityBytes = requireSafeHeader(head, image.format);
      else requireForeignHead(head, from);
      yield head;
      head = undefined;
    }
  }
}

/** libvirt must read the file as the header was read here. */
function requireAsDeclared(
  { format, sizeBytes, capacityBytes }: Image,
  facts: { format: string | undefined; sizeBytes: number; capacityBytes: number; hasBacking: boolean },
): void {
  const asNamed = format === "qcow2" ? facts.format === "qcow2" : ["raw", "iso"].includes(facts.format ?? "");
  if (!asNamed || facts.hasBacking)
    throw mismatch(`libvirt reads the image as ${facts.format ?? "an unknown format"}, not as ${format}`);
  if (facts.sizeBytes !== sizeBytes || facts.capacityBytes !== capacityBytes)
    throw mismatch(
      `libvirt reads an image of ${facts.sizeBytes} bytes with a disk of ${facts.capacityBytes}, and the source had ` +
        `${sizeBytes} and ${capacityBytes}`,
    );
}

const wrongDigest = ({ name, sha256 }: PendingImage, found: string): SocleError =>
  new SocleError(
    "invalid",
    "IMAGE_DIGEST_MISMATCH",
    `the bytes of image ${name} have the SHA-256 ${found}, not ${sha256}: check the digest, and the source of the image`,
    { details: { metadata: { sha256: found } } },
  );
