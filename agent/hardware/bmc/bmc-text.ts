import { numberOf, unique } from "../walk.ts";
import { defined } from "../../kernel/defined.ts";

export type BmcSensorState = "ok" | "non_critical" | "critical" | "non_recoverable" | "unavailable";

/** A sensor of the BMC, as `ipmitool -v -c sdr elist` tells of it. */
export interface BmcSensor {
  readonly name: string;
  /** What it belongs to: 10.1 is the first power supply. */
  readonly entity: string;
  readonly state: BmcSensorState;
  /** Fan, Temperature, Voltage, ...: of a sensor that is made to measure, whether it has a value now or not. */
  readonly kind?: string;
  /** What it measured. */
  readonly measured?: {
    readonly value: number;
    /** degrees C, RPM, Volts, Amps, Watts, ... */
    readonly unit: string;
    readonly upperCritical?: number;
  };
  /** Of one that has states, and told them: "Presence detected", "Failure detected". */
  readonly states?: readonly string[];
}

export const bmcSensorStates = ["ok", "non_critical", "critical", "non_recoverable", "unavailable"] as const;

const STATES: Readonly<Record<string, BmcSensorState>> = {
  ok: "ok",
  "Lower Non-Critical": "non_critical",
  "Upper Non-Critical": "non_critical",
  "Lower Critical": "critical",
  "Upper Critical": "critical",
  "Lower Non-Recoverable": "non_recoverable",
  "Upper Non-Recoverable": "non_recoverable",
};
/** Columns of a sensor that measures: name, value, unit, state, entity, its name, kind, three nominal values, thresholds. */
const UPPER_CRITICAL = 11;

/** Two sensors of the same name are told apart by what they belong to, or else by a number. */
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
  // One with states gives its number in place of a value: 06h.
  if (/^[0-9A-F]{2}h$/.test(second)) {
    const states = columns.slice(4).filter((state) => state !== "");
    const state = STATES[third] ?? "unavailable";
    const isRead = state !== "unavailable" && !states.includes("No Reading");
    return defined({ name, entity: fourth, state, states: isRead ? states : undefined });
  }
  const value = numberOf(second);
  // One without a value may be without its unit's column too.
  const at = columns.findIndex((column, index) => index >= 2 && /^\d+\.\d+$/.test(column));
  const [state, entity, kind] = at < 0 ? [fourth, "", ""] : [columns[at - 1], columns[at], columns[at + 2]];
  const told = defined<BmcSensor>({
    name,
    entity: entity ?? "",
    state: STATES[state ?? ""] ?? ("unavailable" as const),
    kind: kind === undefined || kind === "" ? undefined : kind,
  });
  if (value === undefined) return told;
  const upperCritical = numberOf(columns[UPPER_CRITICAL]);
  const measured = defined<NonNullable<BmcSensor["measured"]>>({
    value,
    unit: third,
    // A BMC without the threshold leaves 0 there.
    upperCritical: upperCritical === undefined || upperCritical === 0 ? undefined : upperCritical,
  });
  return { ...told, measured };
}

/**
 * How many entries the event log has (throws where it is not said); where they are told, when it was changed last and
 * whether it lost entries for want of room (IPMI 2.0, 31.2: operation support, bit 7).
 */
export function parseSelInfo(text: string): {
  readonly entries: number;
  readonly changed: string | undefined;
  readonly overflowed: boolean | undefined;
} {
  const entries = numberOf(/^Entries\s*:\s*(\d+)/m.exec(text)?.[1]);
  if (entries === undefined)
    throw new Error(`the BMC does not say how long its log is: ${text.slice(0, 100)}`);
  const [added, deleted] = ["Add", "Del"].map(
    (what) => new RegExp(`^Last ${what} Time\\s*: (.*)$`, "m").exec(text)?.[1],
  );
  const isTold = added !== undefined && !/not available|unknown|pre-?init/i.test(added);
  const overflow = /^Overflow\s*:\s*(true|false)/m.exec(text)?.[1];
  return {
    entries,
    changed: isTold ? `${added}, ${deleted ?? ""}` : undefined,
    overflowed: overflow === undefined ? undefined : overflow === "true",
  };
}

/** Watts by `ipmitool dcmi power reading`; undefined where it measures none: it is switched off, or says 0. */
export function parseDcmiPower(text: string): number | undefined {
  const watts = numberOf(/Instantaneous power reading:\s*(\d+) Watts/.exec(text)?.[1]);
  const isOff = /Power reading state is:\s*deactivated/.test(text);
  return watts === 0 || isOff ? undefined : watts;
}

export const chassisFaults = [
  "power_overload",
  "main_power",
  "power_control",
  "drive",
  "cooling",
  "intrusion",
] as const;
export type ChassisFault = (typeof chassisFaults)[number];

