import { byId, h, setAttribute, setText } from "./dom.js";
import { COLUMNS } from "./columns.js";
import { Row } from "./row.js";
import { looks, tally } from "./seats.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Vm} Vm */

const ROW_HEIGHT = 28;
/** Rows rendered beyond the visible ones. */
const MARGIN = 6;
const HISTORY_AFTER_MS = 60;

/** The VM table: only visible rows are rendered. */
export class Table {
  #store;
  #onSelect;
  #table = byId("table");
  #head = h("tr", { "aria-rowindex": 1 });
  #above = h("tr", { class: "space", "aria-hidden": "true" }, h("td", { colspan: COLUMNS.length }));
  #below = h("tr", { class: "space", "aria-hidden": "true" }, h("td", { colspan: COLUMNS.length }));
  #body = h("tbody", {}, this.#above, this.#below);
  /** @type {Row[]} */
  #rows = [];
  /** @type {readonly Vm[]} */
  #sorted = [];
  #sortedOf = "";
  #sort = { id: "name", down: false };
  #filter = "";
  /** @type {number | undefined} */
  #fetching;

  /** @param {Store} store @param {(key: number | undefined) => void} onSelect */
  constructor(store, onSelect) {
    this.#store = store;
    this.#onSelect = onSelect;
    for (const column of COLUMNS) {
      const button = h("button", { type: "button" }, column.title);
      button.addEventListener("click", () => this.#sortBy(column));
      this.#head.append(h("th", { scope: "col", class: `of-${column.id}` }, button));
    }
    this.#table.append(h("thead", {}, this.#head), this.#body);
    this.#body.addEventListener("click", (event) => this.#select(keyAt(event.target, this.#rows)));
    this.#body.addEventListener("keydown", (event) => this.#onKey(event));
    const filter = /** @type {HTMLInputElement} */ (byId("filter"));
    filter.addEventListener("input", () => {
      this.#filter = filter.value.trim().toLowerCase();
      this.draw();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target === filter || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      filter.focus();
    });
    addEventListener("scroll", () => requestAnimationFrame(() => this.#place()), { passive: true });
  }

  draw() {
    const { vms, generation, rounds, host } = this.#store;
    const isByReading = COLUMNS.find(({ id }) => id === this.#sort.id)?.channel !== undefined;
    const of = [generation, isByReading ? rounds : 0, this.#sort.id, this.#sort.down, this.#filter].join();
    if (of !== this.#sortedOf) {
      this.#sortedOf = of;
      this.#sorted = this.#inOrder();
      setAttribute(this.#table, "aria-rowcount", String(this.#sorted.length + 1));
    }
    for (const [index, { id }] of COLUMNS.entries()) {
      const head = this.#head.children[index];
      if (head === undefined) continue;
      setAttribute(
        head,
        "aria-sort",
        id !== this.#sort.id ? "none" : this.#sort.down ? "descending" : "ascending",
      );
    }
    const shown = this.#sorted.length === vms.size ? "" : `${this.#sorted.length} of `;
    const count =
      vms.size === 0
        ? host?.vms.complete
          ? "none"
          : "unknown"
        : `${shown}${vms.size}: ${tally(vms.values())}`;
    setText(byId("counts"), count);
    this.#place();
  }

  /** Scrolls the VM's row into view. @param {number} key */
  reveal(key) {
    const index = this.#sorted.findIndex((vm) => vm.key === key);
    if (index === -1) return;
    const top = this.#body.getBoundingClientRect().top + scrollY + index * ROW_HEIGHT;
    if (top < scrollY + 80 || top > scrollY + innerHeight - 60) scrollTo({ top: top - innerHeight / 2 });
    this.#place();
  }

  #inOrder() {
    const column = COLUMNS.find(({ id }) => id === this.#sort.id) ?? COLUMNS[0];
    const wanted = [...this.#store.vms.values()].filter((vm) => this.#matches(vm));
    const by = new Map(wanted.map((vm) => [vm.key, column?.by(vm, this.#store.values.get(vm.key)) ?? ""]));
    const sign = this.#sort.down ? -1 : 1;
    return wanted.sort((a, b) => {
      const [left, right] = [by.get(a.key) ?? "", by.get(b.key) ?? ""];
      if (left !== right) return left < right ? -sign : sign;
      return a.name < b.name ? -1 : 1;
    });
  }

  /** @param {Vm} vm */
  #matches(vm) {
    if (this.#filter === "") return true;
    return [vm.name, vm.tenant, looks(vm).word, vm.id].some((text) =>
      text.toLowerCase().includes(this.#filter),
    );
  }

  #place() {
    const top = -this.#body.getBoundingClientRect().top;
    const first = Math.max(0, Math.min(Math.floor(top / ROW_HEIGHT) - MARGIN, this.#sorted.length - 1));
    const count = Math.ceil(innerHeight / ROW_HEIGHT) + 2 * MARGIN;
    const visible = this.#sorted.slice(first, first + count);
    while (this.#rows.length < visible.length) this.#rows.push(new Row());
    for (const row of this.#rows.splice(visible.length)) row.element.remove();
    for (const [index, vm] of visible.entries()) {
      const row = this.#rows[index];
      if (row === undefined) continue;
      row.show(this.#store, vm, first + index);
      if (row.element.parentNode === null) this.#below.before(row.element);
    }
    setHeight(this.#above, first * ROW_HEIGHT);
    setHeight(this.#below, (this.#sorted.length - first - visible.length) * ROW_HEIGHT);
    this.#fetchSoon(visible);
  }

  /** @param {readonly Vm[]} visible */
  #fetchSoon(visible) {
    clearTimeout(this.#fetching);
    this.#fetching = window.setTimeout(() => {
      void this.#store.fetchHistories(visible.map(({ key }) => key)).then((isNew) => {
        if (isNew) this.#place();
      });
    }, HISTORY_AFTER_MS);
  }

  /** @param {import("./columns.js").Column} column */
  #sortBy({ id, largestFirst = false }) {
    this.#sort = { id, down: this.#sort.id === id ? !this.#sort.down : largestFirst };
    this.draw();
  }

  /** @param {number | undefined} key */
  #select(key) {
    this.#onSelect(key === this.#store.selected ? undefined : key);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const at = this.#sorted.findIndex(({ key }) => key === this.#store.selected);
    const next = this.#sorted[at + step];
    if (next !== undefined) this.#onSelect(next.key);
  }
}

/** @param {EventTarget | null} target @param {readonly Row[]} rows */
const keyAt = (target, rows) =>
  rows.find(({ element }) => target instanceof Node && element.contains(target))?.key;

/** @param {HTMLTableRowElement} row @param {number} height */
function setHeight(row, height) {
  row.hidden = height <= 0;
  row.style.height = `${Math.max(0, height)}px`;
}
