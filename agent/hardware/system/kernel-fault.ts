import { defined } from "../../kernel/defined.ts";
export const kernelFaultKinds = [
  "oops",
  "lockup",
  "hung_task",
  "machine_check",
  "io_error",
  "oom_kill",
] as const;
export type KernelFaultKind = (typeof kernelFaultKinds)[number];

export interface KernelFault {
  readonly kind: KernelFaultKind;
  /** Since boot. */
  readonly atMs: number;
  /** The kernel's message. */
  readonly text: string;
  /** Name of the affected task, if the kernel reports it. */
  readonly task?: string;
  /** Of a machine check: data was lost. */
  readonly isUncorrected?: boolean;
}

const FAULTS_KEPT = 64;
/** Window for the lines of one fault: further lines of its kind within it count as the same fault. */
const SAME_FAULT_MS = 1000;
const TEXT_CHARACTERS = 200;
/** IA32_MCi_STATUS: the error was not corrected. */
const STATUS_UNCORRECTED = 1n << 61n;

const PATTERNS: readonly (readonly [KernelFaultKind, RegExp])[] = [
  [
    "lockup",
    /soft lockup|hard LOCKUP|BUG: workqueue lockup|rcu: INFO: \S+ (self-)?detected (expedited )?stall/i,
  ],
  ["hung_task", /^INFO: task (?<task>.+):\d+ blocked( in I\/O wait)? for more than \d+ seconds/],
  [
    "oops",
    // CPU exceptions, "divide error: 0000 [#1]", matched by the kernel's oops counter.
    /^(BUG: |kernel BUG at |Oops|general protection fault|Internal error: )|[Uu]nable to handle kernel |: [0-9a-f]{4,16} \[#\d+\]/,
  ],
  ["machine_check", /\bMachine [Cc]heck\b|^Memory failure: 0x|^\[Hardware Error\]: .*\bMC\d+_STATUS\[/],
  [
    "io_error",
    /\b(I\/O|critical medium|critical space allocation|protection|timeout) error, dev \S+|^Buffer I\/O error on dev /,
  ],
  ["oom_kill", /^(Memory cgroup out of memory|Out of memory): Killed process \d+ \((?<task>[^)]*)\)/],
];

/**
 * Firmware reports (APEI) come in parts: first the severity, then the section type. A bus error loses no memory: the
 * device's own counters cover it (pcie.ts).
 */
const REPORT = /^(\{\d+\})\[Hardware Error\]: +event severity: (\w+)/;
const REPORT_PART = /^(\{\d+\})\[Hardware Error\]: +section[_ ]type: (.*)/;

/** Counts up to this record of the log. */
export interface CountedFaults {
  readonly record: number;
  readonly counts: Readonly<Record<string, number>>;
}

/** Collects faults from the kernel's log, record by record. */
export class KernelFaults {
  readonly #counts: Map<KernelFaultKind, number>;
  readonly #countedTo: number;
  #newest: readonly KernelFault[] = [];
  /** The firmware report that is being read. */
  #report: { readonly id: string; readonly severity: string } | undefined;

  constructor(before: CountedFaults = { record: -1, counts: {} }) {
    this.#counts = new Map(kernelFaultKinds.map((kind) => [kind, before.counts[kind] ?? 0]));
    this.#countedTo = before.record;
  }

  get counts(): ReadonlyMap<KernelFaultKind, number> {
    return this.#counts;
  }

  /** Oldest first. */
  get newest(): readonly KernelFault[] {
    return this.#newest;
  }

  /** `record`: as in /dev/kmsg, "3,1234,5678901,-;words", without continuation lines. */
  take(record: string): void {
    const [, priority, number, microseconds, text] = /^(\d+),(\d+),(\d+),[^;]*;(.*)/.exec(record) ?? [];
    // User space can also write to the log, under other facilities than the kernel's.
    if (text === undefined || Number(priority) >= 8) return;
    const atMs = Number(microseconds) / 1000;
    const before = this.#newest.at(-1);
    const [, task] = /\bComm: (.+?) (?:Not tainted|Tainted|Kdump)/.exec(text) ?? [];
    if (task !== undefined && before !== undefined && before.task === undefined) {
      if (atMs - before.atMs < SAME_FAULT_MS) this.#replaceLast({ ...before, task });
      return;
    }
    const fault = this.#reported(text, atMs) ?? faultOf(text, atMs);
    if (fault === undefined) return;
    if (before?.kind === fault.kind && before.task === fault.task && atMs - before.atMs < SAME_FAULT_MS) {
      if (fault.isUncorrected === true && before.isUncorrected !== true) this.#replaceLast(fault);
      return;
    }
    if (Number(number) > this.#countedTo)
      this.#counts.set(fault.kind, (this.#counts.get(fault.kind) ?? 0) + 1);
    this.#newest = [...this.#newest, fault].slice(-FAULTS_KEPT);
  }

  #reported(text: string, atMs: number): KernelFault | undefined {
    const [, id, reportSeverity = ""] = REPORT.exec(text) ?? [];
    if (id !== undefined) this.#report = { id, severity: reportSeverity };
    const [, of, part = ""] = REPORT_PART.exec(text) ?? [];
    if (of === undefined || of !== this.#report?.id) return undefined;
    const { severity } = this.#report;
    return {
      kind: "machine_check",
      atMs,
      text: `${text.slice(0, TEXT_CHARACTERS)} (${severity})`,
      isUncorrected: /^(recoverable|fatal)$/.test(severity) && !part.startsWith("PCIe"),
    };
  }

  #replaceLast(fault: KernelFault): void {
    this.#newest = [...this.#newest.slice(0, -1), fault];
  }
}

function faultOf(text: string, atMs: number): KernelFault | undefined {
  for (const [kind, pattern] of PATTERNS) {
    const match = pattern.exec(text);
    if (match === null) continue;
    const task = match.groups?.["task"] ?? /\[([^\]]+):\d+\]$/.exec(kind === "lockup" ? text : "")?.[1];
    return defined({
      kind,
      atMs,
      text: text.slice(0, TEXT_CHARACTERS),
      task,
      isUncorrected: kind === "machine_check" ? isUncorrected(text) : undefined,
    });
  }
  return undefined;
}

function isUncorrected(text: string): boolean {
  if (/Exception|^Memory failure/.test(text)) return true;
  // AMD's, decoded by the kernel (drivers/edac/mce_amd.c): UE, CE, or "-" for deferred: lost but not yet used.
  if (/_STATUS\[[^|]*\|(UE|-)\|/.test(text)) return true;
  const [, status] = /Bank \d+: ([0-9a-f]{16})/.exec(text) ?? [];
  return status !== undefined && (BigInt(`0x${status}`) & STATUS_UNCORRECTED) !== 0n;
}
