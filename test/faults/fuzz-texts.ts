import type { FileHandle } from "node:fs/promises";
import { deserialize, serialize } from "node:v8";
import { exampleConfig } from "../../agent/config/example.ts";
import { parseConfig } from "../../agent/config/load.ts";
import { isSocleError } from "../../agent/kernel/errors.ts";
import * as xml from "../../agent/libvirt/xml/index.ts";
import { encodeLine, replayLines } from "../../agent/state/journal/format.ts";
import { domainDocument } from "../../agent/vm/observation/domain-document.ts";
import { unbound, type Placement } from "../../agent/state/reservations/placement.ts";
import { checkSpec } from "../../agent/vm/model/spec-check.ts";
import { publicKey } from "../support/vm/seeds.ts";
import { buildVmDomain, parseVmDomain, type VmDomain } from "../../agent/vm/model/vm-domain.ts";
import { fixture } from "../support/libvirt/xml/oracles.ts";
import { fullDomain } from "../support/libvirt/xml/samples.ts";
import type { FuzzTarget } from "./fuzz-target.ts";

/** A proper refusal, with a specific reason. */
function refusal(thrown: unknown): void {
  if (!isSocleError(thrown) || thrown.reason === "INTERNAL") throw thrown;
}

/** Receives built XML for a check with another parser. */
export type Built = (text: string) => void;

const readers: readonly (readonly [fixture: string, parse: (text: string) => unknown])[] = [
  ["domain-running", parseVmDomain],
  ["domain-openstack", parseVmDomain],
  ["capabilities", xml.parseCapabilities],
  ["domain-capabilities", xml.parseDomainCapabilities],
  ["network-dual-stack", xml.parseNetwork],
  ["network-default", xml.parseNetwork],
  ["pool-iscsi", xml.parsePool],
  ["pool-dir", xml.parsePool],
  ["volume-luks", xml.parseVolume],
  ["volume-overlay", xml.parseVolume],
  ["secret-vtpm", xml.parseSecret],
  ["node-device-sriov-pf", xml.parseNodeDevice],
  ["node-device-mdev", xml.parseNodeDevice],
];
interface Source {
  readonly name: string;
  readonly text: string;
  readonly parse: (text: string) => unknown;
}
// The fixtures hold XML that Socle only reads; its own domain shows that a changed one is still written correctly.
const documents: readonly Source[] = [
  ...readers.map(([name, parse]) => ({ name, text: fixture(name), parse })),
  { name: "own", text: buildVmDomain(fullDomain), parse: parseVmDomain },
  { name: "own", text: buildVmDomain(fullDomain), parse: parseVmDomain },
];

