import { h, setText } from "./dom.js";
import { duration } from "./format.js";

/** The age of a time; `refreshAges` updates it. @param {number} atMs */
export const ago = (atMs) =>
  h("time", { class: "age", "data-at": atMs, datetime: new Date(atMs).toISOString() }, " ");

/** @param {number} nowMs */
export function refreshAges(nowMs) {
  for (const element of document.querySelectorAll("time.age")) {
    const atMs = Number(element.getAttribute("data-at"));
    setText(element, atMs === 0 ? "never" : duration(nowMs - atMs));
  }
}
