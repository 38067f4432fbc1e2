import { usageError } from "../errors.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import { toDuration } from "../format.ts";
import type { Command } from "../session.ts";

type Options = MutationOptions & {
  readonly force?: boolean;
  /** In milliseconds. */
  readonly grace?: number;
};

export const startVm: Command = (session, [vm = ""], options: Options) =>
  mutate(session, options, ({ vms }) => vms.StartVm, { vm });

export const stopVm: Command = (session, [vm = ""], options: Options) => {
  const { grace, force = false } = options;
  if (grace === 0 && !force) {
    throw usageError("--grace 0 leaves the guest no time to shut down: add --force to cut its power");
  }
  const gracefulTimeout = grace === undefined ? null : toDuration(grace);
  return mutate(session, options, ({ vms }) => vms.StopVm, { vm, force, gracefulTimeout });
};

export const rebootVm: Command = (session, [vm = ""], options: Options) =>
  mutate(session, options, ({ vms }) => vms.RebootVm, { vm, force: options.force === true });

export const pauseVm: Command = (session, [vm = ""], options: Options) =>
  mutate(session, options, ({ vms }) => vms.PauseVm, { vm });

export const resumeVm: Command = (session, [vm = ""], options: Options) =>
  mutate(session, options, ({ vms }) => vms.ResumeVm, { vm });
