import { numberOf, unique } from "../walk.ts";
import { defined } from "../../kernel/defined.ts";

export const bmcSensorStates = ["ok", "non_critical", "critical", "non_recoverable", "unavailable"] as const;
type BmcSensorState = (typeof bmcSensorStates)[number];

/** A BMC sensor in the output of `ipmitool -v -c sdr elist`. */
export interface BmcSensor {
  readonly name: string;
  /** IPMI entity: 10.1 is the first power supply. */
  readonly entity: string;
  readonly state: BmcSensorState;
  /** Fan, Temperature, Voltage, ...: of an analog sensor, with or without a current value. */
  readonly kind?: string;
  /** The measured value. */
  readonly measured?: {
    readonly value: number;
    /** degrees C, RPM, Volts, Amps, Watts, ... */
    readonly unit: string;
    readonly upperCritical?: number;
  };
  /** Reported states of a discrete sensor: "Presence detected", "Failure detected". */
  readonly states?: readonly string[];
}

const STATES: Readonly<Record<string, BmcSensorState>> = {
  ok: "ok",
  "Lower Non-Critical": "non_critical",
  "Upper Non-Critical": "non_critical",
  "Lower Critical": "critical",
  "Upper Critical": "critical",
  "Lower Non-Recoverable": "non_recoverable",
  "Upper Non-Recoverable": "non_recoverable",
};
/** Columns of an analog sensor: name, value, unit, state, entity, entity name, kind, three nominal values, thresholds. */
const UPPER_CRITICAL = 11;

/** Makes duplicate sensor names unique by their entity, or else by a number. */
export function parseSensors(csv: string): readonly BmcSensor[] {
  const sensors = csv.split("\n").flatMap((line) => {
    const columns = line.split(",").map((column) => column.trim());
    const sensor = columns.length < 4 ? undefined : parseSensor(columns);
    return sensor === undefined ? [] : [sensor];
  });
  const names = new Map<string, number>();
  for (const { name } of sensors) names.set(name, (names.get(name) ?? 0) + 1);
  const taken = new Set<string>();
  return sensors.map((sensor) => {
    const isShared = (names.get(sensor.name) ?? 0) > 1;
    return { ...sensor, name: unique(taken, isShared ? `${sensor.name} (${sensor.entity})` : sensor.name) };
  });
}

function parseSensor(columns: readonly string[]): BmcSensor | undefined {
  const [name = "", second = "", third = "", fourth = ""] = columns;
  if (name === "") return undefined;
  // A discrete sensor has its number in place of a value: 06h.
  if (/^[0-9A-F]{2}h$/.test(second)) {
    const states = columns.slice(4).filter((state) => state !== "");
    const state = STATES[third] ?? "unavailable";
    const isRead = state !== "unavailable" && !states.includes("No Reading");
    return defined({ name, entity: fourth, state, states: isRead ? states : undefined });
  }
  const value = numberOf(second);
  // A sensor without a value may lack the unit column too.
  const at = columns.findIndex((column, index) => index >= 2 && /^\d+\.\d+$/.test(column));
  const [state, entity, kind] = at < 0 ? [fourth, "", ""] : [columns[at - 1], columns[at], columns[at + 2]];
  const unmeasured = defined<BmcSensor>({
    name,
    entity: entity ?? "",
    state: STATES[state ?? ""] ?? ("unavailable" as const),
    kind: kind === undefined || kind === "" ? undefined : kind,
  });
  if (value === undefined) return unmeasured;
  const upperCritical = numberOf(columns[UPPER_CRITICAL]);
  const measured = defined<NonNullable<BmcSensor["measured"]>>({
    value,
    unit: third,
    // A BMC without the threshold writes 0.
    upperCritical: upperCritical === undefined || upperCritical === 0 ? undefined : upperCritical,
  });
  return { ...unmeasured, measured };
}

/**
 * The number of entries in the event log (throws if missing) and, if reported, its last change and whether
 * entries were lost to overflow (IPMI 2.0, 31.2: operation support, bit 7).
 */
export function parseSelInfo(text: string): {
  readonly entries: number;
  readonly changed: string | undefined;
  readonly overflowed: boolean | undefined;
} {
  const entries = numberOf(/^Entries\s*:\s*(\d+)/m.exec(text)?.[1]);
  if (entries === undefined)
    throw new Error(`the BMC does not report the length of its log: ${text.slice(0, 100)}`);
  const [added, deleted] = ["Add", "Del"].map(
    (what) => new RegExp(`^Last ${what} Time\\s*: (.*)$`, "m").exec(text)?.[1],
  );
  const isReported = added !== undefined && !/not available|unknown|pre-?init/i.test(added);
  const overflow = /^Overflow\s*:\s*(true|false)/m.exec(text)?.[1];
  return {
    entries,
    changed: isReported ? `${added}, ${deleted ?? ""}` : undefined,
    overflowed: overflow === undefined ? undefined : overflow === "true",
  };
}

/** Watts from `ipmitool dcmi power reading`; undefined if power reading is deactivated or 0. */
export function parseDcmiPower(text: string): number | undefined {
  const watts = numberOf(/Instantaneous power reading:\s*(\d+) Watts/.exec(text)?.[1]);
  const isOff = /Power reading state is:\s*deactivated/.test(text);
  return watts === 0 || isOff ? undefined : watts;
}

/** The faults, each with the field of ipmitool that reports it. */
const CHASSIS_FAULTS = [
  ["power_overload", "Power Overload"],
  ["main_power", "Main Power Fault"],
  ["power_control", "Power Control Fault"],
  ["drive", "Drive Fault"],
  ["cooling", "Cooling/Fan Fault"],
  ["intrusion", "Chassis Intrusion"],
] as const;
type ChassisFault = (typeof CHASSIS_FAULTS)[number][0];

