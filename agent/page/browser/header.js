import { byId, h, rebuild, setAttribute, setText } from "./dom.js";
import { clock, duration, bytes } from "./format.js";

/** @typedef {import("./store.js").Store} Store */

/** Each state of health in a word; the sign is for people who do not see colours. */
export const EFFECTS = /** @type {const} */ ({
  none: ["ok", "●"],
  degraded: ["degraded", "▲"],
  no_schedule: ["takes no new VMs", "■"],
  evacuate: ["evacuate", "◆"],
  fence_requested: ["fence requested", "◆"],
});

/** @param {Store} store */
export function drawHeader(store) {
  const { host } = store;
  if (host === undefined) return;
  const [word, sign] = EFFECTS[host.health.state];
  setText(byId("name"), host.name || "this host");
  document.title = `${host.name} · ${word}`;
  const { alive, schedulable, safeToFence } = host.health;
  rebuild(byId("verdict"), [host.health.state, alive, schedulable, safeToFence], () => [
    h("strong", { class: `effect ${host.health.state}` }, `${sign} ${word}`),
    answer("alive", alive),
    answer("schedulable", schedulable),
    answer("safe to fence", safeToFence),
  ]);
  const now = store.nowMs();
  const { usage, links, cpu } = host;
  const facts = [
    ["machine", host.machine || cpu?.model],
    ["system", [host.os, host.kernel].filter(Boolean).join(", ")],
    [
      "libvirt",
      links.libvirt
        ? [host.libvirt, host.hypervisor && `QEMU ${host.hypervisor}`].filter(Boolean).join(", ")
        : "away",
    ],
    ["agent", `${host.agentVersion}, up ${duration(now - host.agentStartedAtMs)}`],
    ["host up", host.bootedAtMs === undefined ? undefined : duration(now - host.bootedAtMs)],
    ["cpu busy", usage.cpuBusyRatio === undefined ? "unknown" : `${Math.round(usage.cpuBusyRatio * 100)}%`],
    [
      "memory available",
      usage.memoryAvailableBytes === undefined
        ? "unknown"
        : `${bytes(usage.memoryAvailableBytes)} of ${bytes(usage.memoryTotalBytes ?? 0)}`,
    ],
    ["scheduler", links.scheduler === undefined ? "none" : links.scheduler ? "connected" : "away"],
  ];
  rebuild(byId("facts"), facts, () =>
    facts
      .filter(([, value]) => value)
      .map(([name, value]) =>
        h(
          "div",
          {},
          h("dt", {}, name),
          h("dd", { class: value === "unknown" || value === "away" ? "unsure" : undefined }, value),
        ),
      ),
  );
}

/** @param {string} what @param {"true" | "false" | "unknown"} truth */
function answer(what, truth) {
  const word = { true: "yes", false: "no", unknown: "unknown" }[truth];
  return h("span", { class: `answer ${truth}` }, `${what} `, h("b", {}, word));
}

/** Whether the page is current. @param {Store} store */
export function drawLink(store) {
  const { linked, heardAtMs, why, host, vms } = store;
  const age = heardAtMs === 0 ? "" : duration(Date.now() - heardAtMs);
  setAttribute(byId("link"), "class", linked ? "link up" : "link down");
  setText(byId("link"), linked ? "live" : heardAtMs === 0 ? "connecting" : `lost ${age} ago`);
  document.documentElement.classList.toggle("old", !linked && heardAtMs > 0);
  /** @type {string[]} */
  const notices = [];
  if (!linked && why !== "") {
    const seen = heardAtMs === 0 ? "" : ` Last update: ${clock(heardAtMs)}.`;
    notices.push(`${why}.${seen} Retrying.`);
  }
  if (host !== undefined && !host.vms.complete) {
    const isAnyKnown = [...vms.values()].some(({ known }) => known);
    notices.push(
      isAnyKnown
        ? "libvirt has not reported all VMs: there may be others (the agent's log names an unreadable one)."
        : host.vms.atMs === 0
          ? "VM list unavailable: libvirt has not reported all VMs yet."
          : `libvirt does not answer: VMs are unknown, as last seen at ${clock(host.vms.atMs)}.`,
    );
  }
  if (host?.scheduling.state === "cordoned") {
    const { reason } = host.scheduling;
    notices.push(
      `Cordoned by an operator${reason ? `: ${reason}` : ""}. No new VMs; running VMs are not affected.`,
    );
  }
  if ((host?.incomplete ?? 0) > 0)
    notices.push(
      `Not all of this machine could be read (${host?.incomplete}): socle inventory names the parts.`,
    );
  rebuild(byId("notices"), notices, () => notices.map((text) => h("p", { class: "notice" }, text)));
}
