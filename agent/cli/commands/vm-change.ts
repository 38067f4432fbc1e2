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

export const stopVm: Command = (session, [vm = ""], options: Options) =>
  mutate(session, options, ({ vms }) => vms.StopVm, {
    vm,
    force: options.force === true,
    gracefulTimeout: options.grace === undefined ? null : toDuration(options.grace),
  });

export const rebootVm: Command = (session, [vm = ""], options: Options) =>
  mutate(session, options, ({ vms }) => vms.RebootVm, { vm, force: options.force === true });

export const pauseVm: Command = (session, [vm = ""], options: Options) =>
  mutate(session, options, ({ vms }) => vms.PauseVm, { vm });

export const resumeVm: Command = (session, [vm = ""], options: Options) =>
  mutate(session, options, ({ vms }) => vms.ResumeVm, { vm });
