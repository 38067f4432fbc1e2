import { s } from "./dom.js";
import { bytes } from "./format.js";
import { bar, BAR_HEIGHT } from "./bar.js";
import { seats, tally } from "./seats.js";

/** @typedef {import("./store.js").Cell} Cell */
/** @typedef {import("./store.js").Vm} Vm */
/** @typedef {import("./store.js").Host["devices"][number]} Device */

const PAD = 12;
const DEVICE_HEIGHT = 17;

/** "0-2,8" as [0, 1, 2, 8]. @param {string} ranges */
export function numbersOf(ranges) {
  return ranges
    .split(",")
    .filter((range) => range !== "")
    .flatMap((range) => {
      const [first = 0, last = first] = range.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}

/**
 * A NUMA cell to scale: its CPUs, its memory by page size, and the VMs that are bound to it.
 * @param {Cell} cell
 * @param {{ width: number, vms: readonly Vm[], selected: Vm | undefined, known: boolean, freeBytes: number | undefined, alone: boolean, all: readonly Vm[], dedicated: ReadonlySet<number>, devices: readonly Device[] }} given
 */
export function drawCell(cell, { width, vms, selected, known, freeBytes, alone, all, dedicated, devices }) {
  const inner = width - 2 * PAD;
  const cpus = numbersOf(cell.cpus);
  // Threads of a core stand side by side, whatever their numbers.
  const inOrder = cell.cores === undefined ? cpus : cell.cores.flat();
  const svg = s("svg", { width, class: "cell", role: "img" });
  const far = cell.distances.filter((_, id) => id !== cell.id);
  const offline = numbersOf(cell.offlineCpus).length;
  const facts = [
    offline > 0
      ? `${cpus.length} CPUs, ${offline} offline`
      : `${cpus.length} CPUs${cell.cores === undefined ? "" : ` in ${cell.cores.length} cores`}`,
    bytes(cell.memoryBytes),
    far.length > 0 && `distance ${[...new Set(far)].join(", ")}`,
  ];
  svg.append(
    s("rect", { x: 0.5, y: 0.5, width: width - 1, class: "box", rx: 4 }),
    s("text", { x: PAD, y: 21, class: "name" }, alone ? "one NUMA cell" : `cell ${cell.id}`),
    s("text", { x: width - PAD, y: 21, class: "number" }, facts.filter(Boolean).join(" · ")),
  );
  let y = 32;
  const grid = drawCpus(inOrder, {
    x: PAD,
    y,
    width: inner,
    selected,
    here: isHere(selected, cell),
    vms: all,
    dedicated,
  });
  svg.append(grid.element);
  y += grid.height + 8;
  // Huge pages are omitted where there are none.
  const resources = cell.resources.filter(
    ({ total, allocated, claimed }) => total > 0 || (allocated ?? 0) > 0 || claimed > 0,
  );
  for (const resource of resources) {
    const slices = vms
      .map((vm) => ({ key: vm.key, name: vm.name, amount: amountOf(vm, resource.resource) }))
      .filter(({ amount }) => amount > 0);
    svg.append(
      bar(resource, {
        x: PAD,
        y,
        width: inner,
        slices,
        selected: selected?.key,
        known,
        ...(freeBytes === undefined ? {} : { freeBytes }),
      }),
    );
    y += BAR_HEIGHT;
  }
  for (const device of devices) {
    svg.append(drawDevice(device, PAD, y, inner));
    y += DEVICE_HEIGHT;
  }
  if (vms.length > 0) {
    y += devices.length > 0 ? 4 : 0;
    svg.append(s("text", { x: PAD, y: y + 12, class: "label" }, `bound here: ${tally(vms)}`));
    const placed = seats(vms, {
      x: PAD,
      y: y + 19,
      width: inner,
      size: vms.length > 150 ? 8 : 12,
      selected: selected?.key,
    });
    svg.append(placed.element);
    y += 19 + placed.height + 4;
  }
  const height = y + 4;
  svg.setAttribute("height", String(height));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.querySelector(".box")?.setAttribute("height", String(height - 1));
  const label = resources.map(({ resource, available, total }) =>
    available === undefined
      ? `${resource} ${total}, unknown how much is available`
      : `${resource} ${total}, ${available} available`,
  );
  svg.setAttribute(
    "aria-label",
    `NUMA cell ${cell.id}: ${facts.filter(Boolean).join(", ")}. ${label.join("; ")}. ${tally(vms)}`,
  );
  return svg;
}

/** @param {Device} device @param {number} x @param {number} y @param {number} width */
function drawDevice({ address, kind, name, driver, state, virtualFunctions: functions }, x, y, width) {
  const shared =
    functions === undefined ? "" : `, ${functions.enabled} of ${functions.max} virtual functions`;
  return s(
    "g",
    {},
    s(
      "title",
      {},
      `${address} ${kind} ${name}, driver ${driver || "none"}${shared}${state ? `, ${state}` : ""}`,
    ),
    s("rect", { x, y: y + 3, width: 8, height: 8, rx: 1, class: `device ${kind}` }),
    s("text", { x: x + 14, y: y + 11, class: "label" }, `${kind} ${address.replace(/^0000:/, "")}`),
    s(
      "text",
      { x: x + width, y: y + 11, class: "number" },
      `${state ? `${state}, ` : ""}${driver || "no driver"}${functions ? `, ${functions.enabled}/${functions.max} VFs` : ""}`,
    ),
  );
}

/** Whether the selected VM's CPUs may be any of this cell. @param {Vm | undefined} vm @param {Cell} cell */
const isHere = (vm, cell) =>
  vm !== undefined &&
  vm.known &&
  vm.state !== "stopped" &&
  (vm.cells.length === 0 || vm.cells.includes(cell.id));

/** A VM's use of a cell that it is bound to, in equal parts with others. @param {Vm} vm @param {string} resource */
function amountOf(vm, resource) {
  const parts = Math.max(1, vm.cells.length);
  if (resource === "cpu_dedicated") return vm.pins === "" || vm.state === "stopped" ? 0 : vm.vcpus / parts;
  if (resource === "cpu") return vm.pins !== "" || vm.state === "stopped" ? 0 : vm.vcpus / parts;
  const pages = { memory: 0, memory_2m: 2 ** 21, memory_1g: 2 ** 30 }[resource];
  return pages === vm.hugepageBytes ? vm.memoryBytes / parts : 0;
}

/**
 * @param {readonly number[]} cpus
 * @param {{ x: number, y: number, width: number, selected: Vm | undefined, here: boolean, vms: readonly Vm[], dedicated: ReadonlySet<number> }} place
 */
function drawCpus(cpus, { x, y, width, selected, here, vms, dedicated }) {
  const size =
    [20, 16, 13, 11, 9, 7].find((side) => Math.ceil(cpus.length / columnsOf(side, width)) <= 4) ?? 6;
  const columns = evenly(cpus.length, columnsOf(size, width));
  const group = s("g", { class: "cpus" });
  /** @type {Map<number, string[]>} */
  const holders = new Map();
  for (const { pins, name } of vms)
    for (const cpu of numbersOf(pins)) holders.set(cpu, [...(holders.get(cpu) ?? []), name]);
  const own = new Set(numbersOf(selected?.pins ?? ""));
  for (const [index, cpu] of cpus.entries()) {
    const left = x + (index % columns) * (size + 2);
    const top = y + Math.floor(index / columns) * (size + 2);
    const held = holders.get(cpu) ?? [];
    const isOwn = here && (own.size === 0 ? !dedicated.has(cpu) : own.has(cpu));
    const kind = `${dedicated.has(cpu) ? "dedicated" : "shared"}${held.length > 0 ? " pinned" : ""}`;
    group.append(
      s(
        "rect",
        {
          class: `${kind}${isOwn ? " selected" : ""}`,
          x: left + 0.5,
          y: top + 0.5,
          width: size - 1,
          height: size - 1,
          rx: size / 6,
        },
        s("title", {}, `CPU ${cpu}, ${kind}${held.length > 0 ? `: ${held.join(", ")}` : ""}`),
      ),
    );
    if (size >= 16)
      group.append(s("text", { x: left + size / 2, y: top + size / 2 + 3, class: "cpu" }, String(cpu)));
  }
  return { element: group, height: Math.ceil(cpus.length / columns) * (size + 2) };
}

/**
 * Rows of a round number, unless that needs more of them.
 * @param {number} count @param {number} most in a row
 */
function evenly(count, most) {
  const rows = Math.ceil(count / most);
  const rounded = Math.ceil(count / rows / 8) * 8;
  return rounded <= most ? rounded : Math.ceil(count / rows);
}

/** @param {number} size @param {number} width */
const columnsOf = (size, width) => Math.max(1, Math.floor((width + 2) / (size + 2)));
