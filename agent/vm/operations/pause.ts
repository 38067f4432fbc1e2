import { runSwitch } from "./run-switch.ts";

export const pauseVm = runSwitch("PAUSE_VM", {
  from: "running",
  to: "paused",
  participle: "paused",
  again: "pause it again if it should be paused",
  step: "suspend",
  act: (domains, vmId) => domains.suspend(vmId),
});
