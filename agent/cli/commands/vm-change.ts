import type { Operation__Output } from "../../gen/socle/v1/Operation.ts";
import type { VmServiceDefinition } from "../../gen/socle/v1/VmService.ts";
import type { Method } from "../client.ts";
import { usageError } from "../errors.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import { printable, toDuration } from "../format.ts";
import type { Command } from "../session.ts";

interface Change {
  readonly requestId?: string;
  readonly vm?: string;
}

type Methods = {
  [Name in keyof VmServiceDefinition as string extends Name ? never : Name]: VmServiceDefinition[Name];
};

/** The methods that begin an operation on a VM that exists. */
export type ChangeMethod = {
  [Name in keyof Methods]: Methods[Name] extends Method<infer Request, Operation__Output>
    ? Change extends Request
      ? Name
      : never
    : never;
}[keyof Methods];

/** A command whose request is the VM and the options that `fields` adds. */
export const changeVm =
  (method: ChangeMethod, fields: readonly string[] = []): Command =>
  (session, [vm = ""], options: MutationOptions & Readonly<Record<string, unknown>>) => {
    const chosen = Object.fromEntries(fields.map((field) => [field, options[field]]));
    return mutate<Change>(session, options, ({ vms }) => vms[method], { vm, ...chosen });
  };

type StopOptions = MutationOptions & {
  readonly force?: boolean;
  /** In milliseconds. */
  readonly grace?: number;
};

export const stopVm: Command = (session, [vm = ""], options: StopOptions) => {
  const { grace, force = false } = options;
  if (grace === 0 && !force) {
    throw usageError("--grace 0 leaves the guest no time to shut down: add --force to cut its power");
  }
  const gracefulTimeout = grace === undefined ? null : toDuration(grace);
  return mutate(session, options, ({ vms }) => vms.StopVm, { vm, force, gracefulTimeout });
};

export const discardSavedState: Command = async (
  session,
  [vm = ""],
  options: MutationOptions & { readonly dryRun?: boolean },
) => {
  if (options.dryRun !== true)
    return await mutate(session, options, ({ vms }) => vms.DiscardSavedState, { vm });
  const agent = await session.agent();
  const { name, savedState } = await agent.ask(agent.contract.vms.GetVm, { vm });
  const discards = savedState ? "its saved state" : "nothing: it has no saved state";
  session.show({ vm: name, discards: savedState === true }, () => {
    return `VM ${printable(name)} would lose ${discards}; nothing changed (--dry-run)\n`;
  });
  return undefined;
};
