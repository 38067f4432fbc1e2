import { dumpFormats } from "../../contract/spec-enums.ts";
import { usageError } from "../errors.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import type { Command } from "../session.ts";

interface Options extends MutationOptions {
  /** The name of a new volume. */
  readonly volume?: string;
  readonly pool?: string;
  readonly format?: (typeof dumpFormats.words)[number];
  readonly allowEncrypted?: boolean;
  readonly dryRun?: boolean;
}

export const dumpMemory: Command = async (
  session,
  [vm = ""],
  { format = "elf", volume, pool, allowEncrypted = false, dryRun: validateOnly = false, ...options }: Options,
) => {
  if (volume === undefined && pool !== undefined)
    throw usageError("--pool is the pool of a new volume: give its name too (--volume)");
  return await mutate(session, options, ({ vms }) => vms.DumpMemory, {
    vm,
    format: dumpFormats.toProto(format),
    allowEncrypted,
    validateOnly,
    volume: volume === undefined ? null : { pool: pool ?? "default", name: volume },
  });
};
