import { dumpFormats } from "../../contract/spec-enums.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import type { Command } from "../session.ts";

interface Options extends MutationOptions {
  readonly format?: (typeof dumpFormats.words)[number];
  readonly allowEncrypted?: boolean;
  readonly dryRun?: boolean;
}

export const dumpMemory: Command = (
  session,
  [vm = ""],
  { format = "elf", allowEncrypted = false, dryRun: validateOnly = false, ...options }: Options,
) =>
  mutate(session, options, ({ vms }) => vms.DumpMemory, {
    vm,
    format: dumpFormats.toProto(format),
    allowEncrypted,
    validateOnly,
  });
