import { bmcSensorStates, powerSuppliesOf, psuStates, selSeverities } from "../../hardware/bmc/bmc-text.ts";
import { kernelFaultKinds } from "../../hardware/system/kernel-fault.ts";
import { pcieSeverities } from "../../hardware/pci/pcie.ts";
import { isNotWatched } from "../../hardware/reading.ts";
import { collector, fresh, freshOfSeveral, ofReader } from "../collector.ts";
import { counter, gauge } from "../family.ts";

const perSensor = ["chip", "sensor"] as const;
const fanStates = ["ok", "failed"] as const;
/** The chip label of BMC sensors. */
const BMC = "bmc";
/** The BMC's readings that `hostSensors` shows beside the host's own sensors. */
const UNITS_SHOWN = new Set(["degrees C", "RPM", "Volts", "Amps", "Watts"]);

export const hostSensors = collector(
  "host_sensors",
  {
    temperature: gauge("socle_host_temperature_celsius", "What a temperature sensor measures.", perSensor),
    critical: gauge(
      "socle_host_temperature_critical_celsius",
      "Temperature at which the hardware protects itself, as it reports.",
      perSensor,
    ),
    fan: gauge("socle_host_fan_speed_rpm", "Turns of a fan in a minute.", perSensor),
    fanState: gauge("socle_host_fan_state", "1 for the state the fan is in, 0 for the other.", [
      ...perSensor,
      "state",
    ]),
    voltage: gauge("socle_host_voltage_volts", "What a voltage sensor measures.", perSensor),
    current: gauge("socle_host_current_amperes", "What a current sensor measures.", perSensor),
    power: gauge(
      "socle_host_power_watts",
      "What a power sensor measures; of dcmi: the whole machine.",
      perSensor,
    ),
    psu: gauge("socle_host_psu_state", "1 for the state the power supply is in, 0 for the others.", [
      "psu",
      "state",
    ]),
  },
  ({ readings }, emit) => {
    const { take, end } = freshOfSeveral(readings);
    const sensors = take("sensors");
    for (const { chip, sensor, celsius, criticalCelsius } of sensors?.value.temperatures ?? []) {
      emit.temperature(celsius, chip, sensor);
      emit.critical(criticalCelsius, chip, sensor);
    }
    for (const { chip, sensor, rpm, isFailed } of sensors?.value.fans ?? []) {
      emit.fan(rpm, chip, sensor);
      emitFan(chip, sensor, isFailed);
    }
    for (const { chip, sensor, volts } of sensors?.value.voltages ?? []) emit.voltage(volts, chip, sensor);
    for (const { chip, sensor, amperes } of sensors?.value.currents ?? [])
      emit.current(amperes, chip, sensor);
    for (const { chip, sensor, watts } of sensors?.value.powers ?? []) emit.power(watts, chip, sensor);

    const bmc = take("bmc")?.value ?? [];
    for (const { name, kind, measured, state } of bmc) {
      if (kind === "Fan" && state !== "unavailable")
        emitFan(BMC, name, state === "critical" || state === "non_recoverable");
      if (measured === undefined) continue;
      const { unit, value, upperCritical } = measured;
      if (unit === "degrees C") {
        emit.temperature(value, BMC, name);
        emit.critical(upperCritical, BMC, name);
      }
      if (unit === "RPM") emit.fan(value, BMC, name);
      if (unit === "Volts") emit.voltage(value, BMC, name);
      if (unit === "Amps") emit.current(value, BMC, name);
      if (unit === "Watts") emit.power(value, BMC, name);
    }
    emit.power(take("bmcPower")?.value, BMC, "dcmi");
    for (const { name, state } of powerSuppliesOf(bmc)) {
      for (const candidate of psuStates) emit.psu(candidate === state ? 1 : 0, name, candidate);
    }
    return end();

    function emitFan(chip: string, sensor: string, isFailed: boolean): void {
      const now = isFailed ? "failed" : "ok";
      for (const state of fanStates) emit.fanState(state === now ? 1 : 0, chip, sensor, state);
    }
  },
);

