import { specEnums } from "../../contract/spec-enums.ts";
import { confirm } from "../confirm.ts";
import { usageError } from "../errors.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import { printable } from "../format.ts";
import { size } from "../options.ts";
import type { Command } from "../session.ts";

type Options = MutationOptions & { readonly dryRun?: boolean };

type CreateOptions = Options & {
  readonly pool?: string;
  /** In bytes. */
  readonly size?: number;
  readonly format?: (typeof specEnums.diskFormat.words)[number];
  readonly tenant?: string;
};

export const createVolume: Command = (session, [name = ""], options: CreateOptions) => {
  const { pool = "", size: capacityBytes = 0, format = "qcow2", tenant = "", dryRun = false } = options;
  return mutate(session, options, ({ storage }) => storage.CreateVolume, {
    pool,
    name,
    capacityBytes,
    format: specEnums.diskFormat.toProto(format),
    tenant,
    validateOnly: dryRun,
  });
};

export const resizeVolume: Command = (session, [named = "", text = ""], options: Options) =>
  mutate(session, options, ({ storage }) => storage.ResizeVolume, {
    ...volumeOf(named),
    capacityBytes: size("SIZE")(text),
    validateOnly: options.dryRun ?? false,
  });

type DeleteOptions = Options & { readonly erase?: boolean; readonly yes?: boolean };

export const deleteVolume: Command = async (session, [named = ""], options: DeleteOptions) => {
  const { erase = false, yes = false, dryRun: validateOnly = false } = options;
  const volume = volumeOf(named);
  if (!yes && !validateOnly) {
    if (session.json || session.io.stdin.isTTY !== true)
      throw usageError(
        `volume ${named} was not deleted: there is no prompt; add --yes to delete it, or --dry-run to see what would be done`,
      );
    await confirm(session, `Delete volume ${printable(named)} and its data? [y/N] `);
  }
  const request = { ...volume, erase, validateOnly };
  return await mutate(session, options, ({ storage }) => storage.DeleteVolume, request);
};

/** POOL/VOLUME. */
export function volumeOf(text: string): { readonly pool: string; readonly volume: string } {
  const [pool = "", volume = "", ...more] = text.split("/");
  if (pool === "" || volume === "" || more.length > 0)
    throw usageError(`a volume is POOL/VOLUME, as socle volume ls has it, not '${text}'`);
  return { pool, volume };
}
