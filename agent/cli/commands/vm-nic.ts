import { nicLinks } from "../../contract/spec-enums.ts";
import { withoutUndefined } from "../../kernel/defined.ts";
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

type UpdateOptions = Options & {
  readonly link?: (typeof nicLinks.words)[number];
  /** False: --no-limits. */
  readonly limits?: boolean;
  readonly inboundRate?: number;
  readonly outboundRate?: number;
  readonly inboundBurst?: number;
  readonly outboundBurst?: number;
};

export const updateNic: Command = (session, [vm = "", nic = ""], options: UpdateOptions) => {
  const { link, limits: hasLimits = true, dryRun: validateOnly = false } = options;
  const given = withoutUndefined({
    inboundBytesPerSecond: options.inboundRate,
    outboundBytesPerSecond: options.outboundRate,
    inboundBurstBytes: options.inboundBurst,
    outboundBurstBytes: options.outboundBurst,
  });
  const isLimited = Object.keys(given).length > 0;
  if (isLimited && !hasLimits) throw usageError("--no-limits and a rate exclude each other");
  if (link === undefined && !isLimited && hasLimits)
    throw usageError("name what to change: --link, a rate, or --no-limits");
  const linkState = link === undefined ? undefined : nicLinks.toProto(link);
  const limits = isLimited || !hasLimits ? given : undefined;
  const request = withoutUndefined({ vm, nic, linkState, limits, validateOnly });
  return mutate(session, options, ({ vms }) => vms.UpdateNic, request);
};
