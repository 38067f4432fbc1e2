import * as z from "zod";
import { SocleError } from "../../kernel/errors.ts";

/** What a disk warns of; the first six are the bits of NVMe's critical warning, the last is a SATA or SCSI disk's verdict on itself. */
export const diskWarnings = [
  "spare",
  "temperature",
  "reliability",
  "read_only",
  "volatile_backup",
  "persistent_memory",
  "self_assessment",
] as const;
export type DiskWarning = (typeof diskWarnings)[number];

/** What a disk says of itself. What it does not say is absent. */
export interface DiskHealth {
  /** Of the writes it is made for; may go past 1. */
  readonly wearRatio?: number;
  /** Spare blocks left, and how many the maker wants there to be. */
  readonly spareRatio?: number;
  readonly spareThresholdRatio?: number;
  /** Data that could not be read back, since it was made. */
  readonly mediaErrors?: number;
  readonly temperatureCelsius?: number;
  /** These since it was made. */
  readonly powerOnSeconds?: number;
  readonly powerCycles?: number;
  readonly unsafeShutdowns?: number;
  readonly readBytes?: number;
  readonly writtenBytes?: number;
  /** Of a SATA or SCSI disk: sectors that it replaced, that it could not read and will replace when they are written, and that its own tests could not read. */
  readonly reallocatedSectors?: number;
  readonly pendingSectors?: number;
  readonly uncorrectableSectors?: number;
  /** Only of those that this kind of disk can tell. */
  readonly warnings: ReadonlyMap<DiskWarning, boolean>;
}

const whole = z.number().int().min(0);
/** What is shown and decides nothing: one that makes no sense costs itself alone. */
const shown = z.number().min(0).optional().catch(undefined);
const uncorrected = z.object({ total_uncorrected_errors: shown }).optional();
const report = z.object({
  smartctl: z.object({
    exit_status: whole,
    messages: z.array(z.object({ string: z.string() })).optional(),
  }),
  serial_number: z.string().optional(),
  temperature: z.object({ current: z.number() }).optional().catch(undefined),
  smart_status: z.object({ passed: z.boolean() }).optional(),
  power_on_time: z.object({ hours: shown }).optional().catch(undefined),
  power_cycle_count: shown,
  endurance_used: z.object({ current_percent: whole }).optional(),
  scsi_percentage_used_endurance_indicator: whole.optional(),
  nvme_smart_health_information_log: z
    .object({
      critical_warning: whole,
      available_spare: whole.optional(),
      available_spare_threshold: whole.optional(),
      percentage_used: whole.optional(),
      media_errors: shown,
      data_units_read: shown,
      data_units_written: shown,
      unsafe_shutdowns: shown,
    })
    .optional(),
  ata_smart_attributes: z
    .object({
      table: z.array(
        z.object({
          id: whole,
          name: z.string(),
          value: whole,
          // 64 bits, which some makers use for times and temperatures too.
          raw: z.object({ value: z.number().min(0), string: z.string().optional() }),
        }),
      ),
    })
    .optional(),
  scsi_grown_defect_list: shown,
  scsi_error_counter_log: z.object({ read: uncorrected, write: uncorrected, verify: uncorrected }).optional(),
});
type Report = z.output<typeof report>;

export type SmartReport =
  | { readonly kind: "health"; readonly health: DiskHealth }
  | { readonly kind: "asleep" }
  /** It is not one that tells: a virtual disk, a LUN. */
  | { readonly kind: "silent"; readonly reason: string }
  /** It is a volume that a RAID controller makes of disks. */
  | { readonly kind: "hidden"; readonly reason: string }
  | { readonly kind: "denied"; readonly reason: string };

const COMMAND_LINE_WRONG = 1;
const NOT_OPENED = 2;

