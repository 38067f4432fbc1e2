const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** 1536 MiB as "1.5 GiB". @param {number} bytes */
export function bytes(bytes) {
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : 1;
  return `${bytes < 0 ? "−" : ""}${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** @param {number} bytesPerSecond */
export const rate = (bytesPerSecond) => (bytesPerSecond < 1 ? "0" : `${bytes(Math.round(bytesPerSecond))}/s`);

/** CPU time in cores as a share of the vCPUs. @param {number} cores @param {number} vcpus */
export const share = (cores, vcpus) => `${Math.round((cores / Math.max(1, vcpus)) * 100)}%`;

/** 90061000 ms as "1d 1h"; the two largest units. @param {number} ms */
export function duration(ms) {
  let left = Math.max(0, Math.floor(ms / 1000));
  /** @type {string[]} */
  const parts = [];
  /** @type {readonly [string, number][]} */
  const sizes = [
    ["d", 86_400],
    ["h", 3600],
    ["m", 60],
    ["s", 1],
  ];
  for (const [unit, size] of sizes) {
    if (left >= size || parts.length > 0 || unit === "s") parts.push(`${Math.floor(left / size)}${unit}`);
    left %= size;
  }
  return parts
    .slice(0, 2)
    .filter((part, index) => index === 0 || !part.startsWith("0"))
    .join(" ");
}

/** In the reader's time zone. @param {number} ms */
export const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });

/** SOME_WORDS, some_words or SomeWords as "some words". @param {string} name */
export const words = (name) =>
  name
    .replaceAll("_", " ")
    .replace(/(?<=[a-z0-9])(?=[A-Z])/g, " ")
    .toLowerCase();
