import type { Condition__Output } from "../../gen/socle/v1/Condition.ts";
import type { Host__Output } from "../../gen/socle/v1/Host.ts";
import type { Vm__Output } from "../../gen/socle/v1/Vm.ts";
import { Effect } from "../../gen/socle/v1/Effect.ts";
import { isOpen } from "../commands/health.ts";
import { stateText } from "../commands/vm-list.ts";
import { enumWord, formatAge, formatBytes, formatDuration, printable, toMs } from "../format.ts";
import { scratchText } from "../backup/all-backups.ts";
import type { Colour, Paint } from "../io.ts";
import { transferText } from "../transfer.ts";
import { isSeen, othersText, paintState } from "../vm-sight.ts";
import { clip, pad, widthOf } from "../width.ts";
import { arrange, readingOf, type Look, type SortName, type Choice } from "./view.ts";

interface Size {
  readonly columns: number;
  readonly rows: number;
}

interface Column {
  readonly title: string;
  readonly sort?: SortName;
  readonly width: number;
  readonly cell: (vm: Vm__Output) => string;
}

const UNKNOWN = "-";
const BAR = 16;
/** Left out from the end where the terminal is narrow. */
const columns: readonly Column[] = [
  {
    title: "STATE",
    width: 18,
    cell: (vm) => (isDeaf(vm) ? "unresponsive" : stateText(vm)),
  },
  { title: "CPU", sort: "cpu", width: 6, cell: (vm) => percent(readingOf(vm).cpuRatio) },
  { title: "RSS", sort: "memory", width: 10, cell: (vm) => bytes(readingOf(vm).residentBytes) },
  { title: "DISK/s", sort: "disk", width: 11, cell: (vm) => bytes(readingOf(vm).diskBytesPerSecond) },
  { title: "NET/s", sort: "network", width: 11, cell: (vm) => bytes(readingOf(vm).networkBytesPerSecond) },
  { title: "VCPUS", width: 6, cell: ({ vcpus }) => String(vcpus) },
  { title: "MEMORY", width: 10, cell: ({ memoryBytes }) => formatBytes(memoryBytes) },
  {
    title: "TENANT",
    width: 14,
    cell: ({ tenant, managed }) => (managed ? tenant || UNKNOWN : "(unmanaged)"),
  },
];
/** Notices above the VMs; the last counts the hidden ones. */
const MOST_NOTICES = 4;
const MOST_JOBS = 4;
const LEFT: ReadonlySet<string> = new Set(["STATE", "TENANT"]);
const NARROWEST_NAME = 12;
const WIDEST_NAME = 40;

interface Frame {
  /** Fits the width, one line per row. */
  readonly lines: readonly string[];
  /** Index of the first visible VM, limited so that the last page is full. */
  readonly offset: number;
}

interface View {
  readonly choice: Choice;
  readonly size: Size;
  /** Why the data is not current. */
  readonly failure: string | undefined;
  readonly nowMs: number;
}

export function frame(seen: Look, { choice, size, failure, nowMs }: View, paint: Paint): Frame {
  const wanted = arrange(seen.vms, choice);
  const head = [
    ...hostLines(seen.host, size.columns, paint),
    ...atMost(notices(seen, failure, nowMs), MOST_NOTICES, "socle health", size.columns).map((text) =>
      paint("yellow", clip(text, size.columns)),
    ),
  ];
  head.push(...jobLines(seen, size.columns, nowMs).map((text) => clip(text, size.columns)));
  const rows = Math.max(0, size.rows - head.length - 3);
  const offset = Math.max(0, Math.min(choice.offset, wanted.length - rows));
  const table = tableLines(wanted.slice(offset, offset + rows), size.columns, choice.sort, paint);
  const range =
    rows > 0 && wanted.length > rows ? `${offset + 1}-${Math.min(offset + rows, wanted.length)} of ` : "";
  const lines = [
    ...head,
    paint("dim", clip(summary(seen, wanted.length, range, nowMs), size.columns)),
    ...table,
  ];
  const whole = lines.slice(0, Math.max(0, size.rows - 1));
  while (whole.length < size.rows - 1) whole.push("");
  return { lines: [...whole, foot(choice, size.columns, paint)].slice(0, size.rows), offset };
}

/** The whole host as wide as the terminal; without one, nothing is cut off. */
export function page(seen: Look, choice: Choice, paint: Paint, nowMs: number): string {
  const conditions = seen.host.health?.conditions.length ?? 0;
  const size = { columns: paint.width ?? Infinity, rows: seen.vms.length + conditions + 20 };
  const { lines } = frame(seen, { choice, size, failure: undefined, nowMs }, paint);
  return `${lines
    .slice(0, -1)
    .map((line) => line.trimEnd())
    .join("\n")
    .trimEnd()}\n`;
}

