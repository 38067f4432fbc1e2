const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** 1536 MiB as "1.5 GiB". */
export const formatBytes = (bytes: number): string => scaled(bytes).text;

/** The same, followed by the exact figure if rounded: "1.5 GiB (1610612737 bytes)". */
export function formatExactBytes(bytes: number): string {
  const { text, bytes: rounded } = scaled(bytes);
  return rounded === bytes ? text : `${text} (${bytes} bytes)`;
}

function scaled(bytes: number): { readonly text: string; readonly bytes: number } {
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || Number.isInteger(value) || value >= 100 ? 0 : 1;
  const number = `${bytes < 0 ? "-" : ""}${value.toFixed(digits)}`;
  return { text: `${number} ${units[unit] ?? ""}`, bytes: Number(number) * 1024 ** unit };
}
