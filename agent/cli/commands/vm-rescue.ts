import { usageError } from "../errors.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import { splitVolume } from "../spec-file.ts";
import type { Command } from "../session.ts";

interface Options extends MutationOptions {
  readonly image?: string;
  readonly volume?: string;
  readonly force?: boolean;
  /** In milliseconds. */
  readonly grace?: number;
  readonly dryRun?: boolean;
}

const sameOf = ({ force = false, grace, dryRun: validateOnly = false }: Options) => ({
  force,
  validateOnly,
  gracefulTimeout:
    grace === undefined
      ? null
      : { seconds: Math.floor(grace / 1000), nanos: Math.round((grace % 1000) * 1e6) },
});

export const rescueVm: Command = (session, [vm = ""], options: Options) => {
  const { image, volume } = options;
  if ((image === undefined) === (volume === undefined))
    throw usageError("name what to boot: --image IMAGE, or --volume POOL/VOLUME");
  const source = image === undefined ? { volume: splitVolume(volume ?? "") } : { image };
  return mutate(session, options, ({ vms }) => vms.RescueVm, { vm, ...source, ...sameOf(options) });
};

export const unrescueVm: Command = (session, [vm = ""], options: Options) =>
  mutate(session, options, ({ vms }) => vms.UnrescueVm, { vm, ...sameOf(options) });