function hostLines(
  { identity, health, usage, schedulingState }: Host__Output,
  width: number,
  paint: Paint,
): string[] {
  const effect = enumWord(health?.state ?? "", "EFFECT");
  const isCordoned = schedulingState === "LIFECYCLE_STATE_CORDONED";
  const words: [string, Colour | undefined][] = [
    [printable(identity?.hostname ?? ""), "bold"],
    [
      effect === "none" ? "ok" : effect,
      effect === "none" ? "green" : effect === "degraded" ? "yellow" : "red",
    ],
    [isCordoned ? "cordoned" : "active", isCordoned ? "yellow" : undefined],
  ];
  const { cpuBusyRatio, memoryTotalBytes, memoryAvailableBytes } = usage ?? {};
  const isKnown = memoryTotalBytes !== undefined && memoryAvailableBytes !== undefined;
  const used = isKnown ? memoryTotalBytes - memoryAvailableBytes : undefined;
  const memory =
    isKnown && used !== undefined ? `${formatBytes(used)} of ${formatBytes(memoryTotalBytes)}` : "unknown";
  const gauges = [
    `cpu ${bar(cpuBusyRatio)} ${percent(cpuBusyRatio)}`,
    `memory ${bar(used === undefined ? undefined : used / (memoryTotalBytes ?? 1))} ${memory}`,
  ];
  const isNarrow = width < gauges.join("   ").length;
  return [
    line(words, width, paint),
    ...(isNarrow ? gauges : [gauges.join("   ")]).map((text) => clip(text, width)),
  ];
}

function notices({ host, complete, vms }: Look, failure: string | undefined, nowMs: number): string[] {
  const texts: string[] = [];
  if (failure !== undefined) texts.push(failure);
  if (!complete && vms.some(isSeen)) texts.push(othersText);
  else if (!complete) {
    const newestMs = vms.reduce((ms, { observation }) => Math.max(ms, toMs(observation?.observedAt) ?? 0), 0);
    const what =
      vms.length === 0
        ? "VM list unavailable: libvirt has not reported all VMs yet"
        : `libvirt does not answer: the VMs are unknown, as last seen ${formatDuration(nowMs - newestMs)} ago`;
    texts.push(what);
  }
  const open = (host.health?.conditions ?? []).filter(isOpen);
  for (const { type, status, evidence } of open.sort((a, b) => severity(b) - severity(a)))
    texts.push(`${type} ${enumWord(status, "TRUTH")}: ${evidence}`);
  return texts.map(printable);
}

/**
 * Copies under way, one a line: "MOVE_DISK web-1 43%  1.5 GiB of 3 GiB, 85 MiB/s, 18s left", then open backups: "backup of web-1
 * open for 3m, scratch 1.5 MiB of 10 GiB, abandoned in 9m without a reader".
 */
function jobLines({ jobs, openBackups, vms }: Look, width: number, nowMs: number): string[] {
  const names = new Map(vms.map(({ vmId, name }) => [vmId, name]));
  const copies = jobs.map((job) => {
    const { kind, vmId, imageId, volume, progress } = job;
    const subject = names.get(vmId) ?? (vmId || imageId || volume);
    return printable(`${kind} ${subject} ${percent(progress)}  ${transferText(job)}`);
  });
  const open = openBackups.map((backup) => {
    const { vmId, createdAt, leaseExpiresAt } = backup;
    const leftMs = (toMs(leaseExpiresAt) ?? nowMs) - nowMs;
    const lease = leftMs > 0 ? `, abandoned in ${formatDuration(leftMs)} without a reader` : "";
    const age = formatAge(createdAt, nowMs);
    return printable(
      `backup of ${names.get(vmId) ?? vmId} open for ${age}, scratch ${scratchText(backup)}${lease}`,
    );
  });
  return [
    ...atMost(copies, MOST_JOBS, "socle operations --running", width),
    ...atMost(open, MOST_JOBS, "socle vm backup ls --open", width),
  ];
}

const effects = Object.values(Effect);

/** By effect on VMs; of the same effect, TRUE before UNKNOWN. */
const severity = ({ effect, status }: Condition__Output): number =>
  2 * effects.indexOf(effect) + (status === "TRUTH_TRUE" ? 1 : 0);

/** As many as fit above the VMs, and the command that shows all. */
function atMost(texts: readonly string[], most: number, all: string, width: number): readonly string[] {
  if (texts.length <= most || width === Infinity) return texts;
  const shown = texts.slice(0, most - 1);
  return [...shown, `and ${texts.length - shown.length} more: ${all}`];
}

