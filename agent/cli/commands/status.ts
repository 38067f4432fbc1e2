import { toSocleError } from "../../kernel/errors.ts";
import { rangesOf } from "../../kernel/text/cpu-list.ts";
import type { Host__Output } from "../../gen/socle/v1/Host.ts";
import type { Operation__Output } from "../../gen/socle/v1/Operation.ts";
import type { Reservation__Output } from "../../gen/socle/v1/Reservation.ts";
import type { ResourceCapacity__Output } from "../../gen/socle/v1/ResourceCapacity.ts";
import { formatAge, formatBytes, printable } from "../format.ts";
import type { Paint } from "../io.ts";
import type { Command } from "../session.ts";
import { renderFields, renderTable } from "../table.ts";
import { conditionColumns, healthFields } from "./health.ts";
import { vmCountsText } from "../vm-sight.ts";
import { allReservations, reservationColumns } from "./reservations.ts";
import { operationColumns } from "./operations.ts";

const UNREAD = "unknown: the agent could not read their journal (condition StateUnreadable)";

export const status: Command = async (session) => {
  const agent = await session.agent();
  const listed = agent.ask(agent.contract.operations.ListOperations, { onlyRunning: true });
  const [host, operations, reservations] = await Promise.all([
    agent.ask(agent.contract.host.GetHost, {}),
    listed.then((list) => list.operations).catch(unknownIfUnread),
    allReservations(agent, false).catch(noneOfOlder).catch(unknownIfUnread),
  ]);
  if (session.json) session.printJson({ host, operations, reservations });
  else session.print(renderStatus({ host, operations, reservations }, session.paint, session.nowMs()));
};

/** An agent older than reservations has none. */
function noneOfOlder(thrown: unknown): Reservation__Output[] {
  if (toSocleError(thrown).kind !== "unsupported") throw thrown;
  return [];
}

/** Null when the agent could not read its journal: the rest of the host is still shown. */
function unknownIfUnread(thrown: unknown): null {
  if (toSocleError(thrown).reason !== "STATE_UNREADABLE") throw thrown;
  return null;
}

/** The host as text for a person. */
function renderStatus(
  seen: {
    readonly host: Host__Output;
    /** Null: unknown. */
    readonly operations: readonly Operation__Output[] | null;
    readonly reservations: readonly Reservation__Output[] | null;
  },
  paint: Paint,
  nowMs: number,
): string {
  const { host, operations, reservations } = seen;
  const unknown = Object.entries({ operations, reservations }).filter(([, list]) => list === null);
  const unread = unknown.map(([name]): [string, string] => [name, paint("yellow", UNREAD)]);
  const parts = [renderFields([...summary(host, paint, nowMs), ...unread], paint)];
  const conditions = host.health?.conditions ?? [];
  if (conditions.length > 0) parts.push(renderTable(conditionColumns(nowMs), conditions, paint));
  const capacity = (host.capacity?.cells ?? []).flatMap(({ cell, resources }) =>
    resources.filter(({ total, allocated = 0 }) => total > 0 || allocated > 0).map((of) => ({ cell, of })),
  );
  if (capacity.length > 0) {
    parts.push(
      renderTable(
        [
          { title: "CELL", cell: ({ cell }) => String(cell), align: "right" },
          { title: "RESOURCE", cell: ({ of }) => of.resource },
          { title: "USE", cell: ({ of }) => bar(of), spare: true },
          { title: "ALLOCATED", cell: ({ of }) => quantity(of, of.allocated), align: "right" },
          { title: "CLAIMED", cell: ({ of }) => quantity(of, of.claimed), align: "right" },
          { title: "AVAILABLE", cell: ({ of }) => quantity(of, of.available), align: "right" },
          { title: "OF", cell: ({ of }) => quantity(of, sold(of)), align: "right" },
        ],
        capacity,
        paint,
      ),
    );
  }
  if (reservations !== null && reservations.length > 0)
    parts.push(renderTable(reservationColumns(nowMs), reservations, paint));
  if (operations !== null && operations.length > 0)
    parts.push(renderTable(operationColumns(operations, nowMs), operations, paint));
  return parts.join("\n");
}

function summary(host: Host__Output, paint: Paint, nowMs: number): [string, string][] {
  const { identity, inventory, vms } = host;
  const cordoned = host.schedulingState === "LIFECYCLE_STATE_CORDONED";
  const incomplete = [inventory, host.capacity].flatMap((of) => of?.incompleteReasons ?? []);
  return [
    ["host", joined(identity?.hostname, identity?.hostId)],
    ["machine", joined(identity?.vendor, identity?.model)],
    ["system", joined(identity?.os, identity?.kernel)],
    ["libvirt", joined(identity?.libvirtVersion, withWord("QEMU", identity?.hypervisorVersion))],
    [
      "agent",
      joined(identity?.agentVersion, `up ${formatAge(identity?.agentStartedAt, nowMs)}`) +
        (identity?.bootedAt ? `, host up ${formatAge(identity.bootedAt, nowMs)}` : ""),
    ],
    ...healthFields(host, paint),
    ["scheduling", cordoned ? paint("yellow", joined("cordoned:", host.schedulingReason)) : "not cordoned"],
    ["vms", vms?.complete === true ? vmCountsText(vms) : paint("yellow", vmCountsText(vms))],
    ["dedicated", dedicatedText(host.capacity?.dedicatedCpus ?? [])],
    ...incomplete.map((reason): [string, string] => ["incomplete", paint("yellow", printable(reason))]),
  ];
}

const dedicatedText = (cpus: readonly number[]): string =>
  cpus.length === 0 ? "" : `cpus ${rangesOf(cpus)} are for one VM each`;

const joined = (...words: readonly (string | undefined)[]): string =>
  printable(words.filter((word) => word !== undefined && word !== "").join("  "));

const withWord = (word: string, value: string | undefined): string =>
  value === undefined || value === "" ? "" : `${word} ${value}`;

/** The capacity for VMs on an empty host. */
const sold = ({ total, reserved, unhealthy, overcommitRatio }: ResourceCapacity__Output): number =>
  Math.floor((total - reserved - unhealthy) * overcommitRatio);

function quantity({ resource }: ResourceCapacity__Output, value: number | undefined): string {
  if (value === undefined) return "unknown";
  return resource === "cpu"
    ? `${value} vCPU`
    : resource === "cpu_dedicated"
      ? `${value} CPU`
      : formatBytes(value);
}

const barWidth = 20;

/** `####++....`: allocated, claimed, free; `????`: unknown. Overcommit fills the bar and ends in `!`. */
function bar(of: ResourceCapacity__Output): string {
  if (of.allocated === undefined) return `[${"?".repeat(barWidth)}]`;
  const whole = sold(of);
  const share = (part: number): number => (whole > 0 ? Math.round((part / whole) * barWidth) : barWidth);
  const allocated = Math.min(share(of.allocated), barWidth);
  const claimed = Math.min(share(of.allocated + of.claimed), barWidth) - allocated;
  const text = "#".repeat(allocated) + "+".repeat(claimed) + ".".repeat(barWidth - allocated - claimed);
  return (of.available ?? 0) < 0 ? `[${text.slice(0, -1)}!]` : `[${text}]`;
}
