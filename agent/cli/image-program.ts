import { Option, type Command as Cli } from "commander";
import { specEnums } from "../contract/spec-enums.ts";
import { addMutationOptions, duration, whole } from "./options.ts";
import type { Bind } from "./session.ts";

export function addImages(program: Cli, bind: Bind): void {
  const images = program.command("image").description("Images: read-only volumes that new disks begin with.");
  const load = () => import("./commands/images.ts");
  const tenant = new Option("--tenant <tenant>", "Whose it is; default: public.");
  images
    .command("ls")
    .alias("list")
    .description("List the images of this host.")
    .option("--tenant <tenant>", "Only of this tenant, and public ones.")
    .option("-q, --quiet", "Names alone, one a line.")
    .action(bind(async () => (await load()).listImages));
  images
    .command("show")
    .description("Everything known about an image.")
    .argument("<image>", "Its name or id.")
    .addOption(tenant)
    .action(bind(async () => (await load()).showImage));
  addMutationOptions(
    images
      .command("import")
      .description("Download, send or copy an image, verify its digest, and publish it.")
      .argument(
        "[source]",
        "A URL (https, or http where the host allows it), - for a URL with credentials on stdin, or a file, which is sent from here.",
      )
      .option("--volume <pool/volume>", "In place of a source: a volume of the host that nothing uses.")
      .option("--sha256 <hex>", "The SHA-256 of the image, from its publisher; a URL needs it.")
      .requiredOption("--name <name>", "Its name here, e.g. debian-13.")
      .addOption(
        new Option(
          "--format <format>",
          "The format of the file; vmdk and vhdx are converted to qcow2. Default: qcow2, or that of the volume's name.",
        ).choices(specEnums.sourceFormat.words),
      )
      .option("--pool <pool>", "The storage pool; default: images.pool of the host's configuration.")
      .addOption(tenant),
  ).action(bind(async () => (await load()).importImage));
  addMutationOptions(
    images
      .command("rm")
      .alias("delete")
      .description("Delete an image that no VM uses.")
      .argument("<image>", "Its name or id.")
      .option("-y, --yes", "Do not ask; without a terminal nothing is asked.")
      .addOption(tenant),
  ).action(bind(async () => (await load()).deleteImage));
  images
    .command("prune")
    .description(
      "Delete the images that no VM uses: those that none was made over for a time, or as many as a full pool needs.",
    )
    .option(
      "--older-than <duration>",
      "Imported and last used so long ago, e.g. 720h; the agent knows uses since its start.",
      duration("--older-than"),
    )
    .option(
      "--above <percent>",
      "Of pools that are fuller, until they are not: the least recently used first.",
      whole("--above", 1),
    )
    .option(
      "--unused-for <duration>",
      "With --above: only those imported and last used so long ago. Default: 168h.",
      duration("--unused-for"),
    )
    .option("--tenant <tenant>", "Only of this tenant; default: all.")
    .option("-y, --yes", "Delete them; needed, since nothing is asked.")
    .option("--dry-run", "Show what would be deleted and change nothing.")
    .action(bind(async () => (await load()).pruneImages));
}