export const hostBmc = collector(
  "host_bmc",
  {
    up: gauge("socle_host_bmc_up", "1 while the management controller answers."),
    state: gauge("socle_host_bmc_sensor_state", "1 for the state the sensor is in, 0 for the others.", [
      "sensor",
      "state",
    ]),
    measured: gauge(
      "socle_host_bmc_sensor_value",
      "Value of a sensor without a metric of its own: a fan's drive in percent, an air flow.",
      ["sensor", "unit"],
    ),
    isOn: gauge("socle_host_chassis_powered", "1 while the machine is on, as the controller reports."),
    fault: gauge("socle_host_chassis_fault", "1 while the controller reports this fault.", ["fault"]),
    entries: gauge("socle_host_bmc_sel_entries", "Entries in the management controller's event log."),
    overflow: gauge(
      "socle_host_bmc_sel_overflow",
      "1 once its event log lost entries because it was full, until it is cleared.",
    ),
    events: counter(
      "socle_host_bmc_sel_events_total",
      "Entries added to its event log since an agent first read it.",
      ["severity"],
    ),
  },
  ({ readings }, emit) => {
    const { take, end } = freshOfSeveral(readings);
    const last = readings.last("bmc");
    const sensors = take("bmc");
    // Without permission to query it, its availability is unknown.
    const isDown = last.kind === "failed" && hasLooked() && !isNotWatched(last);
    if (last.kind === "read" || isDown) emit.up(isDown ? 0 : 1);
    for (const { name, state, measured } of sensors?.value ?? []) {
      if (measured !== undefined && !UNITS_SHOWN.has(measured.unit))
        emit.measured(measured.value, name, measured.unit);
      for (const candidate of bmcSensorStates) emit.state(candidate === state ? 1 : 0, name, candidate);
    }
    const chassis = take("bmcChassis")?.value;
    if (chassis !== undefined) emit.isOn(chassis.isOn ? 1 : 0);
    for (const [fault, is] of chassis?.faults ?? []) emit.fault(is ? 1 : 0, fault);
    const log = take("bmcEvents")?.value;
    emit.entries(log?.entries);
    if (log?.overflowed !== undefined) emit.overflow(log.overflowed ? 1 : 0);
    for (const severity of selSeverities) emit.events(log?.counts.get(severity), severity);
    return end();

    function hasLooked(): boolean {
      return readings.states().some(({ name, state }) => name === "bmc" && state !== "pending");
    }
  },
);

export const hostMemoryErrors = ofReader(
  "host_memory_errors",
  "memoryErrors",
  {
    corrected: counter("socle_host_memory_corrected_errors_total", "Errors that the memory corrected.", [
      "dimm",
    ]),
    uncorrected: counter("socle_host_memory_uncorrected_errors_total", "Errors that lost data.", ["dimm"]),
  },
  (modules, emit) => {
    for (const { dimm, correctedErrors, uncorrectedErrors } of modules) {
      emit.corrected(correctedErrors, dimm);
      emit.uncorrected(uncorrectedErrors, dimm);
    }
  },
);

export const hostKernelLog = ofReader(
  "host_kernel_log",
  "kernelLog",
  {
    machineChecks: counter(
      "socle_host_machine_checks_total",
      "Machine checks in the kernel's log; several within a second are one.",
    ),
    faults: counter("socle_host_kernel_faults_total", "Faults in the kernel's log, by kind.", ["kind"]),
  },
  (log, emit) => {
    emit.machineChecks(log.counts.get("machine_check"));
    for (const kind of kernelFaultKinds) emit.faults(log.counts.get(kind), kind);
  },
);

export const hostPcie = collector(
  "host_pcie",
  {
    errors: counter("socle_host_pcie_errors_total", "Errors that a PCI Express device reported.", [
      "device",
      "severity",
    ]),
    width: gauge("socle_host_pcie_link_width", "Lanes that the device's link uses.", ["device"]),
    widthMax: gauge("socle_host_pcie_link_width_max", "Lanes that the device has.", ["device"]),
  },
  function* ({ readings }, emit) {
    const devices = fresh(readings, "pcie");
    for (const { device, errors, linkWidth, linkWidthMax } of devices?.value ?? []) {
      for (const severity of pcieSeverities) emit.errors(errors[severity], device, severity);
      emit.width(linkWidth, device);
      emit.widthMax(linkWidthMax, device);
      yield;
    }
    return devices?.readAtMs;
  },
);

export const hostEnergy = ofReader(
  "host_energy",
  "energy",
  {
    joules: counter("socle_host_energy_joules_total", "Energy the CPUs used since the agent started.", [
      "zone",
    ]),
  },
  (zones, emit) => {
    for (const { zone, joules } of zones) emit.joules(joules, zone);
  },
);

export const hostThrottling = ofReader(
  "host_throttling",
  "throttling",
  {
    throttles: counter("socle_host_cpu_throttles_total", "Times that CPUs were throttled for heat.", [
      "socket",
      "scope",
    ]),
  },
  (sockets, emit) => {
    for (const { socket, package: ofPackage, cores } of sockets) {
      emit.throttles(ofPackage, socket, "package");
      emit.throttles(cores, socket, "cores");
    }
  },
);
