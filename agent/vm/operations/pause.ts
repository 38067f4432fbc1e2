import { keepQemu } from "./backup-qemu.ts";
import { runSwitch } from "./run-switch.ts";

export const pauseVm = runSwitch("PAUSE_VM", {
  from: "running",
  to: "paused",
  participle: "paused",
  again: "pause it again if it should be paused",
  step: "suspend",
  // Another client may have resumed the QEMU of a backup: it has a guest now, which the end of the backup keeps.
  beforehand: keepQemu,
  act: (domains, vmId) => domains.suspend(vmId),
});
