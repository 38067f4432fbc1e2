import type { VirtualNetwork__Output } from "../../gen/socle/v1/VirtualNetwork.ts";
import { enumWord } from "../format.ts";
import { noteUnknown, paintListed } from "../listing.ts";
import { allPages } from "../pages.ts";
import type { Command } from "../session.ts";
import { renderTable, type Column } from "../table.ts";

export const listNetworks: Command = async (session) => {
  const agent = await session.agent();
  const pages = await allPages((pageToken) =>
    agent.ask(agent.contract.networks.ListNetworks, { pageSize: 250, pageToken }),
  );
  const networks = pages.flatMap((page) => page.networks);
  const { observation } = pages[0];
  if (session.json) session.printJson({ networks, observation });
  else if (networks.length === 0) session.print("no networks\n");
  else session.print(renderTable(columns, networks, session.paint));
  return noteUnknown(session, "networks", observation);
};

const yesNo = (value: boolean | undefined): string => (value === undefined ? "?" : value ? "yes" : "no");

const columns: Column<VirtualNetwork__Output>[] = [
  { title: "NETWORK", cell: ({ name }) => name },
  { title: "STATE", cell: ({ state }) => enumWord(state, "NETWORK_STATE"), paint: paintListed },
  { title: "FORWARD", cell: ({ forwardMode }) => (forwardMode === undefined ? "?" : forwardMode || "none") },
  { title: "BRIDGE", cell: ({ bridge }) => bridge || "-" },
  { title: "ADDRESSES", cell: ({ addresses }) => addresses.join(" ") || "-" },
  { title: "DHCP", cell: ({ dhcp }) => yesNo(dhcp) },
  { title: "AUTOSTART", cell: ({ autostart }) => yesNo(autostart) },
  { title: "PERSISTENT", cell: ({ persistent }) => yesNo(persistent) },
  { title: "PROBLEM", cell: ({ problem }) => problem, spare: true },
];
