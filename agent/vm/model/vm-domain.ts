import { defined } from "../../kernel/defined.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import {
  buildDomain,
  buildMetadata,
  node,
  parseDocument,
  parseDomain,
  textNode,
  type DomainDocument,
  type MetadataElement,
  type MetadataNamespace,
  type XmlElement,
} from "../../libvirt/xml/index.ts";

/** How far an operation's effect on a domain got. `run`: it is marked on the live definition, and so on this run of the guest. */
export const stampPhases = ["run", "begun", "complete"] as const;

/** The newest operation that had an effect on a domain. */
export interface OperationStamp {
  readonly operation: string;
  readonly phase: (typeof stampPhases)[number];
}

/** Socle's own facts about a VM, kept in the domain's `<metadata>`. */
export interface VmMetadata {
  readonly tenant: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The requested spec, as JSON. */
  readonly spec: string;
  readonly specDigest: string;
  readonly placementEpoch: number;
  /** RFC 3339. */
  readonly createdAt: string;
  /** UUID made at creation: a later VM with the same id has another. Absent in VMs made by version 0.1.0. */
  readonly instance?: string;
  readonly accelerator?: "kvm" | "tcg";
  /** The placement on the host, as JSON. */
  readonly placement?: string;
  /** Sealed secrets of its own by what each is for. */
  readonly keys?: Readonly<Record<string, string>>;
  /** Its snapshots and the layers of its disks, as JSON (snapshots.ts). */
  readonly snapshots?: string;
  /** The rescue system that it boots in the place of its own, as JSON (rescue.ts). */
  readonly rescue?: string;
  /** Its backups, as JSON (backups.ts). */
  readonly backups?: string;
  /** It has never started, as JSON (unstarted.ts). */
  readonly unstarted?: string;
  /** Its cloud-init seeds once one was changed, as JSON (seed-note.ts). */
  readonly seed?: string;
}

export interface DomainMetadata {
  /** Present on the VMs that Socle made. */
  readonly socle?: VmMetadata;
  /** Absent in VMs that no operation changed since version 0.1.0. */
  readonly stamp?: OperationStamp;
  /** Why Socle's element is there but cannot be read. */
  readonly problem?: string;
  /** With `problem`: the instance that the element names anyway. */
  readonly instance?: string;
  /** Others' metadata is there too (read only: never written). */
  readonly foreign?: boolean;
}

/** A libvirt domain with Socle's metadata. */
export interface VmDomain extends Omit<DomainDocument, "metadata"> {
  readonly metadata?: DomainMetadata;
}

/** Socle's element in a domain's `<metadata>`. */
export const vmMetadata: MetadataNamespace = {
  uri: "urn:socle:vm:1",
  key: "socle",
  rules: {
    root: "vm",
    rule: {
      children: {
        tenant: { text: "text" },
        labels: { children: { label: { attributes: { key: "text" }, text: "text" } } },
        spec: { text: "record" },
        specDigest: { text: "text" },
        placementEpoch: { text: "integer" },
        createdAt: { text: "text" },
        instance: { text: "uuid" },
        accelerator: { text: ["kvm", "tcg"] },
        placement: { text: "record" },
        keys: { children: { key: { attributes: { of: "text" }, text: "text" } } },
        snapshots: { text: "record" },
        rescue: { text: "record" },
        backups: { text: "record" },
        unstarted: { text: "record" },
        seed: { text: "record" },
      },
    },
  },
};

/** The stamp is an element of its own: it is written without reading the rest, and the rest without it. */
export const operationStamp: MetadataNamespace = {
  uri: "urn:socle:operation:1",
  key: "socle-op",
  rules: { root: "stamp", rule: { attributes: { operation: "uuid", phase: stampPhases } } },
};

/** On the live definition alone: the guest's filesystems are frozen, and until when. */
export const freezeMark: MetadataNamespace = {
  uri: "urn:socle:freeze:1",
  key: "socle-freeze",
  rules: { root: "frozen", rule: { attributes: { until: "integer" } } },
};

