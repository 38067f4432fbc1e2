import { randomUUID } from "node:crypto";
import type { Condition__Output } from "../../gen/socle/v1/Condition.ts";
import type { Host__Output } from "../../gen/socle/v1/Host.ts";
import { enumWord, formatAge, printable } from "../format.ts";
import type { Colour, Paint } from "../io.ts";
import type { Command } from "../session.ts";
import { renderFields, renderTable, type Column } from "../table.ts";

export const showHealth: Command = async (session) => {
  const agent = await session.agent();
  const host = await agent.ask(agent.contract.host.GetHost, {});
  session.show(host.health, () => renderHealth(host, session.paint, session.nowMs()));
};

export const acknowledge: Command = async (session, [type = ""], options) => {
  const agent = await session.agent();
  const requestId = typeof options.requestId === "string" ? options.requestId : randomUUID();
  const host = await agent.ask(agent.contract.host.AcknowledgeCondition, { requestId, type });
  const condition = host.health?.conditions.find((found) => found.type === type);
  session.show(condition, () => `${type}: ${outlook(condition)}\n`);
};

function outlook(condition: Condition__Output | undefined): string {
  if (condition?.status !== "TRUTH_TRUE") return "acknowledged, and no longer true";
  return condition.untilReboot
    ? "acknowledged; it ends after a reboot, once its cause is gone"
    : "acknowledged; it ends once its cause is gone";
}

function renderHealth(host: Host__Output, paint: Paint, nowMs: number): string {
  const { health } = host;
  const fields: [string, string][] = [
    ...healthFields(host, paint),
    [
      "cordoned",
      host.schedulingState === "LIFECYCLE_STATE_CORDONED" ? printable(`yes: ${host.schedulingReason}`) : "no",
    ],
  ];
  const conditions = renderTable(conditionColumns(nowMs), health?.conditions ?? [], paint);
  const held = (health?.conditions ?? []).filter(({ latched, acknowledged }) => latched && !acknowledged);
  const hints = held.map(({ type }) => `${type} is held until you have looked: socle health ack ${type}\n`);
  return [renderFields(fields, paint), conditions, ...(hints.length > 0 ? [hints.join("")] : [])].join("\n");
}

/** The host's state, and the three verdicts that follow from it. */
export function healthFields(host: Host__Output, paint: Paint): [string, string][] {
  const { health } = host;
  const answer = (truth: string | undefined): string => {
    const word = enumWord(truth ?? "", "TRUTH");
    return paint(word === "true" ? "green" : word === "false" ? "red" : "yellow", word);
  };
  return [
    ["health", healthWord(host, paint)],
    ["alive", answer(health?.alive)],
    ["schedulable", [answer(health?.schedulable), because(health?.blockingConditions ?? [])].join("")],
    // A host with running guests is unsafe to fence, and healthy.
    ["safe to fence", enumWord(health?.safeToFence ?? "", "TRUTH")],
  ];
}

/** Whether a condition needs attention; one that does not apply to the machine does not. */
export const isOpen = ({ status, reason }: Condition__Output): boolean =>
  status !== "TRUTH_FALSE" && reason !== "NotPresent";

export const because = (conditions: readonly string[]): string =>
  conditions.length === 0 ? "" : ` (by ${conditions.join(", ")})`;

function healthWord({ health }: Host__Output, paint: Paint): string {
  const effect = enumWord(health?.state ?? "", "EFFECT");
  return paint(effectColours[effect] ?? "red", effect === "none" ? "ok" : effect);
}

const effectColours: Readonly<Record<string, Colour>> = { none: "green", degraded: "yellow" };

export const conditionColumns = (nowMs: number): Column<Condition__Output>[] => [
  { title: "CONDITION", cell: ({ type }) => type },
  {
    title: "STATUS",
    cell: (of) => enumWord(of.status, "TRUTH") + (holds(of) ?? ""),
    paint: (text, { status }, paint) =>
      paint(status === "TRUTH_FALSE" ? "green" : status === "TRUTH_TRUE" ? "red" : "yellow", text),
  },
  { title: "EFFECT", cell: (of) => enumWord(of.effect, "EFFECT") },
  { title: "REASON", cell: ({ reason }) => reason },
  { title: "SINCE", cell: ({ since }) => formatAge(since, nowMs) },
  { title: "EVIDENCE", cell: ({ evidence }) => evidence },
];

function holds({ latched, acknowledged, untilReboot }: Condition__Output): string | undefined {
  if (!latched) return undefined;
  if (acknowledged) return " (held until a reboot)";
  return untilReboot ? " (held until a reboot and ack)" : " (held until ack)";
}