/** libvirt's XML: read, and written again if it is still a domain. */
export const libvirtXml = (built: Built): FuzzTarget => ({
  name: "xml",
  share: 100,
  // Its first line names its kind.
  make: (chance) => {
    const { name, text } = chance.of(documents);
    const changed = chance.is(80)
      ? chance.mutatedText(text, /(?<=>)|(?=<)|(?<=[='" ])|(?=['"])/)
      : chance.mutated(Buffer.from(text)).toString();
    return Buffer.from(`${name}\n${changed}`);
  },
  feed: (input) => {
    const [name = "", ...lines] = input.toString().split("\n");
    const parse = documents.find((each) => each.name === name)?.parse ?? parseVmDomain;
    try {
      const document = parse(lines.join("\n"));
      if (parse === parseVmDomain) built(buildVmDomain(document as VmDomain));
    } catch (thrown) {
      refusal(thrown);
    }
  },
});

/** A spec with every field. */
export const wholeSpec = {
  name: "web-1",
  id: "3f0c9b52-7a54-4c1d-8f3e-0c3a9d3a1b01",
  vcpus: 4,
  cpuTopology: { sockets: 1, cores: 2, threads: 2 },
  cpuMode: "custom",
  cpuModel: "EPYC-v4",
  memoryBytes: 2 ** 30,
  accelerator: "kvm",
  firmware: "uefi",
  disks: [
    {
      name: "boot",
      source: { kind: "volume", volume: { pool: "images", volume: "debian.qcow2" } },
      readOnly: true,
    },
    {
      name: "data",
      source: { kind: "new", pool: "fast", capacityBytes: 2 ** 30, format: "qcow2", baseVolume: "b" },
    },
  ],
  nics: [
    {
      name: "net",
      source: { kind: "network", network: "default" },
      mac: "52:54:00:12:34:56",
      allowedAddresses: ["10.0.0.1", "fe80::1"],
    },
    { name: "up", source: { kind: "bridge", bridge: "br0" }, allowSpoofing: true, linkDown: true },
  ],
  kernelBoot: {
    kernel: { pool: "images", volume: "vmlinuz" },
    initrd: { pool: "images", volume: "initrd" },
    commandLine: "console=ttyS0 quiet",
  },
  guestAgent: true,
  tenant: "acme",
  labels: { tier: "front", "app/name": "web <1>" },
  autostart: false,
  placement: {
    dedicatedCpus: true,
    cellPolicy: "strict",
    cell: 1,
    pageSizeBytes: 2 ** 21,
    devices: ["gpu0"],
  },
  cloudInit: { hostname: "web-1.example.com", sshKeys: [publicKey], pool: "seeds" },
};

/** As the ledger places it. */
const bound: Placement = {
  cells: [1],
  strict: true,
  vcpuCpus: [4, 5],
  sharedCpus: [],
  emulatorCpus: [0, 1],
  hugepageBytes: 2 ** 21,
  devices: ["0000:3b:00.0"],
};

interface SpecInput {
  readonly asked: unknown;
  readonly accelerator: "kvm" | "tcg";
  readonly architecture: string;
  readonly placement: Placement;
  readonly placementEpoch: number;
}

/** A tenant's spec, through validation to the domain XML for libvirt. */
export const specs = (built: Built): FuzzTarget => ({
  name: "spec",
  share: 110,
  make: (chance) =>
    serialize({
      asked: chance.mutatedValue(wholeSpec),
      accelerator: chance.of(["kvm", "tcg"] as const),
      architecture: chance.of(["x86_64", "aarch64"]),
      placement: chance.of([unbound, bound]),
      placementEpoch: chance.below(5),
    } satisfies SpecInput),
  feed: (input) => {
    try {
      const { asked, ...admitted } = deserialize(input) as SpecInput;
      const checked = checkSpec(asked, { bridges: ["br0"], allowSpoofing: true });
      built(
        buildVmDomain(
          domainDocument({
            ...admitted,
            spec: checked,
            disks: checked.disks.map(({ name }) => ({ path: `/images/${name}`, format: "qcow2" })),
            ...(checked.kernelBoot === undefined ? {} : { kernelPath: "/images/vmlinuz" }),
            ...(checked.cloudInit === undefined ? {} : { seedPath: "/images/seed.iso" }),
            socketDirectory: "/run/socle-guests",
            createdAtMs: 1_700_000_000_000,
          }),
        ),
      );
    } catch (thrown) {
      refusal(thrown);
    }
  },
});

const example = exampleConfig().replaceAll(/^#( *\w+:)/gm, "$1");

export const configuration: FuzzTarget = {
  name: "config",
  share: 25,
  make: (chance) =>
    chance.is(80)
      ? Buffer.from(chance.mutatedText(example, /(?<=\n)|(?<=: )|(?=:)/))
      : chance.mutated(Buffer.from(example)),
  feed: (input) => {
    try {
      parseConfig(input.toString(), "fuzzed.yaml");
    } catch (thrown) {
      refusal(thrown);
    }
  },
};

const records = Array.from({ length: 12 }, (_, at) =>
  JSON.stringify({ t: at === 0 ? "header" : "begin", id: at, text: "x".repeat(at * 7) }),
);
const journal = (() => {
  const lines: Buffer[] = [];
  let bytes = 0;
  for (const [at, record] of records.entries()) {
    const line = encodeLine(record, at < 8 ? bytes : Math.max(0, bytes - 100));
    lines.push(line);
    bytes += line.length;
  }
  return Buffer.concat(lines);
})();

/** A journal file: every record that is read was written, or the file is refused. */
export const journals: FuzzTarget = {
  name: "journal",
  share: 60,
  make: (chance) => chance.mutated(journal),
  feed: async (bytes) => {
    const read = (into: Buffer, _offset: number, length: number, position: number) =>
      Promise.resolve({
        bytesRead: bytes.copy(into, 0, position, Math.min(bytes.length, position + length)),
      });
    const written = new Set(records);
    try {
      // replayLines only reads from the handle.
      await replayLines("fuzzed.journal", "fuzzed", { read } as unknown as FileHandle, (record) => {
        const text = JSON.stringify(record);
        if (!written.has(text)) throw new Error(`a record was read that was not written: ${text}`);
      });
    } catch (thrown) {
      refusal(thrown);
    }
  },
};