export interface Chassis {
  readonly isOn: boolean;
  /** Only of what the controller tells. */
  readonly faults: ReadonlyMap<ChassisFault, boolean>;
}

const CHASSIS_FAULTS: Readonly<Record<ChassisFault, string>> = {
  power_overload: "Power Overload",
  main_power: "Main Power Fault",
  power_control: "Power Control Fault",
  drive: "Drive Fault",
  cooling: "Cooling/Fan Fault",
  intrusion: "Chassis Intrusion",
};

/** By `ipmitool chassis status`. */
export function parseChassis(text: string): Chassis {
  const told = new Map(
    text.split("\n").map((line) => {
      const [name = "", value = ""] = line.split(":", 2).map((part) => part.trim());
      return [name, value];
    }),
  );
  const power = told.get("System Power");
  if (power !== "on" && power !== "off")
    throw new Error(`the BMC does not say whether the machine is on: ${text.slice(0, 100)}`);
  const faults = new Map<ChassisFault, boolean>();
  for (const fault of chassisFaults) {
    const is = told.get(CHASSIS_FAULTS[fault]);
    if (is === "true" || is === "active") faults.set(fault, true);
    if (is === "false" || is === "inactive") faults.set(fault, false);
  }
  return { isOn: power === "on", faults };
}

/** By `ipmitool mc info`. */
export function parseBmcFirmware(text: string): string {
  const version = /^Firmware Revision\s*: (\S+)$/m.exec(text)?.[1];
  if (version === undefined) throw new Error(`the BMC does not say its version: ${text.slice(0, 100)}`);
  return version;
}

export const selSeverities = ["info", "warning", "critical"] as const;
export type SelSeverity = (typeof selSeverities)[number];

const CRITICAL =
  /\b(non-recoverable|(lower|upper) critical|uncorrectable|failure detected|ac lost|power lost|transition to critical|thermal trip|ierr|bus fatal|configuration error)\b/i;
const WARNING =
  /\b(non-critical|correctable|predictive failure|redundancy (lost|degraded)|degraded|limit reached|low)\b/i;

export interface SelEntry {
  /** All of it: its number, time, sensor and event. */
  readonly text: string;
  readonly severity: SelSeverity;
}

/** The entries that `ipmitool -c sel elist` lists, oldest first. */
export function parseSel(csv: string): SelEntry[] {
  const lines = csv.split("\n").filter((line) => /^\s*[0-9a-f]+,/i.test(line));
  return lines.map((line) => ({ text: line.trim(), severity: severityOf(line) }));
}

/** What ends (is deasserted) is information. */
function severityOf(line: string): SelSeverity {
  if (/,\s*Deasserted/i.test(line)) return "info";
  const words = line.split(",").slice(3).join(",");
  if (CRITICAL.test(words)) return "critical";
  return WARNING.test(words) ? "warning" : "info";
}

export const psuStates = ["ok", "failing", "failed", "absent", "unknown"] as const;
export type PsuState = (typeof psuStates)[number];

export interface PowerSupply {
  readonly name: string;
  /** `failing`: it says that it will fail; `unknown`: the BMC has no reading of it, which is not to say that it is away. */
  readonly state: PsuState;
  readonly isBeyondRecovery: boolean;
}

/** What a supply tells of itself (IPMI 2.0, table 42-3, type 8). Others tell whether it is switched on, or to spare. */
const OF_A_SUPPLY =
  /presence detected|failure|ac lost|input lost|out-of-range|config(uration)? error|supply inactive/i;

/**
 * By entity 10: a sensor that has a supply's states is a supply, and what is measured of the same entity is of that one;
 * where nothing of it has states, all that is measured of an entity is one supply. Its fans and its heat are judged as
 * such.
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
      const says = hasStates(sensor)
        ? psuStateOf(sensor.states?.join(", "))
        : measures.every(({ state }) => state === "unavailable")
          ? "unknown"
          : "ok";
      const states = [sensor, ...(isFirst(sensor) ? measures : [])].map(({ state }) => state);
      // Of an empty slot nothing is measured, whatever its thresholds.
      const isThere = says !== "absent";
      const isBeyondRecovery = isThere && states.includes("non_recoverable");
      const isCritical = isBeyondRecovery || (isThere && states.includes("critical"));
      return { name: sensor.name, state: isCritical ? "failed" : says, isBeyondRecovery };
    });
}

function psuStateOf(said: string | undefined): PsuState {
  if (said === undefined) return "unknown";
  if (/failure detected|ac lost|input lost|out-of-range|config error/i.test(said)) return "failed";
  if (/predictive failure/i.test(said)) return "failing";
  return /presence detected/i.test(said) ? "ok" : "absent";
}
