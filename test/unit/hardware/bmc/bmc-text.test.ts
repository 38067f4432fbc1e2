import assert from "node:assert/strict";
import test from "node:test";
import {
  parseBmcFirmware,
  parseChassis,
  parseSel,
  parseSensors,
  powerSuppliesOf,
} from "../../../../agent/hardware/bmc/bmc-text.ts";

test("a power supply without a reading is unknown; one that reports its absence is absent", () => {
  const sensors = parseSensors(
    [
      "PS1 Status,00h,ns,10.1,No Reading",
      "PS2 Status,08h,ok,10.2,",
      "PS3 Status,01h,ok,10.3,Presence detected",
      "PS4 Status,03h,ok,10.4,Presence detected, Failure detected",
    ].join("\n"),
  );
  assert.deepEqual(
    powerSuppliesOf(sensors).map(({ state }) => state),
    ["unknown", "absent", "ok", "failed"],
  );
});

test("a power supply fails by the threshold of its readings, and counts once", () => {
  const states = (...csv: string[]): string[] =>
    powerSuppliesOf(parseSensors(csv.join("\n"))).map(
      ({ name, state, isBeyondRecovery }) => `${name} ${state}${isBeyondRecovery ? " beyond recovery" : ""}`,
    );
  const volts = (name: string, entity: string, value: string, state: string): string =>
    `${name},${value},Volts,${state},${entity},Power Supply,Voltage,230.000,220.000,240.000,264.000,,,180.000,,`;
  const here = (name: string, entity: string): string => `${name},01h,ok,${entity},Presence detected`;
  assert.deepEqual(
    states(
      volts("PS1 Input", "10.1", "0", "Lower Non-Recoverable"),
      here("PS1 Status", "10.1"),
      volts("PS2 Input", "10.2", "228", "ok"),
      here("PS2 Status", "10.2"),
    ),
    ["PS1 Status failed beyond recovery", "PS2 Status ok"],
  );
  assert.deepEqual(
    states(
      volts("PS1 Input", "10.1", "170", "Lower Critical"),
      volts("PS1 Output", "10.1", "12", "ok"),
      volts("PS2 Input", "10.2", "", "ns"),
    ),
    ["PS1 Input failed", "PS2 Input unknown"],
  );
  assert.deepEqual(
    states(volts("PS1 Input", "10.1", "0", "Lower Non-Recoverable"), "PS1 Status,00h,ok,10.1,"),
    ["PS1 Status absent"],
  );
  const others = ["PS Redundancy,01h,ok,10.9,Fully Redundant", "PS1 Ctrl,02h,ok,10.1,Device Enabled"];
  assert.deepEqual(states(...others, volts("PS1 Input", "10.1", "228", "ok")), ["PS1 Input ok"]);
  assert.deepEqual(states("PS1 Fan,0,RPM,Lower Critical,10.1,Power Supply,Fan,,,,,,,,,"), []);
});

test("a sensor without a value keeps its state and its entity", () => {
  const [silent, stopped] = parseSensors(
    [
      "FAN1,,,ns,29.1,Fan Device,Fan,1,1,1,,,,,,",
      "FAN2,,Lower Critical,29.2,Fan Device,Fan,1,1,1,,,,,,",
    ].join("\n"),
  );
  assert.deepEqual(silent, { name: "FAN1", entity: "29.1", kind: "Fan", state: "unavailable" });
  assert.deepEqual(stopped, { name: "FAN2", entity: "29.2", kind: "Fan", state: "critical" });
});

test("a log entry is a warning by whole words: flow, slow and below do not match", () => {
  const entry = (words: string): string => `1a,11/25/2026,00:40:00,Sensor,${words},Asserted`;
  const words = [
    "Coolant flow started",
    "Fan profile slow",
    "Back below threshold",
    "Low",
    "Lower Non-critical going low",
  ];
  assert.deepEqual(
    parseSel(words.map(entry).join("\n")).map(({ severity }) => severity),
    ["info", "info", "info", "warning", "warning"],
  );
});

/** The output of ipmitool 1.8.19. */
const chassis = `System Power         : on
Power Overload       : false
Power Interlock      : inactive
Main Power Fault     : false
Power Control Fault  : false
Power Restore Policy : always-off
Last Power Event     : command
Chassis Intrusion    : active
Front-Panel Lockout  : inactive
Drive Fault          : true
Cooling/Fan Fault    : false
`;

test("chassis status gives the power state and faults; a fault that is not reported stays unknown", () => {
  assert.deepEqual(parseChassis(chassis), {
    isOn: true,
    faults: new Map([
      ["power_overload", false],
      ["main_power", false],
      ["power_control", false],
      ["drive", true],
      ["cooling", false],
      ["intrusion", true],
    ]),
  });
  const { faults } = parseChassis(chassis.replace(/^Drive Fault.*\n/m, ""));
  assert.equal(faults.has("drive"), false);
  assert.throws(
    () => parseChassis("Error: Unable to establish IPMI v2 / RMCP+ session"),
    /whether the machine is on/,
  );
});

test("the controller's own firmware version is read", () => {
  // The output of ipmitool 1.8.19.
  const info =
    "Device ID                 : 32\nDevice Revision           : 1\nFirmware Revision         : 7.10\n";
  assert.equal(parseBmcFirmware(info), "7.10");
  assert.throws(() => parseBmcFirmware("Get Device ID command failed"), /its version/);
});

test("sensors with one name are distinguished by their entity, and by a number where that is the same", () => {
  const temp = (entity: string): string =>
    `Temp,40,degrees C,ok,${entity},Processor,Temperature,,,,,95.000,,,,`;
  const names = parseSensors([temp("3.1"), temp("3.2"), temp("3.2")].join("\n")).map(({ name }) => name);
  assert.deepEqual(names, ["Temp (3.1)", "Temp (3.2)", "Temp (3.2) 2"]);
});
