import { text } from "node:stream/consumers";
import { toCollect, type UsedPool } from "../../kernel/collection.ts";
import { specEnums } from "../../contract/spec-enums.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Image__Output } from "../../gen/socle/v1/Image.ts";
import type { Agent } from "../client.ts";
import { confirm } from "../confirm.ts";
import { usageError } from "../errors.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import { enumWord, formatAge, formatBytes, printable, toMs } from "../format.ts";
import { allPages } from "../pages.ts";
import type { Command, Session } from "../session.ts";
import { volumeOf } from "./volume-change.ts";
import { renderFields, renderTable, type Column } from "../table.ts";

type Options = MutationOptions & {
  readonly tenant?: string;
  readonly quiet?: boolean;
  readonly sha256?: string;
  readonly name?: string;
  readonly format?: (typeof specEnums.sourceFormat.words)[number];
  readonly pool?: string;
  /** POOL/VOLUME. */
  readonly volume?: string;
};

type DeleteOptions = Options & { readonly yes?: boolean };

export const listImages: Command = async (session, _args, { tenant = "", quiet = false }: Options) => {
  const { images, unreadPools } = await allImages(await session.agent(), tenant);
  if (session.json) session.printJson({ images, unreadPools });
  else if (quiet) session.print(images.map(({ name }) => `${printable(name)}\n`).join(""));
  else if (images.length === 0) session.print("no images\n");
  else session.print(renderTable(columns(session.nowMs()), images, session.paint));
  if (unreadPools.length > 0 && !session.json)
    session.io.stderr.write(
      `not read, so that images may be missing: storage pools ${printable(unreadPools.join(", "))}\n`,
    );
};

async function allImages(
  agent: Agent,
  tenant: string,
): Promise<{ images: Image__Output[]; unreadPools: string[] }> {
  const pages = await allPages((pageToken) =>
    agent.ask(agent.contract.images.ListImages, { pageSize: 250, pageToken, tenant }),
  );
  return { images: pages.flatMap(({ images }) => images), unreadPools: pages.at(-1)?.unreadPools ?? [] };
}

const columns = (nowMs: number): Column<Image__Output>[] => [
  { title: "IMAGE", cell: ({ name }) => name },
  { title: "TENANT", cell: ({ tenant }) => tenant || "-" },
  { title: "FORMAT", cell: ({ format }) => enumWord(format, "DISK_FORMAT") },
  { title: "SIZE", cell: ({ sizeBytes }) => formatBytes(sizeBytes), align: "right" },
  { title: "DISK", cell: ({ capacityBytes }) => formatBytes(capacityBytes), align: "right" },
  { title: "POOL", cell: ({ pool }) => pool },
  { title: "VMS", cell: ({ users }) => String(users), align: "right" },
  { title: "AGE", cell: ({ createdAt }) => formatAge(createdAt, nowMs), align: "right" },
  { title: "ID", cell: ({ imageId }) => imageId, spare: true },
];

export const showImage: Command = async (session, [image = ""], { tenant = "" }: Options) => {
  const agent = await session.agent();
  const found = await agent.ask(agent.contract.images.GetImage, { image, tenant });
  if (session.json) {
    session.printJson(found);
    return;
  }
  const nowMs = session.nowMs();
  const fields: [string, string][] = [
    ["image", printable(found.name)],
    ["id", found.imageId],
    ["tenant", printable(found.tenant) || "- (public)"],
    ["sha256", found.sha256],
    ["format", enumWord(found.format, "DISK_FORMAT")],
    ["size", formatBytes(found.sizeBytes)],
    ["disk", formatBytes(found.capacityBytes)],
    ["volume", printable(`${found.pool}/${found.volume}`)],
    ["imported", `${formatAge(found.createdAt, nowMs)} ago`],
    ["used", found.usedAt === null ? "-" : `${formatAge(found.usedAt, nowMs)} ago`],
    ["VMs", String(found.users)],
  ];
  session.print(renderFields(fields, session.paint));
};

export const importImage: Command = async (session, [source = ""], options: Options) => {
  const { sha256 = "", name = "", format, tenant = "", pool = "", volume } = options;
  if ((source === "") === (volume === undefined))
    throw usageError("name one source: a URL, a file, or --volume POOL/VOLUME");
  const same = { sha256, name, tenant, pool };
  if (volume !== undefined) {
    const from = {
      volume: volumeOf(volume),
      ...(format && { format: specEnums.sourceFormat.toProto(format) }),
    };
    return await mutate(session, options, ({ images }) => images.ImportImage, { ...same, ...from });
  }
  const request = { ...same, format: specEnums.sourceFormat.toProto(format ?? "qcow2") };
  if (source !== "-" && !source.includes("://")) {
    const { uploadImage } = await import("./image-upload.ts");
    await uploadImage(session, options, source, request);
    return undefined;
  }
  if (sha256 === "")
    throw usageError("a URL needs --sha256 HEX: the digest that the image's publisher states");
  // A command line is readable by every user of the host.
  const url = source === "-" ? (await text(session.io.stdin)).trim() : source;
  return await mutate(session, options, ({ images }) => images.ImportImage, { ...request, url });
};

