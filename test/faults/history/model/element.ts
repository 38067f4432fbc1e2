import { parseDocument } from "../../../../agent/libvirt/xml/document.ts";
import type { XmlElement } from "../../../../agent/libvirt/xml/element.ts";
import type { Stamp } from "../history.ts";

/** A mutable XML element. */
export interface Element {
  name: string;
  attributes: Record<string, string>;
  children: Element[];
  text: string;
}

export const element = (
  name: string,
  attributes: Record<string, string> = {},
  content: string | Element[] = [],
): Element => ({
  name,
  attributes,
  children: typeof content === "string" ? [] : content,
  text: typeof content === "string" ? content : "",
});

/** Throws what the agent's parser throws for a document that is not well-formed or has another root. */
export const readXml = (xml: string, root = rootOf(xml)): Element => cloneElement(viewXml(xml, root));

/** As `readXml`; the element is shared by all readers of the text, so it must not be changed. */
export function viewXml(xml: string, root = rootOf(xml)): Element {
  const known = views.get(xml);
  if (known?.name === root) return known;
  const view = copyOf(parseDocument(xml, root));
  if (views.size >= MOST_VIEWS) views.clear();
  views.set(xml, view);
  return view;
}

/** One call reads its document several times: for its subject, its effect and the history. */
const views = new Map<string, Element>();
const MOST_VIEWS = 16;

const rootOf = (xml: string): string => /<([^\s!?/>]+)/.exec(xml)?.[1] ?? "";

function copyOf(source: XmlElement): Element {
  return {
    name: source.name,
    attributes: Object.fromEntries(source.attributes),
    children: source.children.map(copyOf),
    text: source.text,
  };
}

export const cloneElement = ({ name, attributes, children, text }: Element): Element => ({
  name,
  attributes: { ...attributes },
  children: children.map(cloneElement),
  text,
});

export function writeXml({ name, attributes, children, text }: Element, indent = ""): string {
  let written = `${indent}<${name}`;
  for (const key in attributes) written += ` ${key}='${escape(attributes[key] ?? "")}'`;
  if (children.length === 0) return `${written}${text === "" ? "/" : `>${escape(text)}</${name}`}>\n`;
  written += ">\n";
  const deeper = `${indent}  `;
  for (const child of children) written += writeXml(child, deeper);
  return `${written}${indent}</${name}>\n`;
}

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

const escape = (text: string): string =>
  /[&<>"']/.test(text) ? text.replaceAll(/[&<>"']/g, (character) => escapes[character] ?? "") : text;

/** The first descendant at `path`, as "a/b". */
export function find(from: Element, path: string): Element | undefined {
  let at: Element | undefined = from;
  for (const step of path.split("/")) at = at?.children.find(({ name }) => name === step);
  return at;
}

export const all = (from: Element | undefined, name: string): Element[] =>
  from?.children.filter((child) => child.name === name) ?? [];

export const textAt = (from: Element, path: string): string | undefined => find(from, path)?.text;

/** Sets the text of a child, which is added where it is missing. */
export function setText(parent: Element, name: string, text: string): void {
  const there = find(parent, name);
  if (there === undefined) parent.children.push(element(name, {}, text));
  else there.text = text;
}

/** The child of `<metadata>` that is in this namespace. */
function metadataChild(domain: Element, uri: string): { parent: Element; index: number } | undefined {
  const parent = find(domain, "metadata");
  const index = parent?.children.findIndex((child) => namespaceOf(child) === uri) ?? -1;
  return parent === undefined || index < 0 ? undefined : { parent, index };
}

function namespaceOf({ name, attributes }: Element): string | undefined {
  const colon = name.indexOf(":");
  return attributes[colon < 0 ? "xmlns" : `xmlns:${name.slice(0, colon)}`];
}

/** As virDomainGetMetadata returns it: without the namespace. */
export function metadataXml(domain: Element, uri: string): string | undefined {
  const found = metadataChild(domain, uri);
  const there = found?.parent.children[found.index];
  return there === undefined ? undefined : writeXml(withoutNamespace(there));
}

function withoutNamespace({ name, attributes, children, text }: Element): Element {
  const kept = Object.entries(attributes).filter(([key]) => key !== "xmlns" && !key.startsWith("xmlns:"));
  return {
    name: name.slice(name.indexOf(":") + 1),
    attributes: Object.fromEntries(kept),
    children: children.map(withoutNamespace),
    text,
  };
}

/** As virDomainSetMetadata stores it: `key` becomes the prefix of each element. Without `xml` the element is removed. */
export function setMetadata(domain: Element, key: string, uri: string, xml: string | null): void {
  const found = metadataChild(domain, uri);
  found?.parent.children.splice(found.index, 1);
  if (xml === null) return;
  let metadata = find(domain, "metadata");
  if (metadata === undefined) {
    metadata = element("metadata");
    domain.children.push(metadata);
  }
  const stored = withPrefix(readXml(xml), key);
  stored.attributes = { [`xmlns:${key}`]: uri, ...stored.attributes };
  metadata.children.push(stored);
}

function withPrefix({ name, attributes, children, text }: Element, prefix: string): Element {
  return {
    name: `${prefix}:${name.slice(name.indexOf(":") + 1)}`,
    attributes,
    children: children.map((child) => withPrefix(child, prefix)),
    text,
  };
}

const inNamespace = (domain: Element | undefined, uri: string): Element | undefined => {
  const found = domain === undefined ? undefined : metadataChild(domain, uri);
  return found?.parent.children[found.index];
};

const stampNamespace = "urn:socle:operation:1";

/** The operation that last changed the domain, by its stamp. */
export const stampedOperation = (domain: Element | undefined): string | undefined =>
  inNamespace(domain, stampNamespace)?.attributes.operation;

/** What a virDomainSetMetadata writes, where it is a stamp. */
export function stampIn(uri: string | null, xml: string | null): Stamp | undefined {
  if (uri !== stampNamespace || xml === null) return undefined;
  const { operation = "", phase = "" } = viewXml(xml).attributes;
  return { operation, phase };
}

/** The text of a part of Socle's metadata, found by its local name. */
export function socleText(domain: Element | undefined, part: string): string | undefined {
  const vm = inNamespace(domain, "urn:socle:vm:1");
  return vm?.children.find(({ name }) => name.slice(name.indexOf(":") + 1) === part)?.text;
}
