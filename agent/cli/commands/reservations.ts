import { randomUUID } from "node:crypto";
import { specEnums } from "../../contract/spec-enums.ts";
import type { Reservation__Output } from "../../gen/socle/v1/Reservation.ts";
import type { Agent } from "../client.ts";
import { enumWord, formatAge, formatBytes, formatDuration, toDuration, toMs } from "../format.ts";
import { allPages } from "../pages.ts";
import { placementText, withPlacementFlags, type PlacementFlags } from "../placement.ts";
import type { Command, Session } from "../session.ts";
import { renderFields, renderTable, type Column } from "../table.ts";
import { defined } from "../../kernel/defined.ts";

interface Options {
  readonly all?: boolean;
  readonly requestId?: string;
  /** In milliseconds. */
  readonly ttl?: number;
}

type CreateOptions = Options &
  PlacementFlags & {
    readonly vcpus?: number;
    /** In bytes. */
    readonly memory?: number;
    readonly accelerator?: (typeof specEnums.accelerator.words)[number];
    readonly tenant?: string;
  };

export const listReservations: Command = async (session, _args, options: Options) => {
  const reservations = await allReservations(await session.agent(), options.all === true);
  if (session.json) session.printJson({ reservations });
  else if (reservations.length === 0) session.print("no reservations\n");
  else session.print(renderTable(reservationColumns(session.nowMs()), reservations, session.paint));
};

export async function allReservations(agent: Agent, includeEnded: boolean): Promise<Reservation__Output[]> {
  const pages = await allPages((pageToken) =>
    agent.ask(agent.contract.reservations.ListReservations, { pageSize: 1000, pageToken, includeEnded }),
  );
  return pages.flatMap(({ reservations }) => reservations);
}

export const reservationColumns = (nowMs: number): Column<Reservation__Output>[] => [
  { title: "RESERVATION", cell: ({ reservationId }) => reservationId },
  {
    title: "STATE",
    cell: ({ state }) => enumWord(state, "STATE"),
    paint: (text, { state }, paint) => paint(state === "STATE_HELD" ? "green" : "dim", text),
  },
  { title: "LEFT", cell: left, align: "right" },
  { title: "VCPUS", cell: ({ vcpus }) => String(vcpus), align: "right" },
  { title: "MEMORY", cell: ({ memoryBytes }) => formatBytes(memoryBytes), align: "right" },
  { title: "PLACE", cell: ({ placement }) => placementText(placement) },
  { title: "TENANT", cell: ({ tenant }) => tenant || "-" },
  { title: "CALLER", cell: ({ caller }) => caller },
  { title: "AGE", cell: ({ createdAt }) => formatAge(createdAt, nowMs), align: "right" },
  { title: "VM", cell: ({ vmId }) => vmId || "-" },
];

export const createReservation: Command = async (session, _args, options: CreateOptions) => {
  const agent = await session.agent();
  const { requestId = randomUUID(), vcpus = 0, memory = 0, accelerator, tenant = "", ttl } = options;
  const made = await agent.ask(
    agent.contract.reservations.Reserve,
    defined({
      requestId,
      vcpus,
      memoryBytes: memory,
      tenant,
      accelerator: accelerator === undefined ? undefined : specEnums.accelerator.toProto(accelerator),
      placementRequest: withPlacementFlags(undefined, options) ?? null,
      ttl: ttl === undefined ? null : toDuration(ttl),
    }),
  );
  printReservation(session, made);
};

export const renewReservation: Command = async (session, [reservationId = ""], options: Options) => {
  const agent = await session.agent();
  const { requestId = randomUUID(), ttl } = options;
  const request = { requestId, reservationId, ttl: ttl === undefined ? null : toDuration(ttl) };
  printReservation(session, await agent.ask(agent.contract.reservations.RenewReservation, request));
};

export const releaseReservation: Command = async (session, [reservationId = ""], options: Options) => {
  const agent = await session.agent();
  const { requestId = randomUUID() } = options;
  const request = { requestId, reservationId };
  printReservation(session, await agent.ask(agent.contract.reservations.ReleaseReservation, request));
};

function printReservation(session: Session, reservation: Reservation__Output): void {
  if (session.json) {
    session.printJson(reservation);
    return;
  }
  const { reservationId, state, placement } = reservation;
  const fields: [string, string][] = [
    ["reservation", reservationId],
    ["state", enumWord(state, "STATE")],
    ["left", left(reservation)],
    ["place", placementText(placement)],
  ];
  session.print(renderFields(fields, session.paint));
}

function left({ remaining }: Reservation__Output): string {
  const ms = toMs(remaining);
  return ms === undefined ? "-" : formatDuration(ms);
}
