import { byId, h, rebuild } from "./dom.js";
import { EFFECTS } from "./header.js";
import { words } from "./format.js";
import { ago } from "./ages.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Host["health"]["conditions"][number]} Condition */

const MOST_SUBJECTS = 12;
/** The reason of a condition that does not apply to this machine: it is not a fault. */
const NOT_PRESENT = "NotPresent";

/** False and unknown conditions with their evidence; the others in one line. @param {Store} store */
export function drawHealth({ host }) {
  const conditions = host?.health.conditions ?? [];
  const place = byId("conditions");
  rebuild(
    place,
    conditions.map(({ lastProbeMs: _, ...rest }) => rest),
    () => {
      const absent = conditions.filter(({ reason }) => reason === NOT_PRESENT).length;
      const wrong = conditions.filter(({ status, reason }) => status !== "false" && reason !== NOT_PRESENT);
      const well = conditions.filter((condition) => !wrong.includes(condition));
      wrong.sort((a, b) => weight(b) - weight(a));
      const isOpen = place.querySelector("details")?.open === true;
      return [
        wrong.length > 0 && h("ul", { class: "conditions" }, ...wrong.map(drawCondition)),
        well.length > 0 &&
          h(
            "details",
            { class: "well", open: isOpen },
            h(
              "summary",
              {},
              `conditions: ${well.length - absent} well`,
              absent > 0 && `, ${absent} not applicable here`,
            ),
            h(
              "ul",
              {},
              ...well.map(({ type, evidence, sinceMs }) =>
                h(
                  "li",
                  {},
                  h("b", {}, words(type)),
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

/** @param {Condition} condition */
function drawCondition(condition) {
  const { type, status, effect, reason, evidence, sinceMs, subjects, subjectCount, acknowledged } = condition;
  const kind = status === "unknown" ? "unknown" : effect;
  return h(
    "li",
    { class: acknowledged ? `${kind} acknowledged` : kind },
    h("b", {}, words(type)),
    h(
      "span",
      { class: "what" },
      status === "unknown" ? "? unknown" : `${EFFECTS[effect][1]} ${EFFECTS[effect][0]}`,
    ),
    h("span", { class: "why" }, words(reason), holdOf(condition)),
    h("span", { class: "since" }, "since ", ago(sinceMs)),
    subjectCount > 0 && h("span", { class: "subjects" }, ...drawSubjects(subjects, subjectCount)),
    evidence !== "" && h("span", { class: "evidence" }, evidence),
  );
}

/** Until when it is held, whatever its probes report. @param {Condition} condition */
function holdOf({ latched, acknowledged, untilReboot }) {
  if (!latched) return "";
  if (acknowledged) return ", ✓ acknowledged, held until a reboot";
  return `, held until an operator acknowledges it${untilReboot ? ", and a reboot" : ""}`;
}

/** The affected disks, DIMMs, pools. @param {readonly string[]} subjects @param {number} count */
function drawSubjects(subjects, count) {
  const shown = subjects.slice(0, MOST_SUBJECTS);
  const more = count - shown.length;
  return [
    ...shown.map((subject) => h("span", { class: "subject" }, subject)),
    more > 0 && h("span", {}, shown.length === 0 ? `${more} affected` : `and ${more} more`),
  ];
}

/** @param {{ status: string, effect: keyof typeof EFFECTS }} condition */
const weight = ({ status, effect }) => (status === "true" ? 1 + Object.keys(EFFECTS).indexOf(effect) : 0);
