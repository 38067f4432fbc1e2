import { mutate, type MutationOptions } from "../follow.ts";
import type { Command } from "../session.ts";

type Options = MutationOptions & { readonly dryRun?: boolean };

export const attachPciDevice: Command = (session, [vm = "", device = ""], options: Options) => {
  const { dryRun: validateOnly = false } = options;
  return mutate(session, options, ({ vms }) => vms.AttachPciDevice, { vm, device, validateOnly });
};

export const detachPciDevice: Command = (session, [vm = "", device = ""], options: Options) => {
  const { dryRun: validateOnly = false } = options;
  return mutate(session, options, ({ vms }) => vms.DetachPciDevice, { vm, device, validateOnly });
};
