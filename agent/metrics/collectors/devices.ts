import { collector, freshOfSeveral, ofReader } from "../collector.ts";
import { counter, gauge } from "../family.ts";

export const hostBonds = ofReader(
  "host_bonds",
  "bonds",
  {
    slaves: gauge("socle_host_bond_slaves", "Links of a bond.", ["bond"]),
    active: gauge("socle_host_bond_active_slaves", "Links of the bond that are up.", ["bond"]),
  },
  (bonds, emit) => {
    for (const { name, slaves } of bonds) {
      emit.slaves(slaves.length, name);
      emit.active(slaves.filter(({ up }) => up).length, name);
    }
  },
);

export const hostSriov = ofReader(
  "host_sriov",
  "sriov",
  {
    vfs: gauge(
      "socle_host_sriov_vfs",
      "Virtual functions of a NIC: total it can have, enabled, assigned to guests.",
      ["pf", "state"],
    ),
  },
  (functions, emit) => {
    for (const { interfaceName, total, enabled, assigned } of functions) {
      emit.vfs(total, interfaceName, "total");
      emit.vfs(enabled, interfaceName, "enabled");
      emit.vfs(assigned, interfaceName, "assigned");
    }
  },
);

export const hostKsm = ofReader(
  "host_ksm",
  "ksm",
  {
    saved: gauge("socle_host_ksm_saved_bytes", "Memory saved by keeping equal pages once."),
  },
  (ksm, emit) => {
    emit.saved(ksm.savedBytes);
  },
);

export const hostClock = ofReader(
  "host_clock",
  "clock",
  {
    offset: gauge(
      "socle_host_clock_offset_seconds",
      "Reference time minus the host's clock: positive while the clock is behind.",
    ),
    synced: gauge("socle_host_clock_synced", "1 while the clock is synchronised."),
  },
  (clock, emit) => {
    emit.offset(clock.offsetSeconds);
    emit.synced(Number(clock.synced));
  },
);

export const hostWatchdogs = ofReader(
  "host_watchdogs",
  "watchdogs",
  {
    info: gauge("socle_host_watchdog_info", "A hardware watchdog; always 1.", ["device", "identity"]),
    active: gauge("socle_host_watchdog_active", "1 while it would reset the host.", ["device"]),
    timeout: gauge("socle_host_watchdog_timeout_seconds", "Timeout after which it resets the host.", [
      "device",
    ]),
    left: gauge("socle_host_watchdog_remaining_seconds", "Time until it resets the host.", ["device"]),
    caused: gauge("socle_host_watchdog_caused_last_boot", "1 if it was what reset the host.", ["device"]),
  },
  (watchdogs, emit) => {
    const bit = (is: boolean | undefined) => (is === undefined ? undefined : Number(is));
    for (const watchdog of watchdogs) {
      emit.info(1, watchdog.name, watchdog.identity);
      emit.active(bit(watchdog.active), watchdog.name);
      emit.timeout(watchdog.timeoutSeconds, watchdog.name);
      emit.left(watchdog.timeLeftSeconds, watchdog.name);
      emit.caused(bit(watchdog.causedLastBoot), watchdog.name);
    }
  },
);

export const hostFirmware = collector(
  "host_firmware",
  {
    info: gauge("socle_host_firmware_info", "Firmware and its version; always 1.", ["component", "version"]),
  },
  ({ readings }, emit) => {
    const { take, end } = freshOfSeveral(readings);
    for (const { component, version } of take("firmware")?.value ?? []) emit.info(1, component, version);
    const bmc = take("bmcFirmware")?.value;
    if (bmc !== undefined) emit.info(1, "bmc", bmc);
    return end();
  },
);

const perGpu = ["gpu"] as const;

export const hostGpus = ofReader(
  "host_gpus",
  "gpus",
  {
    info: gauge("socle_host_gpu_info", "A GPU that the host itself drives; always 1.", [
      "gpu",
      "model",
      "pci",
      "driver",
    ]),
    temperature: gauge("socle_host_gpu_temperature_celsius", "Temperature of the GPU.", perGpu),
    power: gauge("socle_host_gpu_power_watts", "Power it draws.", perGpu),
    utilization: gauge("socle_host_gpu_utilization_ratio", "Share of time in which it was busy.", perGpu),
    memory: gauge("socle_host_gpu_memory_bytes", "Its memory, by kind.", ["gpu", "kind"]),
    errors: counter(
      "socle_host_gpu_uncorrected_errors_total",
      "Uncorrected errors of its memory since its driver was loaded.",
      perGpu,
    ),
  },
  (gpus, emit) => {
    for (const gpu of gpus) {
      emit.info(1, gpu.uuid, gpu.model, gpu.pciAddress, gpu.driver);
      emit.temperature(gpu.temperatureCelsius, gpu.uuid);
      emit.power(gpu.powerWatts, gpu.uuid);
      emit.utilization(gpu.utilizationRatio, gpu.uuid);
      emit.memory(gpu.memoryTotalBytes, gpu.uuid, "total");
      emit.memory(gpu.memoryUsedBytes, gpu.uuid, "used");
      emit.errors(gpu.uncorrectedErrors, gpu.uuid);
    }
  },
);
