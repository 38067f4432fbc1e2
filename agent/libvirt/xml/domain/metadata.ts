import { LibvirtError } from "../../internal/errors.ts";
import { node, write, type DocumentRules, type ElementRule, type XmlNode } from "../writer.ts";

/** A namespace of the caller in `<metadata>`. libvirt stores its element with the domain and gives it no meaning. */
export interface MetadataNamespace {
  /** e.g. `urn:example:vm:1`. */
  readonly uri: string;
  /** Prefix of the element in the domain: the `key` of virDomainSetMetadata. */
  readonly key: string;
  /** What may be written, with names that have no prefix. */
  readonly rules: DocumentRules;
}

export interface MetadataElement {
  readonly namespace: MetadataNamespace;
  readonly element: XmlNode;
}

/** The element by itself, for virDomainSetMetadata: libvirt adds the namespace and the prefix. */
export function buildMetadata({ namespace, element }: MetadataElement): string {
  return write(namespace.rules, element);
}

/** The element with its namespace and prefix, inside a domain. */
export function metadataNode({ namespace: { uri, key }, element }: MetadataElement): XmlNode {
  const { name, attributes, content } = prefixedNode(element, `${key}:`);
  return node(name, { [`xmlns:${key}`]: uri, ...attributes }, content);
}

function prefixedNode({ name, attributes, content }: XmlNode, prefix: string): XmlNode {
  const children =
    typeof content === "object" ? content.map((child) => child && prefixedNode(child, prefix)) : content;
  return node(prefix + name, attributes, children);
}

/** What may stand in a domain for that namespace, by the name of the element. */
export function metadataRules({ uri, key, rules }: MetadataNamespace): Readonly<Record<string, ElementRule>> {
  if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(key))
    throw new LibvirtError(
      "invalid",
      "XML_VALUE_REFUSED",
      `${JSON.stringify(key)} is no prefix of an XML element`,
    );
  const rule = prefixedRule(rules.rule, `${key}:`);
  return {
    [`${key}:${rules.root}`]: { ...rule, attributes: { [`xmlns:${key}`]: [uri], ...rule.attributes } },
  };
}

function prefixedRule({ children = {}, ...rest }: ElementRule, prefix: string): ElementRule {
  const prefixed = Object.entries(children).map(
    ([name, rule]) => [prefix + name, prefixedRule(rule, prefix)] as const,
  );
  return { ...rest, children: Object.fromEntries(prefixed) };
}
