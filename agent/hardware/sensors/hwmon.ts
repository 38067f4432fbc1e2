import { basename, join } from "node:path";
import { readlink } from "node:fs/promises";
import { readFilesByChild } from "../privileged/child-files.ts";
import { SocleError } from "../../kernel/errors.ts";
import { reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { entriesOf, notHere, numberOf, rescanned, unique } from "../walk.ts";
import { defined } from "../../kernel/defined.ts";

interface Sensor {
  readonly chip: string;
  readonly sensor: string;
}

export interface Temperature extends Sensor {
  readonly celsius: number;
  /** The hardware's own critical point; absent if the chip reports none or an implausible one. */
  readonly criticalCelsius?: number;
  /** The chip reports that the critical point is exceeded. */
  readonly criticalAlarm?: boolean;
}

export interface Fan extends Sensor {
  /** Absent if unreadable. */
  readonly rpm?: number;
  /** The chip reports a fault, or a fan that turned before now stands still. */
  readonly isFailed: boolean;
}

type Voltage = Sensor & { readonly volts: number };
type Current = Sensor & { readonly amperes: number };
type Power = Sensor & { readonly watts: number };

/** Readings of the kernel's hwmon drivers (Documentation/hwmon/sysfs-interface.rst) and its thermal zones. */
interface Sensors {
  readonly temperatures: readonly Temperature[];
  readonly fans: readonly Fan[];
  readonly voltages: readonly Voltage[];
  readonly currents: readonly Current[];
  readonly powers: readonly Power[];
  /** Unreadable fans and sensors with a critical point: chip and sensor. */
  readonly unread: { readonly temperatures: readonly string[]; readonly fans: readonly string[] };
  /** Chips that do not answer: skipped until the next scan. */
  readonly silent: readonly string[];
}

/** A directory of sensors. Its number may be reused: name and device identify the chip. */
interface Chip {
  readonly chip: string;
  readonly directory: string;
  readonly nameFile: "name" | "type";
  readonly name: string | undefined;
  readonly device: string;
}

interface Found {
  readonly chips: Chip[];
  readonly probes: Probe[];
  readonly silent: Set<string>;
}

/** One sensor's files. Constant files are read only during the scan. */
interface Probe extends Sensor {
  readonly kind: "temp" | "fan" | "in" | "curr" | "power" | "zone";
  readonly directory: string;
  /** Common prefix of the files: temp1, fan2. */
  readonly prefix: string;
  readonly files: readonly string[];
  readonly criticalCelsius?: number;
}

/** Fans seen turning since boot; an empty fan header never turns. */
interface SeenFans {
  has(name: string): boolean;
  add(name: string): unknown;
}

/** The first read reads all files of each chip. */
const SCAN_TIMEOUT_MS = 15_000;
/** Idle graphics cards stop their fans. */
const RESTING_FANS = /^(amdgpu|radeon|nouveau|i915|xe)/;
/** coretemp latches the alarm until the next boot (Documentation/hwmon/coretemp.rst), so it does not show the present. */
const KEEPS_ALARM = /^coretemp/;
/** Files whose values change. */
const MOVING = {
  temp: ["input", "crit_alarm", "fault"],
  fan: ["input", "alarm", "fault"],
  in: ["input"],
  curr: ["input"],
  power: ["input", "average"],
} as const;

/** Scans for chips every five minutes, or when a chip was replaced. A child reads the values each time. */
export function sensorsReader(
  roots: Roots,
  monotonicMs: () => number,
  turned: SeenFans = new Set<string>(),
): (signal: AbortSignal) => Promise<Reading<Sensors>> {
  const root = join(roots.sysRoot, "class/hwmon");
  const scan = rescanned(monotonicMs, async (signal) => {
    const found: Found = { chips: [], probes: [], silent: new Set() };
    await findChips(roots, signal, found);
    await findZones(roots, signal, found);
    return found;
  });
  return (signal) =>
    reading(
      root,
      async () => {
        let found = await scan(signal);
        let texts = await readMoving(root, found, signal);
        if (!(await areSame(found, texts))) {
          found = await scan(signal, "now");
          texts = await readMoving(root, found, signal);
        }
        const { probes, silent } = found;
        if (probes.length + silent.size === 0) throw notHere("no sensor chips and no thermal zones");
        return { ...assemble(probes, texts, { turned, silent }), silent: [...silent] };
      },
      SCAN_TIMEOUT_MS,
    );
}

/** Whether each chip that answered is still the one of the scan. */
async function areSame({ chips, silent }: Found, texts: ReadonlyMap<string, string>): Promise<boolean> {
  for (const { chip, directory, nameFile, name, device } of chips) {
    if (silent.has(chip)) continue;
    if (texts.get(join(directory, nameFile)) !== name || (await deviceOf(directory)) !== device) return false;
  }
  return true;
}

/** Reads all chips at once; if that hangs, each chip separately, to find the stuck one. */
async function readMoving(
  root: string,
  { chips, probes, silent }: Found,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const filesOf = ({ chip, nameFile }: Chip): string[] => [
    nameFile,
    ...probes.flatMap((probe) => (probe.chip === chip ? probe.files : [])),
  ];
  const asked = chips.filter(({ chip }) => !silent.has(chip));
  try {
    const paths = asked.flatMap((chip) => filesOf(chip).map((file) => join(chip.directory, file)));
    return await readFilesByChild(root, paths, signal);
  } catch (cause) {
    if (!isTimeout(cause)) throw cause;
  }
  const texts = new Map<string, string>();
  for (const chip of asked) {
    const found = await readChip(chip, filesOf(chip), signal, silent);
    for (const [path, text] of found ?? []) texts.set(path, text);
  }
  return texts;
}

/** Files of one chip; undefined if it does not answer. */
async function readChip(
  { chip, directory }: Pick<Chip, "chip" | "directory">,
  files: readonly string[],
  signal: AbortSignal,
  silent: Set<string>,
): Promise<ReadonlyMap<string, string> | undefined> {
  const paths = files.map((file) => join(directory, file));
  try {
    return await readFilesByChild(directory, paths, signal, { timeoutMs: 1000 });
  } catch (cause) {
    if (!isTimeout(cause)) throw cause;
    silent.add(chip);
    return undefined;
  }
}

const isTimeout = (cause: unknown): boolean => cause instanceof SocleError && cause.kind === "timeout";

function assemble(
  probes: readonly Probe[],
  texts: ReadonlyMap<string, string>,
  { turned, silent }: { readonly turned: SeenFans; readonly silent: ReadonlySet<string> },
): Omit<Sensors, "silent"> {
  const sensors = {
    temperatures: [] as Temperature[],
    fans: [] as Fan[],
    voltages: [] as Voltage[],
    currents: [] as Current[],
    powers: [] as Power[],
    unread: { temperatures: [] as string[], fans: [] as string[] },
  };
  for (const probe of probes) {
    const { kind, chip, sensor, directory, prefix } = probe;
    if (silent.has(chip)) continue;
    const valueOf = (file: string): number | undefined => numberOf(texts.get(join(directory, file)));
    const moving = (attribute: string): number | undefined => valueOf(`${prefix}_${attribute}`);
    const isFaulty = moving("fault") === 1;
    switch (kind) {
      case "zone":
      case "temp": {
        const millidegrees = kind === "zone" ? valueOf("temp") : moving("input");
        if (millidegrees === undefined || isFaulty) {
          // Readings without a critical point have no effect on conditions.
          const decides =
            probe.criticalCelsius !== undefined || probe.files.some((file) => /_crit_alarm$/.test(file));
          if (decides) sensors.unread.temperatures.push(`${chip} ${sensor}`);
          break;
        }
        const alarm = moving("crit_alarm");
        sensors.temperatures.push(
          defined({
            chip,
            sensor,
            celsius: millidegrees / 1000,
            criticalCelsius: probe.criticalCelsius,
            criticalAlarm: alarm === undefined ? undefined : alarm === 1,
          }),
        );
        break;
      }
      case "fan": {
        const rpm = moving("input");
        const name = `${chip} ${sensor}`;
        if (rpm !== undefined && rpm > 0) turned.add(name);
        const isStill = rpm === 0 && turned.has(name) && !RESTING_FANS.test(chip);
        const isFailed = isFaulty || isStill || moving("alarm") === 1;
        if (rpm === undefined && !isFailed) {
          if (!RESTING_FANS.test(chip)) sensors.unread.fans.push(name);
          break;
        }
        sensors.fans.push(defined({ chip, sensor, isFailed, rpm }));
        break;
      }
      case "in": {
        const millivolts = moving("input");
        if (millivolts !== undefined) sensors.voltages.push({ chip, sensor, volts: millivolts / 1000 });
        break;
      }
      case "curr": {
        const milliamperes = moving("input");
        if (milliamperes !== undefined) sensors.currents.push({ chip, sensor, amperes: milliamperes / 1000 });
        break;
      }
      case "power": {
        const microwatts = moving("input") ?? moving("average");
        if (microwatts !== undefined) sensors.powers.push({ chip, sensor, watts: microwatts / 1e6 });
        break;
      }
    }
  }
  return sensors;
}

async function findChips(
  { sysRoot }: Roots,
  signal: AbortSignal,
  { chips, probes, silent }: Found,
): Promise<void> {
  const root = join(sysRoot, "class/hwmon");
  const names = new Set<string>();
  for (const entry of await entriesOf(root)) {
    const directory = join(root, entry);
    const files = await entriesOf(directory);
    const found = files.flatMap((file) => {
      const [, kind, index] =
        /^(temp|fan|in|curr|power)(\d+)_(?:input|average|fault|alarm)$/.exec(file) ?? [];
      return kind === undefined || index === undefined ? [] : [{ kind: kind as keyof typeof MOVING, index }];
    });
    const prefixes = new Map(found.map(({ kind, index }) => [`${kind}${index}`, kind]));
    const still = [...prefixes.keys()].flatMap((prefix) =>
      [`${prefix}_label`, `${prefix}_crit`].filter((file) => files.includes(file)),
    );
    const texts = await readChip({ chip: entry, directory }, ["name", ...still], signal, silent);
    if (texts === undefined) continue;
    const device = await deviceOf(directory);
    const name = texts.get(join(directory, "name"));
    const chip = unique(names, chipName(name ?? entry, device));
    chips.push({ chip, directory, nameFile: "name", name, device });
    const labels = new Set<string>();
    for (const [prefix, kind] of prefixes) {
      const critical = numberOf(texts.get(join(directory, `${prefix}_crit`)));
      const criticalCelsius = kind === "temp" ? plausible(critical) : undefined;
      probes.push(
        defined({
          kind,
          chip,
          sensor: unique(labels, texts.get(join(directory, `${prefix}_label`)) || prefix),
          directory,
          prefix,
          files: MOVING[kind]
            .filter((attribute) => attribute !== "crit_alarm" || !KEEPS_ALARM.test(chip))
            .map((attribute) => `${prefix}_${attribute}`)
            .filter((file) => files.includes(file)),
          criticalCelsius,
        }),
      );
    }
  }
}

const deviceOf = (directory: string): Promise<string> =>
  readlink(join(directory, "device")).then(basename, () => "");

async function findZones(
  { sysRoot }: Roots,
  signal: AbortSignal,
  { chips, probes, silent }: Found,
): Promise<void> {
  const root = join(sysRoot, "class/thermal");
  for (const entry of await entriesOf(root)) {
    if (!entry.startsWith("thermal_zone")) continue;
    const directory = join(root, entry);
    const points = (await entriesOf(directory)).filter((file) => /^trip_point_\d+_(type|temp)$/.test(file));
    const texts = await readChip({ chip: entry, directory }, ["type", ...points], signal, silent);
    if (texts === undefined) continue;
    const type = texts.get(join(directory, "type"));
    chips.push({
      chip: entry,
      directory,
      nameFile: "type",
      name: type,
      device: await deviceOf(directory),
    });
    const point = points.find((file) => texts.get(join(directory, file)) === "critical");
    const critical = point?.replace(/_type$/, "_temp");
    const criticalCelsius =
      critical === undefined ? undefined : plausible(numberOf(texts.get(join(directory, critical))));
    probes.push(
      defined({
        kind: "zone",
        chip: entry,
        sensor: type ?? entry,
        directory,
        prefix: "",
        files: ["temp"],
        criticalCelsius,
      }),
    );
  }
}

/** Independent of the hwmon directory's number, which changes between boots: "coretemp" of device "coretemp.0" is coretemp.0, "k10temp" of 0000:00:18.3 is k10temp-0000:00:18.3. */
function chipName(name: string, device: string): string {
  if (device === "") return name;
  return device.startsWith(name) ? device : `${name}-${device}`;
}

/** Drivers pass on raw chip values, some of which are 0 or 65261. */
function plausible(millidegrees: number | undefined): number | undefined {
  if (millidegrees === undefined || millidegrees < 40_000 || millidegrees > 150_000) return undefined;
  return millidegrees / 1000;
}
