export type FamilyKind = "counter" | "gauge" | "histogram" | "summary";

/** A metric family: one name, one meaning, a fixed set of labels. */
export interface Family<L extends readonly string[] = readonly string[]> {
  /** As in the text format: a counter's name ends in `_total`. */
  readonly name: string;
  readonly help: string;
  readonly kind: FamilyKind;
  readonly labels: L;
}

export function counter(name: `${string}_total`, help: string): Family<readonly []>;
export function counter<const L extends readonly string[]>(
  name: `${string}_total`,
  help: string,
  labels: L,
): Family<L>;
export function counter(name: `${string}_total`, help: string, labels: readonly string[] = []): Family {
  return { name, help, kind: "counter", labels };
}

export function gauge(name: string, help: string): Family<readonly []>;
export function gauge<const L extends readonly string[]>(name: string, help: string, labels: L): Family<L>;
export function gauge(name: string, help: string, labels: readonly string[] = []): Family {
  return { name, help, kind: "gauge", labels };
}

/** A family of distributions: each is written as its buckets, its sum and its count. */
export interface HistogramFamily<L extends readonly string[] = readonly string[]> extends Family<L> {
  readonly kind: "histogram";
}

export function histogram(name: string, help: string): HistogramFamily<readonly []>;
export function histogram<const L extends readonly string[]>(
  name: string,
  help: string,
  labels: L,
): HistogramFamily<L>;
export function histogram(name: string, help: string, labels: readonly string[] = []): HistogramFamily {
  return { name, help, kind: "histogram", labels };
}

export type Format = "text" | "openmetrics";

export const contentTypes: Readonly<Record<Format, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** The last line of an exposition. */
export const trailers: Readonly<Record<Format, string>> = { text: "", openmetrics: "# EOF\n" };

const units = ["seconds", "bytes", "ratio", "celsius", "volts", "amperes", "watts", "joules", "hertz", "rpm"];

/**
 * The lines above a family's samples. Both formats have the same samples; OpenMetrics names a counter's family without
 * `_total`, and states the unit.
 */
export function header({ name, help, kind }: Family, format: Format): string {
  const escapedHelp = help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  if (format === "text") return `# HELP ${name} ${escapedHelp}\n# TYPE ${name} ${kind}\n`;
  const familyName = kind === "counter" ? name.replace(/_total$/, "") : name;
  const unit = units.find((candidate) => familyName.endsWith(`_${candidate}`));
  const unitLine = unit === undefined ? "" : `# UNIT ${familyName} ${unit}\n`;
  return `# TYPE ${familyName} ${kind}\n${unitLine}# HELP ${familyName} ${escapedHelp.replaceAll('"', '\\"')}\n`;
}

/** `name{label="value",...} `, ready for the value. */
export function samplePrefix(
  name: string,
  labels: readonly string[],
  values: readonly (string | number)[],
): string {
  if (labels.length === 0) return `${name} `;
  const pairs = labels.map((label, index) => `${label}="${escapeLabel(String(values[index]))}"`);
  return `${name}{${pairs.join(",")}} `;
}

const escapeLabel = (value: string): string =>
  value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");

/** A sample's value in both formats. */
export function formatValue(value: number): string {
  if (Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? "+Inf" : "-Inf";
}
