import { SocleError, toSocleError } from "../../../kernel/errors.ts";
import { parseDocument } from "../document.ts";
import { stampPhases, type DomainMetadata, type OperationStamp, type VmMetadata } from "./domain.ts";
import type { XmlElement } from "../element.ts";
import { unexpected } from "../unexpected.ts";
import { oneOf, present } from "../present.ts";
import { node, textNode, write, type XmlNode } from "../writer.ts";
import { operationStampRules, vmMetadataRules } from "./rules.ts";

/** The namespace of Socle's element in a domain's `<metadata>`, and the key (prefix) it is registered under. */
export const vmMetadataNamespace = "urn:socle:vm:1";
export const vmMetadataKey = "socle";
/** The stamp is an element of its own: it is written without reading the rest, and the rest without it. */
export const stampNamespace = "urn:socle:operation:1";
export const stampKey = "socle-op";

export function readMetadata(element: XmlElement | undefined): DomainMetadata | undefined {
  if (element === undefined || element.children.length === 0) return undefined;
  const ours = element.children.filter((child) => child.namespace === vmMetadataNamespace);
  const stamps = element.children.filter((child) => child.namespace === stampNamespace);
  const foreign = ours.length + stamps.length < element.children.length ? true : undefined;
  const [vm] = ours;
  const [stamp] = stamps;
  const others = { problem: undefined, instance: undefined, stamp: stamp && readStamp(stamp), foreign };
  if (vm === undefined) return present<DomainMetadata>({ socle: undefined, ...others });
  try {
    return present<DomainMetadata>({ socle: readVm(vm), ...others });
  } catch (thrown) {
    const problem = toSocleError(thrown).message;
    return present<DomainMetadata>({ socle: undefined, ...others, problem, instance: instanceIn(vm) });
  }
}

function readVm(vm: XmlElement): VmMetadata {
  const part = (name: string) => vm.children.find((child) => child.localName === name);
  const text = (name: string) => {
    const child = part(name);
    if (child === undefined) throw unexpected(`${vm.path}/${name}`, "is missing");
    return child.text;
  };
  const placementEpoch = Number(text("placementEpoch"));
  if (!Number.isSafeInteger(placementEpoch) || placementEpoch < 0) {
    throw unexpected(`${vm.path}/placementEpoch`, "is no integer");
  }
  const labels = (part("labels")?.children ?? []).map(
    (label) => [label.requireAttr("key"), label.text] as const,
  );
  const keys = part("keys")?.children.map((key) => [key.requireAttr("of"), key.text] as const);
  return present<VmMetadata>({
    tenant: text("tenant"),
    labels: Object.fromEntries(labels),
    spec: text("spec"),
    specDigest: text("specDigest"),
    placementEpoch,
    createdAt: text("createdAt"),
    instance: part("instance")?.text,
    accelerator: oneOf(part("accelerator")?.text, ["kvm", "tcg"]),
    placement: part("placement")?.text,
    keys: keys && Object.fromEntries(keys),
  });
}

/** Undefined where it is none: then no operation is known to have had an effect. */
function readStamp(element: XmlElement): OperationStamp | undefined {
  const operation = element.attr("operation");
  const phase = oneOf(element.attr("phase"), stampPhases);
  return operation === undefined || phase === undefined ? undefined : { operation, phase };
}

/** What `virDomainGetMetadata` of the stamp's namespace answered. */
export function parseStamp(xml: string): OperationStamp | undefined {
  return readStamp(parseDocument(xml, "stamp"));
}

/** For `virDomainSetMetadata` with the stamp's key and namespace. */
export function buildStamp({ operation, phase }: OperationStamp): string {
  return write(operationStampRules, node("stamp", { operation, phase }));
}

/** The stamp with its namespace, as it stands in a domain. */
export const stampNode = ({ operation, phase }: OperationStamp): XmlNode =>
  node(`${stampKey}:stamp`, { [`xmlns:${stampKey}`]: stampNamespace, operation, phase });

const instanceIn = (vm: XmlElement): string | undefined =>
  vm.children.find(({ localName }) => localName === "instance")?.text;

/** What `virDomainGetMetadata` of Socle's namespace answered (libvirt has taken the namespace out of it). */
export function parseVmMetadata(xml: string): VmMetadata {
  return readVm(parseDocument(xml, "vm"));
}

/** The same, where what was answered may be anything: never throws. */
export function readVmMetadata(xml: string): DomainMetadata {
  let vm: XmlElement | undefined;
  try {
    vm = parseDocument(xml, "vm");
    return { socle: readVm(vm) };
  } catch (thrown) {
    const instance = vm && instanceIn(vm);
    return { problem: toSocleError(thrown).message, ...(instance === undefined ? {} : { instance }) };
  }
}

/** For `virDomainSetMetadata` with Socle's key and namespace, which libvirt then puts on every element itself. */
export function buildVmMetadata(metadata: VmMetadata): string {
  return write(vmMetadataRules, vmNode(metadata, ""));
}

/** Socle's element with its namespace, as it stands in a domain. */
export function vmMetadataNode(metadata: VmMetadata): XmlNode {
  return vmNode(metadata, `${vmMetadataKey}:`);
}

function vmNode(metadata: VmMetadata, prefix: string): XmlNode {
  const labels = Object.entries(metadata.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  if (labels.length > 1000) {
    throw new SocleError("invalid", "XML_VALUE_REFUSED", "a VM can hold at most 1,000 labels");
  }
  return node(`${prefix}vm`, prefix === "" ? {} : { [`xmlns:${vmMetadataKey}`]: vmMetadataNamespace }, [
    textNode(`${prefix}tenant`, metadata.tenant),
    node(
      `${prefix}labels`,
      {},
      labels.map(([key, value]) => node(`${prefix}label`, { key }, value)),
    ),
    textNode(`${prefix}spec`, metadata.spec),
    textNode(`${prefix}specDigest`, metadata.specDigest),
    textNode(`${prefix}placementEpoch`, metadata.placementEpoch),
    textNode(`${prefix}createdAt`, metadata.createdAt),
    textNode(`${prefix}instance`, metadata.instance),
    textNode(`${prefix}accelerator`, metadata.accelerator),
    textNode(`${prefix}placement`, metadata.placement),
    metadata.keys &&
      node(
        `${prefix}keys`,
        {},
        Object.entries(metadata.keys).map(([of, sealed]) => node(`${prefix}key`, { of }, sealed)),
      ),
  ]);
}
