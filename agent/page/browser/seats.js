import { s } from "./dom.js";

/** @typedef {import("./store.js").Vm} Vm */

/** A VM's shape and name of its state; the shape is for people who do not see colours. @param {Vm} vm */
export function looks(vm) {
  if (!vm.known) return { shape: "unknown", word: `${vm.state}?` };
  if (vm.unresponsive) return { shape: "unknown", word: "unresponsive" };
  if (vm.state === "running") return { shape: "running", word: "running" };
  if (vm.state === "crashed") return { shape: "crashed", word: "crashed" };
  const isFault = /ERROR|CRASHED|FAILED|WATCHDOG/.test(vm.reason);
  const because = isFault ? ` (${vm.reason.toLowerCase().replaceAll("_", " ")})` : "";
  if (vm.state === "stopped") return { shape: "stopped", word: `stopped${because}` };
  return { shape: isFault ? "crashed" : "paused", word: `${vm.state}${because}` };
}

/**
 * A VM's mark, in a box of this size.
 * @param {string} shape @param {number} size
 */
export function seat(shape, size) {
  const group = s("g", { class: `seat ${shape}` });
  const inner = size - 1;
  group.append(s("rect", { x: 0.5, y: 0.5, width: inner, height: inner, rx: size / 5 }));
  const [near, far, middle] = [size * 0.3, size * 0.7, size / 2];
  if (shape === "paused") {
    group.append(s("path", { d: `M${size * 0.38} ${near}V${far}M${size * 0.62} ${near}V${far}` }));
  } else if (shape === "crashed") {
    group.append(s("path", { d: `M${near} ${near}L${far} ${far}M${far} ${near}L${near} ${far}` }));
  } else if (shape === "unknown") {
    group.append(s("circle", { cx: middle, cy: middle, r: size * 0.12 }));
  }
  return group;
}

/**
 * One mark per VM, in rows; a click selects it. The table offers the same to keyboards and screen readers.
 * @param {readonly Vm[]} vms
 * @param {{ x: number, y: number, width: number, size: number, selected: number | undefined }} place
 */
export function seats(vms, { x, y, width, size, selected }) {
  const step = size + 2;
  const columns = Math.max(1, Math.floor((width + 2) / step));
  const group = s("g", { class: "seats" });
  for (const [index, vm] of vms.entries()) {
    const { shape, word } = looks(vm);
    const mark = seat(shape, size);
    mark.append(s("title", {}, `${vm.name}: ${word}`));
    mark.setAttribute(
      "transform",
      `translate(${x + (index % columns) * step} ${y + Math.floor(index / columns) * step})`,
    );
    mark.setAttribute("data-key", String(vm.key));
    if (vm.key === selected) mark.classList.add("selected");
    group.append(mark);
  }
  return { element: group, height: Math.ceil(vms.length / columns) * step };
}

/** "12 running, 2 stopped". @param {Iterable<Vm>} vms */
export function tally(vms) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const vm of vms) {
    const word = vm.known ? (vm.unresponsive ? "unresponsive" : vm.state) : "unknown";
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([word, count]) => `${count} ${word}`)
    .join(", ");
}
