import { raidStates } from "../../hardware/raid.ts";
import { valueOf } from "../../hardware/reading.ts";
import { collector, fresh } from "../collector.ts";
import { counter, gauge } from "../family.ts";

const perDisk = ["device"] as const;

export const hostDisks = collector(
  "host_disks",
  {
    info: gauge("socle_host_disk_info", "A disk that may tell of its own health; always 1.", [
      "device",
      "model",
      "serial",
      "firmware",
    ]),
  },
  ({ readings }, emit) => {
    const disks = fresh(readings, "disks");
    for (const { name, model, serial, firmware } of disks?.value ?? [])
      emit.info(1, name, model, serial, firmware);
    return disks?.readAtMs;
  },
);

export const hostDiskHealth = collector(
  "host_disk_health",
  {
    wear: gauge("socle_host_disk_wear_ratio", "Of the writes the disk is made for; may go past 1.", perDisk),
    spare: gauge("socle_host_disk_spare_ratio", "Spare blocks that are left.", perDisk),
    mediaErrors: counter(
      "socle_host_disk_media_errors_total",
      "Data the disk could not read back, since it was made.",
      perDisk,
    ),
    warning: gauge("socle_host_disk_critical_warning", "1 while the disk warns of this.", [
      "device",
      "warning",
    ]),
    temperature: gauge("socle_host_disk_temperature_celsius", "As the disk itself measures.", perDisk),
  },
  ({ readings }, emit) => {
    const disks = fresh(readings, "diskHealth");
    for (const { disk, health } of disks?.value ?? []) {
      const told = valueOf(health);
      emit.wear(told?.wearRatio, disk.name);
      emit.spare(told?.spareRatio, disk.name);
      emit.mediaErrors(told?.mediaErrors, disk.name);
      emit.temperature(told?.temperatureCelsius, disk.name);
      for (const [warning, is] of told?.warnings ?? []) emit.warning(Number(is), disk.name, warning);
    }
    return disks?.readAtMs;
  },
);

export const hostRaid = collector(
  "host_raid",
  {
    state: gauge("socle_host_raid_state", "1 for the state the array is in, 0 for the others.", [
      "array",
      "state",
    ]),
    disks: gauge("socle_host_raid_disks", "Disks the array is made for.", ["array"]),
    degraded: gauge("socle_host_raid_degraded_disks", "Of these, the ones it does not have in sync.", [
      "array",
    ]),
  },
  ({ readings }, emit) => {
    const arrays = fresh(readings, "raid");
    for (const { name, state, disks, degradedDisks } of arrays?.value ?? []) {
      for (const possible of raidStates) emit.state(Number(possible === state), name, possible);
      emit.disks(disks, name);
      emit.degraded(degradedDisks, name);
    }
    return arrays?.readAtMs;
  },
);

export const hostMounts = collector(
  "host_mounts",
  {
    readOnly: gauge(
      "socle_host_filesystem_readonly",
      "1 while a filesystem that should be writable takes no writes.",
      ["path"],
    ),
  },
  ({ readings }, emit) => {
    const mounts = fresh(readings, "mounts");
    for (const { mountPoint, readOnly } of mounts?.value ?? []) emit.readOnly(Number(readOnly), mountPoint);
    return mounts?.readAtMs;
  },
);
