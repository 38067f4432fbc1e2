import { byId, h, rebuild, s } from "./dom.js";
import { bytes } from "./format.js";
import { drawCell, numbersOf } from "./cell.js";
import { seats, tally } from "./seats.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Host} Host */

const NARROWEST = 310;
const GAP = 12;

/** The host: cells side by side, VMs that float over them, storage and networks. @param {Store} store */
export function drawHost(store) {
  const { host } = store;
  const place = byId("drawing");
  const width = place.clientWidth;
  if (host === undefined || width === 0) return;
  const { cells, dedicatedCpus, devices, pools, networks, usage, vms: seen } = host;
  const facts = {
    cells,
    dedicatedCpus,
    devices,
    pools: pools.map(({ observedAtMs: _, ...pool }) => pool),
    networks,
    free: usage.cells,
    complete: seen.complete,
  };
  rebuild(place, [facts, store.generation, store.selected, width], () => {
    const selected = store.selected === undefined ? undefined : store.vms.get(store.selected);
    const vms = [...store.vms.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    const dedicated = new Set(numbersOf(dedicatedCpus));
    const ids = new Set(cells.map(({ id }) => id));
    const floating = vms.filter((vm) => !vm.cells.some((id) => ids.has(id)));
    const columns = Math.max(1, Math.min(cells.length, 4, Math.floor((width + GAP) / (NARROWEST + GAP))));
    const cellWidth = Math.floor((width - (columns - 1) * GAP) / columns);
    return [
      cells.length === 0 && h("p", { class: "unsure" }, "The NUMA cells of this host are unknown."),
      h(
        "div",
        { class: "cells" },
        ...cells.map((cell) =>
          drawCell(cell, {
            width: cellWidth,
            vms: vms.filter((vm) => vm.cells.includes(cell.id)),
            selected,
            known: seen.complete,
            freeBytes: usage.cells.find(({ id }) => id === cell.id)?.memoryFreeBytes,
            alone: cells.length === 1,
            all: vms,
            dedicated,
            // Devices without a cell are shown with the first.
            devices: devices.filter((of) => (of.cell ?? cells[0]?.id) === cell.id),
          }),
        ),
      ),
      floating.length > 0 && drawFloating(floating, width, selected?.key, cells.length > 1),
      pools.length + networks.length > 0 &&
        h("div", { class: "below" }, ...pools.map(drawPool), ...networks.map(drawNetwork)),
      legend(),
    ];
  });
}

/** @param {readonly import("./store.js").Vm[]} vms @param {number} width @param {number | undefined} selected @param {boolean} many */
function drawFloating(vms, width, selected, many) {
  const { element, height } = seats(vms, { x: 0, y: 22, width, size: vms.length > 300 ? 8 : 12, selected });
  const words = many ? "on any cell" : "guests";
  return s(
    "svg",
    {
      width,
      height: height + 24,
      viewBox: `0 0 ${width} ${height + 24}`,
      role: "img",
      "aria-label": `${words}: ${tally(vms)}`,
      class: "floating",
    },
    s("text", { x: 0, y: 14, class: "label" }, `${words}: ${tally(vms)}`),
    element,
  );
}

/** @param {Host["pools"][number]} pool */
function drawPool(pool) {
  const { name, type, active, presence, capacityBytes, allocatedBytes, availableBytes, provisionedBytes } =
    pool;
  const known = presence === "present" && active && capacityBytes !== undefined && capacityBytes > 0;
  const state = presence === "unknown" ? "not known now" : active ? undefined : "inactive";
  const used = known && availableBytes !== undefined ? (capacityBytes - availableBytes) / capacityBytes : 0;
  const sold = known && allocatedBytes !== undefined ? Math.min(1, allocatedBytes / capacityBytes) : 0;
  const svg = s(
    "svg",
    { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true", class: "pool" },
    s("rect", { width: 100, height: 6, class: "track" }),
    s("rect", { width: used * 100, height: 6, class: "part others" }),
    s("rect", { width: Math.min(sold, used) * 100, height: 6, class: "part allocated" }),
  );
  return h(
    "div",
    { class: known ? "store" : "store unsure" },
    h("span", {}, h("b", {}, name), ` ${type} pool`),
    h(
      "span",
      { class: "free" },
      state ??
        (known && availableBytes !== undefined
          ? `${bytes(availableBytes)} free of ${bytes(capacityBytes)}` +
            (provisionedBytes === undefined ? "" : `, ${bytes(provisionedBytes)} sold`)
          : "size unknown"),
    ),
    svg,
  );
}

/** @param {Host["networks"][number]} network */
function drawNetwork({ name, bridge, active, presence }) {
  const isKnown = presence === "present";
  return h(
    "div",
    { class: active && isKnown ? "store network" : "store network unsure" },
    h("span", {}, h("b", {}, name), " network"),
    h("span", { class: "free" }, isKnown ? (active ? bridge || "active" : "inactive") : "not known now"),
  );
}

function legend() {
  /** @type {readonly (readonly [string, string])[]} */
  const parts = [
    ["part reserved", "kept for the host"],
    ["part allocated", "allocated"],
    ["part claimed", "claimed"],
    ["part others", "used in a pool by other data than its volumes"],
    ["part unhealthy", "unhealthy"],
    ["track", "free"],
  ];
  /** @param {SVGElement} shape @param {string} word */
  const entry = (shape, word) =>
    h("li", {}, s("svg", { width: 14, height: 10, "aria-hidden": "true" }, shape), word);
  return h(
    "ul",
    { class: "legend" },
    ...parts.map(([kind, word]) => entry(s("rect", { width: 14, height: 10, class: kind }), word)),
    entry(s("path", { d: "M0 5h14", class: "really" }), "used by the kernel's count"),
  );
}
