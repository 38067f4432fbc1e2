import { drawActivity } from "./activity.js";
import { refreshAges } from "./ages.js";
import { connect } from "./connection.js";
import { byId } from "./dom.js";
import { drawHost } from "./drawing.js";
import { drawHeader, drawLink } from "./header.js";
import { drawHealth } from "./health.js";
import { Store } from "./store.js";
import { Table } from "./table.js";

const store = new Store();
const table = new Table(store, select);
let isDrawing = false;

/** At most once per frame, whatever the number of messages. */
function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    drawLink(store);
    drawHeader(store);
    drawHealth(store);
    drawHost(store);
    drawActivity(store);
    if (store.host !== undefined) table.draw();
    refreshAges(store.nowMs());
  });
}

/** @param {number | undefined} key */
function select(key) {
  store.selected = key;
  draw();
  if (key !== undefined) table.reveal(key);
}

byId("drawing").addEventListener("click", (event) => {
  const mark = event.target instanceof Element ? event.target.closest("[data-key]") : null;
  if (mark !== null) select(Number(mark.getAttribute("data-key")));
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && store.selected !== undefined) select(undefined);
});
new ResizeObserver(draw).observe(byId("drawing"));
// Updates ages.
setInterval(draw, 1000);

connect({
  onState(state) {
    store.takeState(state);
    draw();
  },
  onPatch(patch) {
    store.takePatch(patch);
    draw();
  },
  onLink(up, why) {
    store.linked = up;
    store.why = why;
    draw();
  },
});
