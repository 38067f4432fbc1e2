import { text } from "node:stream/consumers";
import { specEnums } from "../../contract/spec-enums.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Image__Output } from "../../gen/socle/v1/Image.ts";
import type { Agent } from "../client.ts";
import { usageError } from "../errors.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import { enumWord, formatAge, formatBytes, printable, toMs } from "../format.ts";
import { allPages } from "../pages.ts";
import type { Command } from "../session.ts";
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

export const deleteImage: Command = (session, [image = ""], options: Options) =>
  mutate(session, options, ({ images }) => images.DeleteImage, { image, tenant: options.tenant ?? "" });

interface PruneOptions {
  readonly tenant?: string;
  /** In milliseconds. */
  readonly olderThan?: number;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

/** The agent refuses an image that a VM uses by now: it is kept. */
export const pruneImages: Command = async (session, _args, options: PruneOptions) => {
  const { tenant, olderThan = Infinity, yes = false, dryRun = false } = options;
  if (!yes && !dryRun) throw usageError("add --yes to delete the images, or --dry-run to see which");
  const agent = await session.agent();
  const { images } = await allImages(agent, "");
  const isOld = ({ users, usedAt, createdAt }: Image__Output): boolean =>
    users === 0 && session.nowMs() - Math.max(toMs(usedAt) ?? 0, toMs(createdAt) ?? 0) >= olderThan;
  const old = images.filter((image) => isOld(image) && (tenant === undefined || image.tenant === tenant));
  if (dryRun) {
    if (session.json) session.printJson({ images: old });
    else {
      const table =
        old.length === 0 ? "no images\n" : renderTable(columns(session.nowMs()), old, session.paint);
      session.print(`${table}nothing changed (--dry-run)\n`);
    }
    return;
  }
  for (const { imageId, name } of old) {
    try {
      await mutate(session, {}, ({ images: service }) => service.DeleteImage, { image: imageId, tenant: "" });
    } catch (thrown) {
      if (!(thrown instanceof SocleError) || thrown.reason !== "IMAGE_IN_USE") throw thrown;
      session.note(`image ${printable(name)} is kept: a VM uses it by now`);
    }
  }
};