const isDeaf = (vm: Vm__Output): boolean => isSeen(vm) && vm.stats?.unresponsive === true;

/** "2 running, 1 stopped, 1 unresponsive" */
function tally(vms: readonly Vm__Output[]): string {
  const counts = new Map<string, number>();
  for (const vm of vms) {
    const word = !isSeen(vm) ? "unknown" : isDeaf(vm) ? "unresponsive" : enumWord(vm.state, "VM_STATE");
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([word, count]) => `${count} ${word}`)
    .join(", ");
}

function summary({ vms, complete }: Look, wanted: number, range: string, nowMs: number): string {
  if (vms.length === 0) return complete ? "no VMs" : "VMs: unknown";
  const sampled = vms
    .flatMap(({ stats }) => (stats === null ? [] : [stats.sampledAt]))
    .reduce((newest, time) => ((toMs(time) ?? 0) > (toMs(newest) ?? 0) ? time : newest), null);
  const shown = wanted === vms.length ? "" : `${wanted} shown, `;
  const read = sampled === null ? "" : `, read ${formatAge(sampled, nowMs)} ago`;
  return `${range}${vms.length} VMs: ${shown}${tally(vms)}${read}`;
}

function tableLines(vms: readonly Vm__Output[], width: number, sort: SortName, paint: Paint): string[] {
  const shown: Column[] = [];
  let left = width - NARROWEST_NAME;
  // Where nothing is cut off, a column is as wide as its content.
  const longest = (least: number, cell: (vm: Vm__Output) => string): number =>
    width === Infinity
      ? vms.reduce((most, vm) => Math.max(most, widthOf(printable(cell(vm)))), least)
      : least;
  for (const column of columns) {
    if (left < column.width + 1) break;
    shown.push({ ...column, width: longest(column.width, column.cell) });
    left -= column.width + 1;
  }
  const widest = longest(WIDEST_NAME, ({ name }) => name);
  const nameWidth = Math.max(1, Math.min(NARROWEST_NAME + left, widest, width));
  const title = [
    fitted(sort === "name" ? "NAME*" : "NAME", nameWidth),
    ...shown.map((column) => {
      const text = column.sort === sort ? `${column.title}*` : column.title;
      return fitted(text, column.width, alignOf(column));
    }),
  ].join(" ");
  return [paint("bold", title), ...vms.map((vm) => row(vm, shown, nameWidth, paint))];
}

function row(vm: Vm__Output, shown: readonly Column[], nameWidth: number, paint: Paint): string {
  const cells = shown.map((column) => {
    const text = fitted(printable(column.cell(vm)), column.width, alignOf(column));
    return column.title === "STATE" ? paintState(text, paint) : text;
  });
  return [fitted(printable(vm.name), nameWidth), ...cells].join(" ");
}

function foot({ typing, filter, reversed }: Choice, width: number, paint: Paint): string {
  if (typing) return clip(`filter: ${printable(filter)}_  (Enter: keep, Esc: none)`, width);
  const filtered = filter === "" ? "" : `   filter: ${printable(filter)}`;
  const keys = `q quit  c cpu  m memory  d disk  n network  a name  r ${reversed ? "unreverse" : "reverse"}  / filter`;
  return paint("dim", clip(`${keys}${filtered}`, width));
}

const percent = (ratio: number | undefined): string =>
  ratio === undefined ? UNKNOWN : `${Math.round(ratio * 100)}%`;
const bytes = (value: number | undefined): string =>
  value === undefined ? UNKNOWN : formatBytes(Math.round(value));

/** `####....`; unknown is neither full nor empty. */
function bar(ratio: number | undefined): string {
  if (ratio === undefined) return `[${"?".repeat(BAR)}]`;
  const full = Math.round(Math.min(1, Math.max(0, ratio)) * BAR);
  return `[${"#".repeat(full)}${".".repeat(BAR - full)}]`;
}

const alignOf = ({ title }: Column): "left" | "right" => (LEFT.has(title) ? "left" : "right");

const fitted = (text: string, width: number, align?: "left" | "right"): string =>
  pad(widthOf(text) > width ? `${clip(text, width - 1)}…` : text, width, align);

/** Items two blanks apart, as many as fit. */
function line(
  words: readonly (readonly [string, Colour | undefined])[],
  width: number,
  paint: Paint,
): string {
  let left = width;
  const painted: string[] = [];
  for (const [word, colour] of words) {
    const text = clip(word, left);
    if (text === "") break;
    painted.push(colour === undefined ? text : paint(colour, text));
    left = Math.max(0, left - widthOf(text) - 2);
  }
  return painted.join("  ");
}
