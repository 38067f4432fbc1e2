import type { Host__Output } from "../../gen/socle/v1/Host.ts";
import type { NumaCell__Output } from "../../gen/socle/v1/NumaCell.ts";
import type { PciDevice__Output } from "../../gen/socle/v1/PciDevice.ts";
import type { StoragePool__Output } from "../../gen/socle/v1/StoragePool.ts";
import { rangesOf } from "../../kernel/text/cpu-list.ts";
import { enumWord, formatBytes, printable } from "../format.ts";
import type { Paint } from "../io.ts";
import type { Command } from "../session.ts";
import { renderFields, renderTable, type Column } from "../table.ts";

export const inventory: Command = async (session) => {
  const agent = await session.agent();
  const host = await agent.ask(agent.contract.host.GetHost, {});
  session.show(host.inventory, () => renderInventory(host, session.paint));
};

function renderInventory(host: Host__Output, paint: Paint): string {
  const { cells = [], storagePools = [], networks = [], devices = [] } = host.inventory ?? {};
  const parts = [renderFields(summary(host, paint), paint)];
  const add = <Row>(columns: readonly Column<Row>[], rows: readonly Row[]): void => {
    if (rows.length > 0) parts.push(renderTable(columns, rows, paint));
  };
  add(cellColumns, cells);
  add(poolColumns, storagePools);
  add(
    [
      { title: "NETWORK", cell: ({ name }) => name },
      { title: "BRIDGE", cell: ({ bridge }) => bridge },
      { title: "STATE", cell: stateOf },
    ],
    networks,
  );
  add(deviceColumns, devices);
  return parts.join("\n");
}

function summary({ identity, inventory }: Host__Output, paint: Paint): [string, string][] {
  const { cpu, compatibility: guests, traits = [], incompleteReasons = [] } = inventory ?? {};
  // libvirt reports what a KVM guest would get; the trait is proven, and withdrawn while guests fail on KVM.
  const kvmFails =
    inventory?.complete === true && guests?.accelerator === "kvm" && !traits.includes("kvm")
      ? ", which is not usable on this host now"
      : "";
  const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`;
  const fields: [string, string][] = [
    ["host", [identity?.hostname, identity?.hostId].filter(Boolean).join("  ")],
    [
      "cpu",
      cpu
        ? `${cpu.model}, ${count(cpu.sockets, "socket")}, ${count(cpu.cores, "core")}, ${count(cpu.threads, "thread")}`
        : "",
    ],
    ["traits", traits.join(" ")],
    ["guest cpu", guests ? `${guests.cpuModel || "default"} (${guests.accelerator}${kvmFails})` : ""],
    ["moves among", guests ? `hosts with digest ${guests.digest}` : ""],
  ];
  return [
    ...fields.map(([name, value]): [string, string] => [name, printable(value)]),
    ...incompleteReasons.map((reason): [string, string] => [
      "incomplete",
      paint("yellow", printable(reason)),
    ]),
  ];
}

const cellColumns: Column<NumaCell__Output>[] = [
  { title: "CELL", cell: ({ cell }) => String(cell), align: "right" },
  {
    title: "CPUS",
    cell: ({ cpus, offlineCpus }) =>
      offlineCpus.length === 0 ? rangesOf(cpus) : `${rangesOf(cpus)} (${rangesOf(offlineCpus)} offline)`,
  },
  { title: "CORES", cell: ({ siblings }) => String(siblings.length || "?"), align: "right" },
  {
    title: "CACHES",
    cell: ({ caches }) => caches.map(({ level, cpus }) => `L${level} ${rangesOf(cpus)}`).join(" / ") || "?",
  },
  { title: "MEMORY", cell: ({ memoryBytes }) => formatBytes(memoryBytes), align: "right" },
  {
    title: "HUGE PAGES",
    cell: ({ pages }) =>
      pages
        .filter(({ total }) => total > 0)
        .map(({ total, sizeBytes }) => `${total} x ${formatBytes(sizeBytes)}`)
        .join(", ") || "none",
  },
  { title: "DISTANCES", cell: ({ distances }) => distances.join(" ") },
];

/** The state now; or, marked so, as last seen. */
function stateOf({ active, observation }: Pick<StoragePool__Output, "active" | "observation">): string {
  const state = active ? "active" : "inactive";
  return observation?.presence === "PRESENCE_UNKNOWN" ? `unknown (${state} when last seen)` : state;
}

const amount = (bytes: number | undefined): string => (bytes === undefined ? "?" : formatBytes(bytes));

const poolColumns: Column<StoragePool__Output>[] = [
  { title: "POOL", cell: ({ name }) => name },
  { title: "TYPE", cell: ({ type }) => type },
  { title: "STATE", cell: stateOf },
  { title: "SIZE", cell: (pool) => amount(pool.capacityBytes), align: "right" },
  { title: "FREE", cell: (pool) => amount(pool.availableBytes), align: "right" },
  {
    title: "SOLD",
    cell: ({ provisionedBytes, thinRatio }) => `${amount(provisionedBytes)} of ${thinRatio || 1}x`,
    align: "right",
  },
  { title: "SHARED ID", cell: ({ sharedId }) => sharedId },
];

const deviceColumns: Column<PciDevice__Output>[] = [
  { title: "DEVICE", cell: ({ address }) => address },
  { title: "KIND", cell: ({ kind }) => enumWord(kind, "PCI_DEVICE_KIND") },
  {
    title: "WHAT",
    cell: ({ vendor, product, vendorId, productId }) =>
      [vendor, product].filter((word) => word !== "").join(" ") || `${hex(vendorId)}:${hex(productId)}`,
  },
  { title: "DRIVER", cell: ({ driver }) => driver },
  { title: "IOMMU", cell: (of) => String(of.iommuGroup ?? "-"), align: "right" },
  { title: "CELL", cell: (of) => String(of.cell ?? "-"), align: "right" },
  {
    title: "SR-IOV",
    cell: ({ parent, virtualFunctions: of }) =>
      parent === "" ? (of ? `${of.enabled} of ${of.max}` : "") : `of ${parent}`,
  },
];

const hex = (id: number): string => id.toString(16).padStart(4, "0");