/** What `smartctl --json -n standby -a` wrote. Throws where that is no report, or one of a failure. */
export function parseSmartReport(text: string): SmartReport {
  const parsed = report.parse(JSON.parse(text));
  const { exit_status: exit, messages = [] } = parsed.smartctl;
  const said = messages.map((message) => message.string).join("; ");
  // Higher bits tell of the disk and come with a report.
  if ((exit & NOT_OPENED) !== 0) {
    if (/\b(STANDBY|SLEEP|IDLE)\b.* mode/i.test(said)) return { kind: "asleep" };
    if (/Permission denied|Operation not permitted/i.test(said)) return { kind: "denied", reason: said };
  }
  // smartctl names the option that leads to the disks behind it.
  if ((exit & NOT_OPENED) !== 0 && /\b(option|adding) '-d /i.test(said))
    return { kind: "hidden", reason: said };
  if ((exit & COMMAND_LINE_WRONG) !== 0 && /device type/i.test(said)) return { kind: "silent", reason: said };
  const health = healthOf(parsed);
  if (health !== undefined) return { kind: "health", health };
  if ((exit & (COMMAND_LINE_WRONG | NOT_OPENED)) === 0)
    return { kind: "silent", reason: "it tells nothing of its health" };
  throw new SocleError("unavailable", "DISK_NOT_READ", said === "" ? `smartctl ended with ${exit}` : said);
}

function healthOf(parsed: Report): DiskHealth | undefined {
  const { nvme_smart_health_information_log: nvme, smart_status: status } = parsed;
  if (nvme === undefined && status === undefined) return undefined;
  const parts = {
    wearRatio: ratio(wearPercent(parsed)),
    spareRatio: ratio(nvme?.available_spare),
    spareThresholdRatio: ratio(nvme?.available_spare_threshold),
    mediaErrors: mediaErrors(parsed),
    temperatureCelsius: parsed.temperature?.current,
    powerOnSeconds: times(parsed.power_on_time?.hours, 3600),
    powerCycles: parsed.power_cycle_count,
    unsafeShutdowns: nvme?.unsafe_shutdowns,
    readBytes: times(nvme?.data_units_read, DATA_UNIT_BYTES),
    writtenBytes: times(nvme?.data_units_written, DATA_UNIT_BYTES),
    reallocatedSectors: countOf(parsed, REALLOCATED) ?? parsed.scsi_grown_defect_list,
    pendingSectors: countOf(parsed, PENDING),
    uncorrectableSectors: countOf(parsed, OFFLINE_UNCORRECTABLE),
  };
  const known = Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined));
  return { ...known, warnings: warningsOf(nvme?.critical_warning, status?.passed) };
}

/** smartctl's own verdict on an NVMe disk is nothing but its critical warning. */
function warningsOf(
  criticalWarning: number | undefined,
  passed: boolean | undefined,
): Map<DiskWarning, boolean> {
  if (criticalWarning === undefined) {
    return new Map(passed === undefined ? [] : [["self_assessment", !passed]]);
  }
  return new Map(
    diskWarnings.slice(0, 6).map((warning, bit) => [warning, (criticalWarning & (1 << bit)) !== 0]),
  );
}

/** Attributes whose normalised value starts at 100 and counts down as the flash wears; makers' names, as their numbers have other meanings elsewhere. */
const LIFE_LEFT =
  /^(Media_Wearout_Indicator|Wear_Leveling_Count|SSD_Life_Left|Percent_Lifetime_Remain|Percent_Life_Remaining|Remaining_Lifetime_Perc)$/;

function wearPercent(parsed: Report): number | undefined {
  const left = parsed.ata_smart_attributes?.table.find(({ name }) => LIFE_LEFT.test(name))?.value;
  return (
    parsed.nvme_smart_health_information_log?.percentage_used ??
    parsed.endurance_used?.current_percent ??
    parsed.scsi_percentage_used_endurance_indicator ??
    (left === undefined || left > 100 ? undefined : 100 - left)
  );
}

function mediaErrors(parsed: Report): number | undefined {
  const { scsi_error_counter_log: scsi } = parsed;
  const counted = [scsi?.read, scsi?.write, scsi?.verify].flatMap(
    (counter) => counter?.total_uncorrected_errors ?? [],
  );
  return (
    parsed.nvme_smart_health_information_log?.media_errors ??
    countOf(parsed, REPORTED_UNCORRECTABLE) ??
    (counted.length > 0 ? counted.reduce((sum, errors) => sum + errors, 0) : undefined)
  );
}

/** NVMe counts in thousands of 512 bytes, whatever its sectors are. */
const DATA_UNIT_BYTES = 512_000;
/** ATA attributes. */
const REPORTED_UNCORRECTABLE = 187;
const REALLOCATED = 5;
const PENDING = 197;
const OFFLINE_UNCORRECTABLE = 198;

/** Some makers keep more in the raw value than the count: smartctl's text begins with the count. */
function countOf(parsed: Report, attribute: number): number | undefined {
  const raw = parsed.ata_smart_attributes?.table.find(({ id }) => id === attribute)?.raw;
  const counted = /^\d+/.exec(raw?.string ?? "")?.[0];
  return counted === undefined ? raw?.value : Number(counted);
}

function times(value: number | undefined, unit: number): number | undefined {
  return value === undefined ? undefined : value * unit;
}

function ratio(percent: number | undefined): number | undefined {
  return percent === undefined ? undefined : percent / 100;
}
