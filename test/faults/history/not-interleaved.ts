const noLayers = "the model of libvirt has no layers, block jobs and backups; `chain` and `kill` break them";
const noSeeds = "the model of libvirt has no seeds and no rescue; `kill` breaks them";
const noDumps = "the model of libvirt dumps no memory; `kill` breaks it";
const noSizes = "the model of libvirt changes no disk that a guest has open; `devices` and `kill` break it";
const noGuest = "no guest of the model has an agent, and it is no operation; integration tests have one";
const noImages = "the simulated agent serves no images; `image` breaks them";
const noVolumes = "the checker assigns volumes to VMs, and these have none; `kill` breaks it";
const noOperation = "it changes no VM and is no operation";
const noReservations = "it is no operation; `overbook` and `clock` break them";

/** Methods that change something and that `interleave` does not schedule, with the reason. */
export const uninterleaved: Readonly<Record<string, string>> = {
  "VmService/ResizeDisk": noSizes,
  "VmService/UpdateDisk": noSizes,
  "VmService/DumpMemory": noDumps,
  "VmService/ChangeSeed": noSeeds,
  "VmService/RescueVm": noSeeds,
  "VmService/UnrescueVm": noSeeds,
  "VmService/MoveDisk": noLayers,
  "SnapshotService/CreateSnapshot": noLayers,
  "SnapshotService/DeleteSnapshot": noLayers,
  "SnapshotService/RevertSnapshot": noLayers,
  "BackupService/BeginBackup": noLayers,
  "BackupService/RenewBackup": noLayers,
  "BackupService/ListExtents": noLayers,
  "BackupService/ReadExtents": noLayers,
  "BackupService/FinishBackup": noLayers,
  "BackupService/RestoreDisk": noLayers,
  "ImageService/ImportImage": noImages,
  "ImageService/UploadImage": noImages,
  "ImageService/DeleteImage": noImages,
  "StorageService/CreateVolume": noVolumes,
  "StorageService/ResizeVolume": noVolumes,
  "StorageService/DeleteVolume": noVolumes,
  "GuestService/SetGuestPassword": noGuest,
  "GuestService/SetGuestSshKeys": noGuest,
  "GuestService/TrimGuest": noGuest,
  "GuestService/SyncGuestTime": noGuest,
  "GuestService/FreezeFilesystems": noGuest,
  "GuestService/ThawFilesystems": noGuest,
  "GuestService/ExecInGuest": noGuest,
  "VmService/Console": noOperation,
  "ScreenService/CreateScreenTicket": noOperation,
  "ScreenService/OpenScreen": noOperation,
  "ScreenService/GetScreenshot": noOperation,
  "HostService/SetSchedulingState": noOperation,
  "HostService/AcknowledgeCondition": noOperation,
  "HostService/ResetControlEpoch": noOperation,
  "TrustService/EnrollHost": noOperation,
  "AuditService/SignCheckpoint": noOperation,
  "ReservationService/Reserve": noReservations,
  "ReservationService/RenewReservation": noReservations,
  "ReservationService/ReleaseReservation": noReservations,
  "OperationService/SettleOperation": "a person's decision; the faults of a history leave nothing to decide",
};
