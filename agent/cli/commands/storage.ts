import type { Pool__Output } from "../../gen/socle/v1/Pool.ts";
import type { Volume__Output } from "../../gen/socle/v1/Volume.ts";
import type { Agent } from "../client.ts";
import { exitCodes } from "../errors.ts";
import { enumWord, formatBytes, printable } from "../format.ts";
import { noteUnknown, paintListed } from "../listing.ts";
import { allPages } from "../pages.ts";
import type { Command } from "../session.ts";
import { renderTable, type Column } from "../table.ts";

const PAGE_SIZE = 250;

interface VolumeOptions {
  readonly pool?: string;
  readonly quiet?: boolean;
}

export const listPools: Command = async (session) => {
  const agent = await session.agent();
  const pages = await allPages((pageToken) =>
    agent.ask(agent.contract.storage.ListPools, { pageSize: PAGE_SIZE, pageToken }),
  );
  const pools = pages.flatMap((page) => page.pools);
  const { observation } = pages[0];
  if (session.json) session.printJson({ pools, observation });
  else if (pools.length === 0) session.print("no storage pools\n");
  else session.print(renderTable(poolColumns, pools, session.paint));
  return noteUnknown(session, "storage pools", observation);
};

const amount = (bytes: number | undefined): string => (bytes === undefined ? "?" : signed(bytes));
const signed = (bytes: number): string => (bytes < 0 ? `-${formatBytes(-bytes)}` : formatBytes(bytes));

const poolColumns: Column<Pool__Output>[] = [
  { title: "POOL", cell: ({ name }) => name },
  { title: "STATE", cell: ({ state }) => enumWord(state, "POOL_STATE"), paint: paintListed },
  { title: "TYPE", cell: ({ type }) => type || "?" },
  { title: "SIZE", cell: ({ capacityBytes }) => amount(capacityBytes), align: "right" },
  { title: "USED", cell: ({ allocatedBytes }) => amount(allocatedBytes), align: "right" },
  { title: "AVAILABLE", cell: ({ availableBytes }) => amount(availableBytes), align: "right" },
  {
    title: "VOLUMES",
    cell: ({ volumes }) => (volumes === undefined ? "?" : String(volumes)),
    align: "right",
  },
  { title: "PROBLEM", cell: ({ problem }) => problem, spare: true },
];

export const listVolumes: Command = async (session, _args, { pool = "", quiet = false }: VolumeOptions) => {
  const { volumes, observation, incompletePools } = await allVolumes(await session.agent(), pool);
  if (session.json) session.printJson({ volumes, observation, incompletePools });
  else if (quiet)
    session.print(volumes.map(({ pool: of, name }) => `${printable(`${of}/${name}`)}\n`).join(""));
  else if (volumes.length === 0) session.print("no volumes\n");
  else session.print(renderTable(volumeColumns, volumes, session.paint));
  if (observation?.presence === "PRESENCE_PRESENT") return exitCodes.ok;
  const warning =
    incompletePools.length > 0
      ? `Volumes are missing, or as last seen, of the pools ${incompletePools.join(", ")}; see socle pool ls.`
      : "libvirt has not reported all pools and VMs: volumes or their users may be missing, or be as last seen.";
  if (!session.json) session.note(session.paintNote("yellow", warning));
  return volumes.length > 0 ? exitCodes.ok : exitCodes.unavailable;
};

async function allVolumes(agent: Agent, pool: string) {
  const pages = await allPages((pageToken) =>
    agent.ask(agent.contract.storage.ListVolumes, { pageSize: PAGE_SIZE, pageToken, pool }),
  );
  const [{ observation, incompletePools }] = pages;
  return { volumes: pages.flatMap((page) => page.volumes), observation, incompletePools };
}

const volumeColumns: Column<Volume__Output>[] = [
  { title: "POOL", cell: ({ pool }) => pool },
  { title: "VOLUME", cell: ({ name }) => name },
  { title: "FORMAT", cell: ({ format }) => enumWord(format, "DISK_FORMAT") },
  { title: "SIZE", cell: ({ capacityBytes }) => amount(capacityBytes), align: "right" },
  { title: "USED", cell: ({ allocatedBytes }) => amount(allocatedBytes), align: "right" },
  {
    title: "ROLE",
    cell: ({ role }) => (role === "VOLUME_ROLE_UNSPECIFIED" ? "?" : enumWord(role, "VOLUME_ROLE")),
  },
  { title: "VMS", cell: ({ users }) => users.join(" ") || "-" },
  { title: "TENANT", cell: ({ tenant }) => tenant, spare: true },
  { title: "PROBLEM", cell: ({ problem }) => problem, spare: true },
];
