import { withoutUndefined } from "../../kernel/defined.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import { printable } from "../format.ts";
import { confirm } from "../confirm.ts";
import { usageError } from "../errors.ts";
import { size } from "../options.ts";
import type { Command, Session } from "../session.ts";
import { diskOver, parseDisk, parseMedium, withEncryption } from "../vm-spec.ts";

type Options = MutationOptions & { readonly dryRun?: boolean };

type AttachOptions = Options & {
  readonly name?: string;
  readonly readOnly?: boolean;
  readonly encrypt?: boolean;
  readonly image?: string;
};

export const attachDisk: Command = (session, [vm = "", source = ""], options: AttachOptions) => {
  const { name = "", readOnly = false, encrypt = false, image, dryRun: validateOnly = false } = options;
  const named = image === undefined ? parseDisk(source, name) : diskOver(image, source, name);
  if (encrypt && named.newVolume == null) throw usageError("--encrypt is for a new disk: new:POOL:SIZE");
  const given = { ...named, readOnly: named.readOnly === true || readOnly };
  const [disk = null] = withEncryption([given], encrypt) ?? [];
  return mutate(session, options, ({ vms }) => vms.AttachDisk, { vm, disk, validateOnly });
};

type DetachOptions = Options & { readonly deleteVolume?: boolean; readonly yes?: boolean };

export const detachDisk: Command = async (session, [vm = "", disk = ""], options: DetachOptions) => {
  const { deleteVolume = false, yes = false, dryRun: validateOnly = false } = options;
  const etag = deleteVolume && !yes && !validateOnly ? await confirmed(session, vm, disk) : "";
  const request = { vm, disk, deleteVolume, validateOnly, etag };
  return await mutate(session, options, ({ vms }) => vms.DetachDisk, request);
};

/** The etag of the VM that the person saw. */
async function confirmed(session: Session, name: string, disk: string): Promise<string> {
  if (session.json || session.io.stdin.isTTY !== true)
    throw usageError(
      `disk ${disk} was not deleted: there is no prompt; add --yes to delete it, or --dry-run to see what would be done`,
    );
  const agent = await session.agent();
  const vm = await agent.ask(agent.contract.vms.GetVm, { vm: name });
  await confirm(session, `Delete disk ${printable(disk)} of ${printable(vm.name)} and its data? [y/N] `);
  return vm.etag;
}

export const resizeDisk: Command = (session, [vm = "", disk = "", text = ""], options: Options) => {
  const { dryRun: validateOnly = false } = options;
  const capacityBytes = size("SIZE")(text);
  return mutate(session, options, ({ vms }) => vms.ResizeDisk, { vm, disk, capacityBytes, validateOnly });
};

type MediumOptions = Options & { readonly force?: boolean };

export const insertMedium: Command = (
  session,
  [vm = "", disk = "", medium = ""],
  { dryRun: validateOnly = false, force = false, ...options }: MediumOptions,
) => {
  const request = { vm, disk, ...parseMedium(medium), force, validateOnly };
  return mutate(session, options, ({ vms }) => vms.ChangeMedia, request);
};

export const ejectMedium: Command = (
  session,
  [vm = "", disk = ""],
  { dryRun: validateOnly = false, force = false, ...options }: MediumOptions,
) => mutate(session, options, ({ vms }) => vms.ChangeMedia, { vm, disk, force, validateOnly });

export const moveDisk: Command = (session, [vm = "", disk = "", pool = ""], options: Options) => {
  const { dryRun: validateOnly = false } = options;
  return mutate(session, options, ({ vms }) => vms.MoveDisk, { vm, disk, pool, validateOnly });
};

type UpdateOptions = Options & {
  /** False: --no-limits. */
  readonly limits?: boolean;
  readonly totalRate?: number;
  readonly readRate?: number;
  readonly writeRate?: number;
  readonly totalIops?: number;
  readonly readIops?: number;
  readonly writeIops?: number;
  readonly totalBurstRate?: number;
  readonly readBurstRate?: number;
  readonly writeBurstRate?: number;
  readonly totalBurstIops?: number;
  readonly readBurstIops?: number;
  readonly writeBurstIops?: number;
  readonly burstSeconds?: number;
};

export const updateDisk: Command = (session, [vm = "", disk = ""], options: UpdateOptions) => {
  const { limits: hasLimits = true, dryRun: validateOnly = false } = options;
  const limits = withoutUndefined({
    totalBytesPerSecond: options.totalRate,
    readBytesPerSecond: options.readRate,
    writeBytesPerSecond: options.writeRate,
    totalIops: options.totalIops,
    readIops: options.readIops,
    writeIops: options.writeIops,
    totalBurstBytesPerSecond: options.totalBurstRate,
    readBurstBytesPerSecond: options.readBurstRate,
    writeBurstBytesPerSecond: options.writeBurstRate,
    totalBurstIops: options.totalBurstIops,
    readBurstIops: options.readBurstIops,
    writeBurstIops: options.writeBurstIops,
    burstSeconds: options.burstSeconds,
  });
  const isLimited = Object.keys(limits).length > 0;
  if (isLimited && !hasLimits) throw usageError("--no-limits and a limit exclude each other");
  if (!isLimited && hasLimits) throw usageError("name what to change: a rate, operations, or --no-limits");
  return mutate(session, options, ({ vms }) => vms.UpdateDisk, { vm, disk, limits, validateOnly });
};
