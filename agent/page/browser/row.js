import { h, s, setAttribute, setText } from "./dom.js";
import { COLUMNS } from "./columns.js";
import { duration } from "./format.js";
import { looks, seat } from "./seats.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Vm} Vm */

const [WIDTH, HEIGHT, ROUNDS] = [70, 18, 60];
/** Smaller maxima do not fill the graph. */
const LEAST_TOP = 64 * 1024;

/** A table row, reused for other VMs while the table is scrolled. */
export class Row {
  element = h("tr", { tabindex: -1 });
  /** @type {number | undefined} */
  key;
  #shape = "";
  #mark = s("svg", { width: 12, height: 12, "aria-hidden": "true" });
  #texts = COLUMNS.map(({ id }) => h("span", { class: id === "name" ? "text name" : "text" }));
  #lines = COLUMNS.map(() => s("path", { class: "line" }));
  #since = h("span", { class: "since" });

  constructor() {
    for (const [index, { id, channel }] of COLUMNS.entries()) {
      const cell =
        id === "name" ? h("th", { scope: "row", class: `of-${id}` }) : h("td", { class: `of-${id}` });
      const text = this.#texts[index];
      const line = this.#lines[index];
      if (id === "state") cell.append(this.#mark);
      if (text !== undefined) cell.append(text);
      if (id === "state") cell.append(this.#since);
      if (channel !== undefined && line !== undefined) {
        cell.prepend(
          s(
            "svg",
            {
              width: WIDTH,
              height: HEIGHT,
              viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
              class: "spark",
              "aria-hidden": "true",
            },
            line,
          ),
        );
      }
      this.element.append(cell);
    }
  }

  /** @param {Store} store @param {Vm} vm @param {number} index */
  show(store, vm, index) {
    this.key = vm.key;
    const { shape, word } = looks(vm);
    const isNow = vm.known && !vm.unresponsive;
    const values = isNow ? store.values.get(vm.key) : undefined;
    const history = store.histories.get(vm.key) ?? [];
    for (const [at, column] of COLUMNS.entries()) {
      const [text, line] = [this.#texts[at], this.#lines[at]];
      if (text !== undefined) setText(text, column.text(vm, values));
      if (column.channel !== undefined && line !== undefined) {
        setAttribute(
          line,
          "d",
          lineOf(
            history.map((of) => of[column.channel ?? 0] ?? null),
            column.top?.(vm),
          ),
        );
      }
    }
    setText(this.#since, isNow ? "" : `${duration(store.nowMs() - vm.atMs)} ago`);
    if (shape !== this.#shape) this.#mark.replaceChildren(seat((this.#shape = shape), 12));
    setAttribute(
      this.element,
      "class",
      `${shape}${isNow ? "" : " old"}${vm.key === store.selected ? " selected" : ""}`,
    );
    setAttribute(this.element, "aria-rowindex", String(index + 2));
    setAttribute(this.element, "aria-selected", String(vm.key === store.selected));
    setAttribute(
      this.element,
      "title",
      `${vm.name}: ${word}${vm.reason ? `, ${vm.reason.toLowerCase()}` : ""}\n${vm.id}`,
    );
  }
}

/**
 * The newest at the right edge; unknown values leave a gap.
 * @param {readonly (number | null)[]} values @param {number | undefined} top
 */
function lineOf(values, top) {
  const highest = top ?? Math.max(LEAST_TOP, ...values.map((value) => value ?? 0));
  const step = WIDTH / (ROUNDS - 1);
  let path = "";
  let open = false;
  for (const [index, value] of values.entries()) {
    if (value === null) {
      open = false;
      continue;
    }
    const x = WIDTH - (values.length - 1 - index) * step;
    const y = HEIGHT - 1.5 - Math.min(1, value / highest) * (HEIGHT - 3);
    // A single value between gaps is a dot.
    path += `${open ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}${open ? "" : "h.1"}`;
    open = true;
  }
  return path;
}
