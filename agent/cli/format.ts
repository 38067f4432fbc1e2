import type { Timestamp__Output } from "../gen/google/protobuf/Timestamp.ts";

export { formatBytes } from "../kernel/text/bytes.ts";

const factors: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ["k", 2 ** 10],
  ["kib", 2 ** 10],
  ["m", 2 ** 20],
  ["mib", 2 ** 20],
  ["g", 2 ** 30],
  ["gib", 2 ** 30],
  ["t", 2 ** 40],
  ["tib", 2 ** 40],
  ["kb", 1e3],
  ["mb", 1e6],
  ["gb", 1e9],
  ["tb", 1e12],
]);

/** "2GiB", "512M" (binary, as virsh takes it), "1GB" (decimal) or plain bytes; undefined when it is none of these. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const factor = factors.get(match?.[2]?.toLowerCase() ?? "");
  if (match === null || factor === undefined) return undefined;
  const bytes = Math.round(Number(match[1]) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** 90061000 ms as "1d1h"; the two largest units. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)}s`;
  const parts: string[] = [];
  let left = Math.floor(seconds);
  for (const [unit, size] of [
    ["d", 86_400],
    ["h", 3600],
    ["m", 60],
    ["s", 1],
  ] as const) {
    if (left >= size || parts.length > 0) parts.push(`${Math.floor(left / size)}${unit}`);
    left %= size;
  }
  return parts
    .slice(0, 2)
    .filter((part, index) => index === 0 || !part.startsWith("0"))
    .join("");
}

/** "90s", "1500ms", "5m", "1h" or plain seconds, in milliseconds; undefined when it is none of these. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim());
  if (match === null) return undefined;
  const factor = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? "s"];
  return factor === undefined ? undefined : Math.round(Number(match[1]) * factor);
}

export const toMs = (time: Timestamp__Output | null | undefined): number | undefined =>
  time === null || time === undefined ? undefined : time.seconds * 1000 + time.nanos / 1e6;

export const toDuration = (ms: number): { seconds: number; nanos: number } => ({
  seconds: Math.floor(ms / 1000),
  nanos: (ms % 1000) * 1e6,
});

/** Age of a time; "-" when unknown. */
export function formatAge(time: Timestamp__Output | null | undefined, nowMs: number): string {
  const ms = toMs(time);
  return ms === undefined
    ? "-"
    : formatDuration(Math.floor((nowMs - ms) / 1000) * 1000).replace(/\.0s$/, "s");
}

/** "VM_STATE_RUNNING" as "running". A value of a newer agent arrives as its number. */
export const enumWord = (value: string | number, prefix: string): string =>
  String(value)
    .replace(new RegExp(`^${prefix}_`), "")
    .toLowerCase();

/**
 * Makes foreign text safe for a terminal: no control characters, no line or paragraph separators, and no characters of
 * zero width or that change the writing direction (all of Unicode's Cf: U+200B, U+2060, U+FEFF, U+202E, ...).
 */
export const printable = (text: string): string => text.replace(UNPRINTABLE, "\ufffd");

/** A value as JSON in which the characters that `printable` removes are escaped. */
export const printableJson = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replace(UNPRINTABLE, (character) =>
    character === "\n"
      ? character
      : character
          .split("")
          .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
          .join(""),
  );

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** In UTC, to the second: "2026-03-01T12:00:00Z"; "-" for none. */
export const formatTime = (time: Timestamp__Output | null | undefined): string =>
  time == null ? "-" : new Date(time.seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
