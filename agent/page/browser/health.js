import { byId, h, rebuild } from "./dom.js";
import { EFFECTS } from "./header.js";
import { sentence } from "./format.js";
import { ago } from "./ages.js";

/** @typedef {import("./store.js").Store} Store */

/** What is wrong or unknown, with its evidence; what is well, in a line. @param {Store} store */
export function drawHealth({ host }) {
  const conditions = host?.health.conditions ?? [];
  const place = byId("conditions");
  rebuild(
    place,
    conditions.map(({ lastProbeMs: _, ...rest }) => rest),
    () => {
      const wrong = conditions.filter(({ status }) => status !== "false");
      const well = conditions.filter(({ status }) => status === "false");
      wrong.sort((a, b) => weight(b) - weight(a));
      const isOpen = place.querySelector("details")?.open === true;
      return [
        wrong.length > 0 &&
          h(
            "ul",
            { class: "conditions" },
            ...wrong.map(({ type, status, effect, reason, evidence, sinceMs, latched }) =>
              h(
                "li",
                { class: status === "unknown" ? "unknown" : effect },
                h("b", {}, sentence(type)),
                h(
                  "span",
                  { class: "what" },
                  status === "unknown" ? "? unknown" : `${EFFECTS[effect][1]} ${EFFECTS[effect][0]}`,
                ),
                h(
                  "span",
                  { class: "why" },
                  sentence(reason),
                  latched ? ", latched until an operator acknowledges it" : "",
                ),
                h("span", { class: "since" }, "since ", ago(sinceMs)),
                evidence !== "" && h("span", { class: "evidence" }, evidence),
              ),
            ),
          ),
        well.length > 0 &&
          h(
            "details",
            { class: "well", open: isOpen },
            h("summary", {}, `${well.length} conditions are well`),
            h(
              "ul",
              {},
              ...well.map(({ type, evidence, sinceMs }) =>
                h(
                  "li",
                  {},
                  h("b", {}, sentence(type)),
                  ` since `,
                  ago(sinceMs),
                  evidence === "" ? "" : `: ${evidence}`,
                ),
              ),
            ),
          ),
      ];
    },
  );
}

/** @param {{ status: string, effect: keyof typeof EFFECTS }} condition */
const weight = ({ status, effect }) => (status === "true" ? 1 + Object.keys(EFFECTS).indexOf(effect) : 0);
