import { connections, frames } from "./fuzz-frames.ts";
import { nbd } from "./fuzz-nbd.ts";
import { images } from "./fuzz-images.ts";
import { metadata } from "./fuzz-metadata.ts";
import { grpc, scheduler } from "./fuzz-services.ts";
import type { CleanUp, FuzzTarget } from "./fuzz-target.ts";
import { configuration, journals, libvirtXml, specs, wholeSpec, type Built } from "./fuzz-texts.ts";

/** Every parser and every service; `built` receives the XML that they write. */
export async function allTargets(built: Built, cleanUp: CleanUp): Promise<readonly FuzzTarget[]> {
  const { target, api } = await grpc(cleanUp);
  return [
    frames,
    await connections(cleanUp),
    libvirtXml(built),
    specs(built),
    metadata(wholeSpec),
    nbd,
    images,
    configuration,
    journals,
    target,
    scheduler(api),
  ];
}
