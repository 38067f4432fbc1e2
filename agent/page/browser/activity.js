import { byId, h, rebuild } from "./dom.js";
import { bytes, clock, duration, rate, words } from "./format.js";
import { ago } from "./ages.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Operation} Operation */
/** @typedef {import("./store.js").Backup} Backup */
/** @typedef {import("./store.js").HostEvent} HostEvent */

/** @param {Store} store */
export function drawActivity({ operations, backups, events }) {
  const place = byId("operations");
  rebuild(place, operations, () => {
    if (operations === null) return [h("li", { class: "none" }, "unknown")];
    if (operations.length === 0) return [h("li", { class: "none" }, "none in progress")];
    return operations.map(drawOperation);
  });
  byId("backups-section").hidden = backups.length === 0;
  rebuild(byId("backups"), backups, () => backups.map(drawBackup));
  rebuild(byId("events"), [events[0]?.sequence, events.length], () =>
    events.length === 0 ? [h("li", { class: "none" }, "none yet")] : events.map(drawEvent),
  );
}

/** @param {Operation} operation */
function drawOperation({ kind, vm, state, progress, transfer, createdAtMs, endedAtMs, steps, failure }) {
  const isUnderWay = endedAtMs === undefined;
  const how = {
    running: "",
    succeeded: "✓",
    failed: "✗",
    cancelled: "cancelled",
    outcome_unknown: "? outcome unknown",
  }[state];
  const open = isUnderWay && state === "running";
  return h(
    "li",
    { class: state },
    h("span", { class: "what" }, h("b", {}, words(kind)), " ", vm),
    h(
      "span",
      { class: "how" },
      how,
      failure ? ` ${words(failure)} ` : " ",
      endedAtMs === undefined
        ? ago(createdAtMs)
        : `${duration(endedAtMs - createdAtMs)} at ${clock(endedAtMs)}`,
    ),
    open && h("progress", { max: 1, value: progress, "aria-label": `${words(kind)} ${vm}` }),
    open && transfer && h("span", { class: "steps" }, copied(transfer)),
    isUnderWay &&
      steps.length > 0 &&
      h(
        "span",
        { class: "steps" },
        ...steps.map(({ name, outcome }) =>
          h(
            "span",
            { class: outcome ?? "now" },
            `${{ done: "✓", failed: "✗", undone: "↩", now: "…" }[outcome ?? "now"]} ${words(name)}`,
          ),
        ),
      ),
  );
}

/** @param {Backup} backup */
function drawBackup({ vm, openedAtMs, scratchUsedBytes, leaseUntilMs }) {
  return h(
    "li",
    {},
    h("span", { class: "what" }, h("b", {}, vm)),
    h("span", { class: "how" }, "open ", ago(openedAtMs)),
    h(
      "span",
      { class: "steps" },
      `${bytes(scratchUsedBytes)} kept`,
      leaseUntilMs !== undefined && `, abandoned at ${clock(leaseUntilMs)} without a reader`,
    ),
  );
}

/** "1.5 GiB of 3 GiB, 85 MiB/s, 18s left" @param {NonNullable<Operation["transfer"]>} transfer */
function copied({ doneBytes, totalBytes, bytesPerSecond }) {
  const done = `${bytes(doneBytes)} of ${bytes(totalBytes)}`;
  if (!bytesPerSecond) return done;
  const leftMs = ((totalBytes - doneBytes) / bytesPerSecond) * 1000;
  return `${done}, ${rate(bytesPerSecond)}, ${duration(leftMs)} left`;
}

const ALARMING = /panicked|abandoned|unresponsive|io_error|memory_failure|watchdog|disconnected|resync/;

/** @param {HostEvent} event */
function drawEvent({ atMs, kind, vm, state, reason, details }) {
  const facts = [
    state && words(state),
    // A person's text, unchanged.
    reason && (kind === "scheduling_changed" ? reason : words(reason)),
    ...Object.values(details).map((value) => String(value)),
  ];
  return h(
    "li",
    { class: ALARMING.test(kind) ? "alarming" : undefined },
    h("time", { datetime: new Date(atMs).toISOString() }, clock(atMs)),
    h("span", { class: "kind" }, words(kind)),
    h("span", { class: "about" }, vm && h("b", {}, vm), vm && " ", facts.filter(Boolean).join(", ")),
  );
}
