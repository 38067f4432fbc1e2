import type { EffectCall } from "./history.ts";

/** The effects that a method may have. */
export const callsOf: Readonly<Record<string, ReadonlySet<EffectCall>>> = {
  CreateVm: new Set<EffectCall>([
    "volume_create",
    "secret_define",
    "define",
    "set_metadata",
    "start",
    // Rollback calls.
    "destroy",
    "undefine",
    "volume_delete",
    "secret_undefine",
  ]),
  // Ports for more devices are added before a start.
  StartVm: new Set<EffectCall>(["set_metadata", "secret_define", "attach_device", "start"]),
  StopVm: new Set<EffectCall>(["set_metadata", "shutdown", "destroy"]),
  RebootVm: new Set<EffectCall>(["set_metadata", "reboot", "reset"]),
  PauseVm: new Set<EffectCall>(["set_metadata", "suspend"]),
  ResumeVm: new Set<EffectCall>(["set_metadata", "resume"]),
  // It removes a part of an image, and a forced stop cuts it short.
  SuspendVm: new Set<EffectCall>(["set_metadata", "save", "save_remove", "destroy"]),
  DiscardSavedState: new Set<EffectCall>(["set_metadata", "save_remove"]),
  UpdateVm: new Set<EffectCall>(["set_metadata"]),
  AttachDisk: new Set<EffectCall>([
    "set_metadata",
    "volume_create",
    "attach_device",
    // Its undoing.
    "detach_device",
    "volume_delete",
  ]),
  DetachDisk: new Set<EffectCall>(["set_metadata", "detach_device", "volume_delete"]),
  AttachNic: new Set<EffectCall>(["set_metadata", "attach_device", "detach_device"]),
  DetachNic: new Set<EffectCall>(["set_metadata", "detach_device"]),
  UpdateNic: new Set<EffectCall>(["set_metadata", "update_device"]),
  ChangeMedia: new Set<EffectCall>(["set_metadata", "update_device"]),
  InjectNmi: new Set<EffectCall>(["set_metadata", "inject_nmi"]),
  DeleteVm: new Set<EffectCall>([
    "set_metadata",
    "destroy",
    "volume_upload",
    "volume_wipe",
    "volume_delete",
    "undefine",
    "secret_undefine",
  ]),
};

/** Effects that an operation has once. Others are requests to the guest, or idempotent writes. */
export const onceOnly: ReadonlySet<EffectCall> = new Set([
  "define",
  "undefine",
  "start",
  "destroy",
  "reboot",
  "reset",
  "suspend",
  "resume",
  "volume_create",
  "volume_delete",
  "inject_nmi",
  "save",
  "save_remove",
]);
