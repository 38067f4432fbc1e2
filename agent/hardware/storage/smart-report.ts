import * as z from "../../kernel/zod.ts";
import { defined } from "../../kernel/defined.ts";
import { SocleError } from "../../kernel/errors.ts";

/** Warnings of a disk: the first six are bits of NVMe's critical warning, the last is the self-assessment of a SATA or SCSI disk. */
const diskWarnings = [
  "spare",
  "temperature",
  "reliability",
  "read_only",
  "volatile_backup",
  "persistent_memory",
  "self_assessment",
] as const;
export type DiskWarning = (typeof diskWarnings)[number];

/** Self-reported health of a disk. Values that it does not report are absent. */
export interface DiskHealth {
  /** Used share of the rated writes; may exceed 1. */
  readonly wearRatio?: number;
  /** Remaining spare blocks, and the vendor's threshold. */
  readonly spareRatio?: number;
  readonly spareThresholdRatio?: number;
  /** Unrecoverable read errors, since manufacture. */
  readonly mediaErrors?: number;
  readonly temperatureCelsius?: number;
  /** Since manufacture. */
  readonly powerOnSeconds?: number;
  readonly powerCycles?: number;
  readonly unsafeShutdowns?: number;
  readonly readBytes?: number;
  readonly writtenBytes?: number;
  /** Of a SATA or SCSI disk: reallocated sectors, pending sectors (unreadable until rewritten), and sectors that its self-tests could not read. */
  readonly reallocatedSectors?: number;
  readonly pendingSectors?: number;
  readonly uncorrectableSectors?: number;
  /** Only warnings that this kind of disk can report. */
  readonly warnings: ReadonlyMap<DiskWarning, boolean>;
}

const whole = z.number().int().min(0);
/** Informational values: an implausible value is dropped without affecting the others. */
const shown = z.number().min(0).optional().catch(undefined);
const uncorrected = z.object({ total_uncorrected_errors: shown }).optional();
const report = z.object({
  smartctl: z.object({
    exit_status: whole,
    messages: z.array(z.object({ string: z.string() })).optional(),
  }),
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
          // 64 bits, in which some vendors also encode times and temperatures.
          raw: z.object({ value: z.number().min(0), string: z.string().optional() }),
        }),
      ),
    })
    .optional(),
  scsi_grown_defect_list: shown,
  scsi_error_counter_log: z.object({ read: uncorrected, write: uncorrected, verify: uncorrected }).optional(),
});
type Report = z.output<typeof report>;

type SmartReport =
  | { readonly kind: "health"; readonly health: DiskHealth }
  | { readonly kind: "asleep" }
  /** The device reports no health: a virtual disk, a LUN. */
  | { readonly kind: "silent"; readonly reason: string }
  /** The device is a volume of a RAID controller. */
  | { readonly kind: "hidden"; readonly reason: string }
  | { readonly kind: "denied"; readonly reason: string };

const COMMAND_LINE_WRONG = 1;
const NOT_OPENED = 2;

/** Parses `smartctl --json -n standby -a`. Throws if the output is no report, or reports a failure. */
export function parseSmartReport(text: string): SmartReport {
  const parsed = report.parse(JSON.parse(text));
  const { exit_status: exit, messages = [] } = parsed.smartctl;
  const output = messages.map((message) => message.string).join("; ");
  // Higher bits describe the disk and come with a report.
  if ((exit & NOT_OPENED) !== 0) {
    if (/\b(STANDBY|SLEEP|IDLE)\b.* mode/i.test(output)) return { kind: "asleep" };
    if (/Permission denied|Operation not permitted/i.test(output)) return { kind: "denied", reason: output };
  }
  // smartctl names the option that reaches the disks behind the controller.
  if ((exit & NOT_OPENED) !== 0 && /\b(option|adding) '-d /i.test(output))
    return { kind: "hidden", reason: output };
  if ((exit & COMMAND_LINE_WRONG) !== 0 && /device type/i.test(output))
    return { kind: "silent", reason: output };
  const health = healthOf(parsed);
  if (health !== undefined) return { kind: "health", health };
  if ((exit & (COMMAND_LINE_WRONG | NOT_OPENED)) === 0)
    return { kind: "silent", reason: "it reports no health" };
  throw new SocleError(
    "unavailable",
    "DISK_NOT_READ",
    output === "" ? `smartctl ended with ${exit}` : output,
  );
}

function healthOf(parsed: Report): DiskHealth | undefined {
  const { nvme_smart_health_information_log: nvme, smart_status: status } = parsed;
  if (nvme === undefined && status === undefined) return undefined;
  return defined({
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
    warnings: warningsOf(nvme?.critical_warning, status?.passed),
  });
}

/** smartctl's own verdict on an NVMe disk only repeats the critical warning. */
function warningsOf(
  criticalWarning: number | undefined,
  passed: boolean | undefined,
): Map<DiskWarning, boolean> {
  if (criticalWarning === undefined)
    return new Map(passed === undefined ? [] : [["self_assessment", !passed]]);
  return new Map(
    diskWarnings.slice(0, 6).map((warning, bit) => [warning, (criticalWarning & (1 << bit)) !== 0]),
  );
}

/** Wear attributes whose normalised value counts down from 100. Matched by name, since vendors reuse the numbers. */
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

/** NVMe counts in units of 1,000 x 512 bytes for every sector size. */
const DATA_UNIT_BYTES = 512_000;
/** ATA attributes. */
const REPORTED_UNCORRECTABLE = 187;
const REALLOCATED = 5;
const PENDING = 197;
const OFFLINE_UNCORRECTABLE = 198;

/** Some vendors encode more than the count in the raw value; smartctl's text begins with the count. */
function countOf(parsed: Report, attribute: number): number | undefined {
  const raw = parsed.ata_smart_attributes?.table.find(({ id }) => id === attribute)?.raw;
  const counted = /^\d+/.exec(raw?.string ?? "")?.[0];
  return counted === undefined ? raw?.value : Number(counted);
}

const times = (value: number | undefined, unit: number): number | undefined =>
  value === undefined ? undefined : value * unit;

const ratio = (percent: number | undefined): number | undefined =>
  percent === undefined ? undefined : percent / 100;