/** On the live definition alone: until when a reader of the open backup has renewed its lease. */
export const leaseMark: MetadataNamespace = {
  uri: "urn:socle:backup-lease:1",
  key: "socle-backup-lease",
  rules: { root: "lease", rule: { attributes: { until: "integer" } } },
};

const ownNamespaces: ReadonlySet<string | undefined> = new Set(
  [vmMetadata, operationStamp, freezeMark, leaseMark].map(({ uri }) => uri),
);

/** Throws as parseDomain(). Metadata of Socle's that cannot be read is a `problem`, never an error. */
export function parseVmDomain(xml: string): VmDomain {
  const { metadata, ...rest } = parseDomain(xml);
  return metadata === undefined ? rest : { ...rest, metadata: readMetadata(metadata) };
}

/** Throws as buildDomain(). */
export function buildVmDomain({ metadata = {}, ...rest }: VmDomain): string {
  const { socle, stamp, problem, foreign } = metadata;
  if (problem !== undefined || foreign === true) {
    const what = foreign === true ? "metadata of others" : "metadata of Socle that cannot be read";
    throw new SocleError(
      "unsupported",
      "DOMAIN_NOT_WRITABLE",
      `the domain has ${what}, which is never written`,
    );
  }
  if (socle === undefined) return buildDomain(rest);
  return buildDomain(rest, [vmElement(socle), ...(stamp === undefined ? [] : [stampElement(stamp)])]);
}

function readMetadata(elements: readonly XmlElement[]): DomainMetadata {
  const vm = elements.find(({ namespace }) => namespace === vmMetadata.uri);
  const stamp = elements.find(({ namespace }) => namespace === operationStamp.uri);
  const isForeign = ({ namespace }: XmlElement): boolean => !ownNamespaces.has(namespace);
  return defined<DomainMetadata>({
    ...(vm && tryReadVm(vm)),
    stamp: stamp && readStamp(stamp),
    foreign: elements.some(isForeign) ? true : undefined,
  });
}

function tryReadVm(vm: XmlElement): DomainMetadata {
  try {
    return { socle: readVm(vm) };
  } catch (thrown) {
    const instance = partOf(vm, "instance")?.text;
    return defined<DomainMetadata>({ problem: toSocleError(thrown).message, instance });
  }
}

const partOf = (vm: XmlElement, name: string): XmlElement | undefined =>
  vm.children.find(({ localName }) => localName === name);

function readVm(vm: XmlElement): VmMetadata {
  const text = (name: string): string => {
    const child = partOf(vm, name);
    if (child === undefined) throw unexpected(`${vm.path}/${name}`, "is missing");
    return child.text;
  };
  const placementEpoch = Number(text("placementEpoch"));
  if (!Number.isSafeInteger(placementEpoch) || placementEpoch < 0)
    throw unexpected(`${vm.path}/placementEpoch`, "is no integer");
  const labels = (partOf(vm, "labels")?.children ?? []).map(
    (label) => [label.requireAttr("key"), label.text] as const,
  );
  const keys = partOf(vm, "keys")?.children.map((key) => [key.requireAttr("of"), key.text] as const);
  const accelerator = partOf(vm, "accelerator")?.text;
  return defined<VmMetadata>({
    tenant: text("tenant"),
    labels: Object.fromEntries(labels),
    spec: text("spec"),
    specDigest: text("specDigest"),
    placementEpoch,
    createdAt: text("createdAt"),
    instance: partOf(vm, "instance")?.text,
    accelerator: accelerator === "kvm" || accelerator === "tcg" ? accelerator : undefined,
    placement: partOf(vm, "placement")?.text,
    keys: keys && Object.fromEntries(keys),
    snapshots: partOf(vm, "snapshots")?.text,
    rescue: partOf(vm, "rescue")?.text,
    backups: partOf(vm, "backups")?.text,
    unstarted: partOf(vm, "unstarted")?.text,
    seed: partOf(vm, "seed")?.text,
  });
}

