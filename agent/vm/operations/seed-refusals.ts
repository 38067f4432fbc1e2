import { invalidField, SocleError } from "../../kernel/errors.ts";

export const nothingToChange = (): SocleError =>
  invalidField(
    "UPDATE_EMPTY",
    "update_mask",
    "names no part, and the instance-id stays: nothing would change",
  );

export const seedUnreadable = (vm: string, kept: readonly string[]): SocleError =>
  new SocleError(
    "conflict",
    "SEED_UNREADABLE",
    `the present seed of VM ${vm} has other bytes than the agent wrote, so ${kept.join(" and ")} cannot be kept: give new values for them (update_mask)`,
  );

export const seedChanged = (vm: string): SocleError =>
  new SocleError(
    "conflict",
    "VM_CHANGED",
    `the seed of VM ${vm} was changed by another operation since the request, and nothing was done; look at the VM, then repeat the request`,
  );
