import { keepQemu } from "./backup-qemu.ts";
import { noteStart } from "./note-start.ts";
import { runSwitch } from "./run-switch.ts";

export const resumeVm = runSwitch("RESUME_VM", {
  from: "paused",
  to: "running",
  participle: "resumed",
  again: "resume it again if it should run",
  step: "resume",
  beforehand: noteStart,
  act: (domains, vmId) => domains.resume(vmId),
  afterwards: keepQemu,
});
