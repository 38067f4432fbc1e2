import type { HostHealth } from "../host/host.ts";

type HostCondition = HostHealth["conditions"][number];

interface ShownCondition extends HostCondition {
  /** The number of all subjects, including those left out of `subjects` because their names are paths. */
  readonly subjectCount: number;
}

export interface ShownHealth extends Omit<HostHealth, "conditions"> {
  readonly conditions: readonly ShownCondition[];
}

/**
 * Conditions whose evidence is a measurement in Socle's own words. Other evidence quotes libvirt, QEMU, the kernel, the
 * journal or a person: the page has no login and shows only their reason.
 */
const MEASURED: ReadonlySet<string> = new Set([
  "BondDegraded",
  "CertificateExpiring",
  "ClockUnsynced",
  "DiskFailing",
  "DiskSpace",
  "DiskWear",
  "Fan",
  "MemoryCorrected",
  "MemoryPressure",
  "MemoryUncorrected",
  "PcieErrors",
  "Psu",
  "RaidDegraded",
  "Thermal",
]);

const PATH = /(?<![\p{L}\p{N}])\/[^\s,;:()"']*/gu;

/** Evidence of a condition for the public: without paths, empty where it may contain quotes. */
export const publicEvidence = (condition: string, evidence: string): string =>
  MEASURED.has(condition) ? evidence.replace(PATH, "…") : "";

export function publicHealth(health: HostHealth): ShownHealth {
  const conditions = health.conditions.map((condition) => ({
    ...condition,
    evidence: publicEvidence(condition.type, condition.evidence),
    subjects: condition.subjects.filter((subject) => !subject.startsWith("/")),
    subjectCount: condition.subjects.length,
  }));
  return { ...health, conditions };
}