/** Without a terminal there is no question: scripts delete images that no VM uses. */
export const deleteImage: Command = async (session, [image = ""], options: DeleteOptions) => {
  const { yes = false, tenant = "" } = options;
  if (!yes && !session.json && session.io.stdin.isTTY === true)
    await confirm(session, `Delete image ${printable(image)}? [y/N] `);
  return await mutate(session, options, ({ images }) => images.DeleteImage, { image, tenant });
};

interface PruneOptions {
  readonly tenant?: string;
  /** In milliseconds. */
  readonly olderThan?: number;
  /** Of a pool's capacity. */
  readonly above?: number;
  /** In milliseconds. */
  readonly unusedFor?: number;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

const UNUSED_MS = 168 * 3_600_000;

/** The agent refuses an image that a VM uses by now: it is kept. */
export const pruneImages: Command = async (session, _args, options: PruneOptions) => {
  const { olderThan, above, unusedFor, yes = false, dryRun = false } = options;
  if (olderThan === undefined && above === undefined)
    throw usageError("say which images: --older-than DURATION, or --above PERCENT");
  if (unusedFor !== undefined && above === undefined) throw usageError("--unused-for is for --above PERCENT");
  if (!yes && !dryRun) throw usageError("add --yes to delete the images, or --dry-run to see which");
  const agent = await session.agent();
  const old = await imagesToPrune(agent, session.nowMs(), options);
  if (dryRun) {
    showPlan(session, old);
    return;
  }
  for (const { image } of old) {
    const { imageId, name } = image;
    try {
      await mutate(session, {}, ({ images: service }) => service.DeleteImage, { image: imageId, tenant: "" });
    } catch (thrown) {
      if (!(thrown instanceof SocleError) || thrown.reason !== "IMAGE_IN_USE") throw thrown;
      session.note(`image ${printable(name)} is kept: a VM uses it by now`);
    }
  }
};

interface Found {
  readonly image: Image__Output;
  readonly why: "age" | "pressure";
}

async function imagesToPrune(
  agent: Agent,
  nowMs: number,
  { tenant, olderThan: olderThanMs, above: percent, unusedFor: unusedMs = UNUSED_MS }: PruneOptions,
): Promise<readonly Found[]> {
  const { images, unreadPools } = await allImages(agent, "");
  const above = percent === undefined ? undefined : { percent, unusedMs };
  const pools = above === undefined ? [] : await usedPools(agent, unreadPools);
  const seen = images
    .filter((image) => tenant === undefined || image.tenant === tenant)
    .map((proto) => ({
      proto,
      id: proto.imageId,
      pool: proto.pool,
      sizeBytes: proto.sizeBytes,
      users: proto.users,
      usedAtMs: Math.max(toMs(proto.usedAt) ?? 0, toMs(proto.createdAt) ?? 0),
    }));
  const found = toCollect(seen, pools, { olderThanMs, above }, nowMs);
  return found.map(({ item, why }) => ({ image: item.proto, why }));
}

/** The pools of this host alone whose use, and whose images, are known now. */
async function usedPools(agent: Agent, unreadPools: readonly string[]): Promise<UsedPool[]> {
  const pages = await allPages((pageToken) =>
    agent.ask(agent.contract.storage.ListPools, { pageSize: 250, pageToken }),
  );
  return pages
    .flatMap(({ pools }) => pools)
    .flatMap(({ name, state, observation, problem, sharedId, capacityBytes, allocatedBytes: usedBytes }) => {
      const isKnown =
        state === "POOL_STATE_ACTIVE" && observation?.presence === "PRESENCE_PRESENT" && problem === "";
      const isLocal = sharedId === "" || sharedId.startsWith("local:");
      if (!isKnown || !isLocal || unreadPools.includes(name)) return [];
      return capacityBytes === undefined || usedBytes === undefined
        ? []
        : [{ name, capacityBytes, usedBytes, ...(sharedId === "" ? {} : { storage: sharedId }) }];
    });
}

function showPlan(session: Session, found: readonly Found[]): void {
  const bytes = found.reduce((sum, { image }) => sum + image.sizeBytes, 0);
  if (session.json) {
    session.printJson({ images: found.map(({ image, why }) => ({ ...image, why })), bytes });
    return;
  }
  const images = found.map(({ image }) => image);
  const table =
    found.length === 0
      ? "no images\n"
      : renderTable([...columns(session.nowMs()), whyOf(found)], images, session.paint);
  session.print(`${table}would free ${formatBytes(bytes)}; nothing changed (--dry-run)\n`);
}

const whyOf = (found: readonly Found[]): Column<Image__Output> => {
  const reasons = new Map(found.map(({ image: { imageId }, why }) => [imageId, why]));
  return { title: "WHY", cell: ({ imageId }) => reasons.get(imageId) ?? "" };
};