export interface Chassis {
  readonly isOn: boolean;
  /** Only faults that the controller reports on. */
  readonly faults: ReadonlyMap<ChassisFault, boolean>;
}

/** Parses `ipmitool chassis status`. */
export function parseChassis(text: string): Chassis {
  const fields = new Map(
    text.split("\n").map((line) => {
      const [name = "", value = ""] = line.split(":", 2).map((part) => part.trim());
      return [name, value];
    }),
  );
  const power = fields.get("System Power");
  if (power !== "on" && power !== "off")
    throw new Error(`the BMC does not report whether the machine is on: ${text.slice(0, 100)}`);
  const faults = new Map<ChassisFault, boolean>();
  for (const [fault, field] of CHASSIS_FAULTS) {
    const is = fields.get(field);
    if (is === "true" || is === "active") faults.set(fault, true);
    if (is === "false" || is === "inactive") faults.set(fault, false);
  }
  return { isOn: power === "on", faults };
}

/** Parses `ipmitool mc info`. */
export function parseBmcFirmware(text: string): string {
  const version = /^Firmware Revision\s*: (\S+)$/m.exec(text)?.[1];
  if (version === undefined) throw new Error(`the BMC does not report its version: ${text.slice(0, 100)}`);
  return version;
}

export const selSeverities = ["info", "warning", "critical"] as const;
export type SelSeverity = (typeof selSeverities)[number];

const CRITICAL =
  /\b(non-recoverable|(lower|upper) critical|uncorrectable|failure detected|ac lost|power lost|transition to critical|thermal trip|ierr|bus fatal|configuration error)\b/i;
const WARNING =
  /\b(non-critical|correctable|predictive failure|redundancy (lost|degraded)|degraded|limit reached|low)\b/i;

interface SelEntry {
  /** The whole entry: number, time, sensor and event. */
  readonly text: string;
  readonly severity: SelSeverity;
}

/** Parses `ipmitool -c sel elist`, oldest entry first. */
export function parseSel(csv: string): SelEntry[] {
  const lines = csv.split("\n").filter((line) => /^\s*[0-9a-f]+,/i.test(line));
  return lines.map((line) => ({ text: line.trim(), severity: severityOf(line) }));
}

/** A deasserted event is information. */
function severityOf(line: string): SelSeverity {
  if (/,\s*Deasserted/i.test(line)) return "info";
  const words = line.split(",").slice(3).join(",");
  if (CRITICAL.test(words)) return "critical";
  return WARNING.test(words) ? "warning" : "info";
}

export const psuStates = ["ok", "failing", "failed", "absent", "unknown"] as const;
type PsuState = (typeof psuStates)[number];

interface PowerSupply {
  readonly name: string;
  /** `failing`: a predicted failure; `unknown`: the BMC has no reading, so it may still be present. */
  readonly state: PsuState;
  readonly isBeyondRecovery: boolean;
}

/** States of a power supply (IPMI 2.0, table 42-3, type 8). Other sensors report power or redundancy. */
const OF_A_SUPPLY =
  /presence detected|failure|ac lost|input lost|out-of-range|config(uration)? error|supply inactive/i;

/**
 * Power supplies are entity 10: each discrete sensor with a supply's states is a supply, and owns the analog sensors of
 * its entity. Without discrete sensors, the analog sensors of an entity are one supply. Fans and temperatures are judged
 * elsewhere.
 */
export function powerSuppliesOf(sensors: readonly BmcSensor[]): PowerSupply[] {
  const all = sensors.filter(
    ({ entity, kind, states = [] }) =>
      /^10\./.test(entity) &&
      kind !== "Fan" &&
      kind !== "Temperature" &&
      (states.length === 0 || OF_A_SUPPLY.test(states.join(", "))),
  );
  const hasStates = ({ kind, measured }: BmcSensor): boolean => kind === undefined && measured === undefined;
  const firsts = new Map<string, BmcSensor>();
  for (const sensor of [...all.filter(hasStates), ...all])
    if (!firsts.has(sensor.entity)) firsts.set(sensor.entity, sensor);
  const isFirst = (sensor: BmcSensor): boolean => firsts.get(sensor.entity) === sensor;
  return all
    .filter((sensor) => hasStates(sensor) || isFirst(sensor))
    .map((sensor) => {
      const measures = all.filter((other) => !hasStates(other) && other.entity === sensor.entity);
      const ownState = hasStates(sensor)
        ? psuStateOf(sensor.states?.join(", "))
        : measures.every(({ state }) => state === "unavailable")
          ? "unknown"
          : "ok";
      const states = [sensor, ...(isFirst(sensor) ? measures : [])].map(({ state }) => state);
      // Ignore analog sensors of an empty slot, whatever their thresholds.
      const isThere = ownState !== "absent";
      const isBeyondRecovery = isThere && states.includes("non_recoverable");
      const isCritical = isBeyondRecovery || (isThere && states.includes("critical"));
      return { name: sensor.name, state: isCritical ? "failed" : ownState, isBeyondRecovery };
    });
}

function psuStateOf(states: string | undefined): PsuState {
  if (states === undefined) return "unknown";
  if (/failure detected|ac lost|input lost|out-of-range|config error/i.test(states)) return "failed";
  if (/predictive failure/i.test(states)) return "failing";
  return /presence detected/i.test(states) ? "ok" : "absent";
}
