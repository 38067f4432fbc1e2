import { keepQemu } from "./backup-qemu.ts";
import { runSwitch } from "./run-switch.ts";

export const pauseVm = runSwitch("PAUSE_VM", {
  from: "running",
  to: "paused",
  participle: "paused",
  again: "pause it again if it should be paused",
  step: "suspend",
  // Whoever resumed the guest in the QEMU of its backup: it is a guest, which the end of the backup keeps.
  beforehand: keepQemu,
  act: (domains, vmId) => domains.suspend(vmId),
});
