import { s } from "./dom.js";
import { bytes } from "./format.js";

/** @typedef {import("./store.js").Cell["resources"][number]} Resource */
/** @typedef {{ key: number, name: string, amount: number }} Slice */

export const BAR_HEIGHT = 34;
/** @type {Record<string, string>} */
const NAMES = {
  cpu: "vCPUs",
  cpu_dedicated: "dedicated CPUs",
  memory: "memory",
  memory_2m: "2 MiB pages",
  memory_1g: "1 GiB pages",
};

/** @param {string} resource @param {number} value */
const amount = (resource, value) => (resource.startsWith("cpu") ? String(value) : bytes(value));

/**
 * A resource to scale: reserved, allocated, claimed, unhealthy and free; single VMs' slices are cut out of the allocated
 * part. Overcommit goes beyond the mark.
 * @param {Resource} of
 * @param {{ x: number, y: number, width: number, slices: readonly Slice[], selected: number | undefined, known: boolean, freeBytes?: number }} place
 */
export function bar(of, { x, y, width, slices, selected, known, freeBytes }) {
  const { resource, total, reserved, allocated, claimed, unhealthy, overcommitRatio: ratio, available } = of;
  const whole = total * ratio;
  /** @type {readonly (readonly [string, number])[]} */
  const parts = [
    ["reserved", reserved * ratio],
    ["allocated", allocated ?? 0],
    ["claimed", claimed],
    ["unhealthy", unhealthy * ratio],
    ["free", Math.max(0, available ?? 0)],
  ];
  const sum = parts.reduce((all, [, value]) => all + value, 0);
  const scale = width / Math.max(whole, sum, 1);
  const top = y + 17;
  const over = available !== undefined && available < 0;
  const free =
    available === undefined
      ? "free capacity is unknown"
      : over
        ? `${amount(resource, -available)} too many`
        : `${amount(resource, available)} free`;
  const of_ =
    ratio === 1
      ? amount(resource, total)
      : `${amount(resource, Math.round(whole))} (${amount(resource, total)} × ${ratio})`;
  const summary = parts
    .filter(([, value]) => value > 0)
    .map(([name, value]) => `${name} ${amount(resource, Math.round(value))}`)
    .join(", ");
  const group = s(
    "g",
    { class: known ? "resource" : "resource unsure" },
    s("title", {}, `${NAMES[resource] ?? resource}: ${summary}, of ${of_}`),
    s("text", { x, y: y + 11, class: "label" }, NAMES[resource] ?? resource),
    s(
      "text",
      { x: x + width, y: y + 11, class: over ? "number over" : "number" },
      `${known || available === undefined ? "" : "as last seen: "}${free} of ${of_}`,
    ),
    s("rect", { x, y: top, width, height: 10, class: "track" }),
  );
  let at = x;
  for (const [name, value] of parts) {
    const length = value * scale;
    if (name !== "free" && length > 0)
      group.append(s("rect", { x: at, y: top, width: length, height: 10, class: `part ${name}` }));
    if (name === "allocated")
      group.append(...cuts(slices, { x: at, y: top, width: length, scale, selected }));
    at += length;
  }
  if (sum > whole + 0.5)
    group.append(s("path", { d: `M${x + whole * scale} ${top - 3}v16`, class: "limit" }));
  // The kernel's free memory, beside the allocated amount.
  if (freeBytes !== undefined && resource === "memory") {
    const used = Math.max(0, total - freeBytes) * scale * ratio;
    group.append(
      s(
        "path",
        { d: `M${x} ${top + 12.5}h${Math.min(width, used)}`, class: "really" },
        s("title", {}, `the kernel has ${bytes(freeBytes)} free`),
      ),
    );
  }
  return group;
}

/** @param {readonly Slice[]} slices @param {{ x: number, y: number, width: number, scale: number, selected: number | undefined }} place */
function* cuts(slices, { x, y, width, scale, selected }) {
  let at = x;
  for (const { key, name, amount: value } of slices) {
    const length = Math.min(value * scale, x + width - at);
    if (length <= 0) return;
    const isSelected = key === selected;
    // Thinner ones would look like a solid wall.
    if (length >= 4 || isSelected) {
      yield s(
        "rect",
        {
          x: at,
          y,
          width: Math.max(1, length - 1),
          height: 10,
          class: isSelected ? "slice selected" : "slice",
          "data-key": key,
        },
        s("title", {}, name),
      );
    }
    at += length;
  }
}