const unexpected = (path: string, problem: string): SocleError =>
  new SocleError("internal", "XML_UNEXPECTED", `libvirt XML: ${path} ${problem}`);

/** Undefined if it is malformed: then no operation is known to have had an effect. */
function readStamp(element: XmlElement): OperationStamp | undefined {
  const operation = element.attr("operation");
  const phase = stampPhases.find((each) => each === element.attr("phase"));
  return operation === undefined || phase === undefined ? undefined : { operation, phase };
}

/** Reads the result of virDomainGetMetadata for the stamp's namespace. */
export const parseStamp = (xml: string): OperationStamp | undefined =>
  readStamp(parseDocument(xml, operationStamp.rules.root));

/** For virDomainSetMetadata with the stamp's key and namespace. */
export const buildStamp = (stamp: OperationStamp): string => buildMetadata(stampElement(stamp));

/** The deadline in milliseconds, from the result of virDomainGetMetadata; 0 if it cannot be read. */
export const parseFreeze = (xml: string): number => untilIn(xml, freezeMark);
export const parseLease = (xml: string): number => untilIn(xml, leaseMark);

function untilIn(xml: string, { rules }: MetadataNamespace): number {
  try {
    return parseDocument(xml, rules.root).integerAttr("until") ?? 0;
  } catch {
    return 0;
  }
}

export const buildLease = (untilMs: number): string =>
  buildMetadata({ namespace: leaseMark, element: node("lease", { until: Math.ceil(untilMs) }) });

export const buildFreeze = (untilMs: number): string =>
  buildMetadata({ namespace: freezeMark, element: node("frozen", { until: Math.ceil(untilMs) }) });

const stampElement = ({ operation, phase }: OperationStamp): MetadataElement => ({
  namespace: operationStamp,
  element: node("stamp", { operation, phase }),
});

/** Reads the result of virDomainGetMetadata for Socle's namespace (without the namespace, which libvirt removes). */
export const parseVmMetadata = (xml: string): VmMetadata => readVm(parseDocument(xml, vmMetadata.rules.root));

/** As parseVmMetadata(), for text of any kind: never throws. */
export function readVmMetadata(xml: string): DomainMetadata {
  try {
    return tryReadVm(parseDocument(xml, vmMetadata.rules.root));
  } catch (thrown) {
    return { problem: toSocleError(thrown).message };
  }
}

/** For virDomainSetMetadata with Socle's key and namespace. */
export const buildVmMetadata = (metadata: VmMetadata): string => buildMetadata(vmElement(metadata));

function vmElement(metadata: VmMetadata): MetadataElement {
  const labels = Object.entries(metadata.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  if (labels.length > 1000)
    throw new SocleError("invalid", "XML_VALUE_REFUSED", "a VM can hold at most 1,000 labels");
  const keys = metadata.keys && Object.entries(metadata.keys);
  const element = node("vm", {}, [
    textNode("tenant", metadata.tenant),
    node(
      "labels",
      {},
      labels.map(([key, value]) => node("label", { key }, value)),
    ),
    textNode("spec", metadata.spec),
    textNode("specDigest", metadata.specDigest),
    textNode("placementEpoch", metadata.placementEpoch),
    textNode("createdAt", metadata.createdAt),
    textNode("instance", metadata.instance),
    textNode("accelerator", metadata.accelerator),
    textNode("placement", metadata.placement),
    keys &&
      node(
        "keys",
        {},
        keys.map(([of, sealed]) => node("key", { of }, sealed)),
      ),
    textNode("snapshots", metadata.snapshots),
    textNode("rescue", metadata.rescue),
    textNode("backups", metadata.backups),
    textNode("unstarted", metadata.unstarted),
    textNode("seed", metadata.seed),
  ]);
  return { namespace: vmMetadata, element };
}
