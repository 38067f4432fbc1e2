import { nicLinks } from "../../contract/spec-enums.ts";
import { usageError } from "../errors.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import type { Command } from "../session.ts";
import { parseNic } from "../vm-spec.ts";

type Options = MutationOptions & { readonly dryRun?: boolean };

type AttachOptions = Options & {
  readonly name?: string;
  readonly mac?: string;
  readonly allowedAddress?: readonly string[];
  readonly allowSpoofing?: boolean;
  readonly linkDown?: boolean;
};

export const attachNic: Command = (session, [vm = "", source = ""], options: AttachOptions) => {
  const { name = "", mac = "", allowedAddress = [], dryRun: validateOnly = false } = options;
  const { allowSpoofing = false, linkDown = false } = options;
  const flags = { mac, allowedAddresses: [...allowedAddress], allowSpoofing, linkDown };
  const nic = { ...parseNic(source, name), ...flags };
  return mutate(session, options, ({ vms }) => vms.AttachNic, { vm, nic, validateOnly });
};

export const detachNic: Command = (session, [vm = "", nic = ""], options: Options) => {
  const { dryRun: validateOnly = false } = options;
  return mutate(session, options, ({ vms }) => vms.DetachNic, { vm, nic, validateOnly });
};

type UpdateOptions = Options & { readonly link?: (typeof nicLinks.words)[number] };

export const updateNic: Command = (session, [vm = "", nic = ""], options: UpdateOptions) => {
  const { link, dryRun: validateOnly = false } = options;
  if (link === undefined) throw usageError("name what to change: --link");
  const linkState = nicLinks.toProto(link);
  return mutate(session, options, ({ vms }) => vms.UpdateNic, { vm, nic, linkState, validateOnly });
};
