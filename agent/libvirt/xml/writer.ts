import { LibvirtError } from "../internal/errors.ts";

// Writing XML for libvirt is a security border: a caller who can put an element of choice into a domain is root on the
// host. So each document is written through an allow-list: for each element its attributes, its children and the form of
// their values.

/** What a value may look like: one of the listed words, or a kind of text. */
export type ValueRule = readonly string[] | keyof typeof valueKinds;

export interface ElementRule {
  readonly attributes?: Readonly<Record<string, ValueRule>>;
  readonly children?: Readonly<Record<string, ElementRule>>;
  readonly text?: ValueRule;
}

/** The allow-list of one kind of document. */
export interface DocumentRules {
  readonly root: string;
  readonly rule: ElementRule;
}

export interface XmlNode {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string | number | undefined>>;
  readonly content: readonly (XmlNode | undefined)[] | string | number;
}

/** An element to write. Undefined attributes and children are left out. */
export function node(
  name: string,
  attributes: XmlNode["attributes"] = {},
  content: XmlNode["content"] = [],
): XmlNode {
  return { name, attributes, content };
}

/** `<name>content</name>`, or nothing when there is no content. */
export function textNode(name: string, content: string | number | undefined): XmlNode | undefined {
  return content === undefined ? undefined : node(name, {}, content);
}

/** `<name/>` when the flag is set. */
export function flagNode(name: string, present: boolean | undefined): XmlNode | undefined {
  return present === true ? node(name) : undefined;
}

/** An element, or nothing when it would have neither attributes nor content. */
export function nodeIfAny(
  name: string,
  attributes: XmlNode["attributes"],
  content: readonly (XmlNode | undefined)[] = [],
): XmlNode | undefined {
  const some = Object.values(attributes).some((value) => value !== undefined);
  return some || content.some((child) => child !== undefined) ? node(name, attributes, content) : undefined;
}

/** libvirt counts guest memory in KiB; a rest is rounded up, as libvirt does. */
export function kibibytes(bytes: number): number {
  return Math.ceil(bytes / 1024);
}

export function kibibytesNode(
  name: string,
  bytes: number | undefined,
  attributes: XmlNode["attributes"] = {},
): XmlNode | undefined {
  return bytes === undefined ? undefined : node(name, { ...attributes, unit: "KiB" }, kibibytes(bytes));
}

export const yesNo = ["yes", "no"] as const;
export const onOff = ["on", "off"] as const;

export function yes(value: boolean | undefined): "yes" | "no" | undefined {
  return value === undefined ? undefined : value ? "yes" : "no";
}

export function on(value: boolean | undefined): "on" | "off" | undefined {
  return value === undefined ? undefined : value ? "on" : "off";
}

/** PATH_MAX, and longer than any value of libvirt's own. */
const maxValueLength = 4096;
const maxRecordLength = 65_536;
// Controls (C0, DEL, C1), surrogates without their twin, and what XML 1.0 cannot hold. U+2028 and U+2029 too: they
// end lines in logs.
const refused = /[\p{Cc}\p{Cs}\u2028\u2029\ufffe\uffff]/u;
const refusedInProse = /[^\P{Cc}\n\t]|[\p{Cs}\u2028\u2029\ufffe\uffff]/u;

const line = (value: string): boolean => !refused.test(value);
const must = (requirement: string, holds: (value: string) => boolean, maxLength = maxValueLength) => ({
  requirement,
  holds,
  maxLength,
});
const mustMatch = (requirement: string, pattern: RegExp) => must(requirement, (value) => pattern.test(value));

const valueKinds = {
  text: must("be one line of printable text", line),
  /** As element content only: an attribute would lose its line ends. */
  prose: must("be printable text", (value) => !refusedInProse.test(value)),
  /** A whole record of the caller, such as JSON. */
  record: must("be one line of printable text", line, maxRecordLength),
  name: must(
    "be a name: printable, without a slash, without a blank at either end",
    (value) => line(value) && /^[^\s/](?:[^/]*[^\s/])?$/u.test(value) && !/^\.\.?$/.test(value),
  ),
  path: must(
    'be an absolute path without ".", ".." or empty steps',
    (value) => line(value) && /^(?:\/(?!\.{1,2}(?:\/|$))[^/]+)+$/.test(value),
  ),
  /** A term of libvirt's or QEMU's vocabulary: a model, a machine type, an interface's name. */
  word: mustMatch("be a word of letters, digits and ._+:-", /^[A-Za-z0-9][A-Za-z0-9._+:-]{0,127}$/),
  integer: mustMatch("be an integer from 0", /^(?:0|[1-9]\d{0,15})$/),
  octal: mustMatch("be an octal file mode", /^0[0-7]{1,5}$/),
  hex: mustMatch("be a hexadecimal number", /^0x[\da-f]{1,16}$/),
  uuid: mustMatch("be a lower-case UUID", /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/),
  mac: mustMatch("be a lower-case MAC address", /^[\da-f]{2}(?::[\da-f]{2}){5}$/),
  address: mustMatch("be an IP address", /^[\da-fA-F.:]{2,45}$/),
  set: mustMatch("be a set of numbers such as 0-3,8", /^\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*$/),
  /** libvirt's own rule for a disk's serial number. */
  serial: mustMatch("be at most 247 letters, digits, blanks and _.+-", /^[A-Za-z0-9_.+ -]{1,247}$/),
  /** The value of an nwfilter variable: an address or a port. */
  filterValue: mustMatch("be at most 64 letters, digits and _.:", /^[A-Za-z0-9_.:]{1,64}$/),
} as const;

/**
 * The document's text. An element or attribute outside the rules is a bug and throws `internal`/XML_NOT_ALLOWED; a
 * value that its rule refuses throws `invalid`/XML_VALUE_REFUSED with the path in `details.fields`.
 */
export function write(rules: DocumentRules, root: XmlNode): string {
  if (root.name !== rules.root) throw notAllowed(root.name);
  return writeElement(root, rules.rule, root.name, "");
}

function writeElement(element: XmlNode, rule: ElementRule, path: string, indent: string): string {
  let tag = `${indent}<${element.name}`;
  for (const [name, value] of Object.entries(element.attributes)) {
    if (value === undefined) continue;
    const allowed = own(rule.attributes, name);
    if (allowed === undefined) throw notAllowed(`${path}@${name}`);
    tag += ` ${name}="${checked(value, allowed, `${path}@${name}`)}"`;
  }
  const { content } = element;
  if (typeof content === "string" || typeof content === "number") {
    if (rule.text === undefined) throw notAllowed(`${path}/text()`);
    return `${tag}>${checked(content, rule.text, path)}</${element.name}>\n`;
  }
  let inner = "";
  for (const child of content) {
    if (child === undefined) continue;
    const childPath = `${path}/${child.name}`;
    const allowed = own(rule.children, child.name);
    if (allowed === undefined) throw notAllowed(childPath);
    inner += writeElement(child, allowed, childPath, `${indent}  `);
  }
  return inner === "" ? `${tag}/>\n` : `${tag}>\n${inner}${indent}</${element.name}>\n`;
}

function own<T>(table: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return table !== undefined && Object.hasOwn(table, key) ? table[key] : undefined;
}

function checked(value: string | number, rule: ValueRule, path: string): string {
  const text = typeof value === "number" ? plainNumber(value, path) : value;
  if (typeof text !== "string") throw notAllowed(`${path} (a ${typeof text})`);
  if (typeof rule !== "string") {
    if (!rule.includes(text)) throw valueRefused(path, `must be one of ${rule.join(", ")}`);
    return escape(text);
  }
  const { requirement, holds, maxLength } = valueKinds[rule];
  if (text.length > maxLength) throw valueRefused(path, `must be at most ${maxLength} characters`);
  if (!holds(text)) throw valueRefused(path, `must ${requirement}`);
  return escape(text);
}

function plainNumber(value: number, path: string): string {
  if (!Number.isSafeInteger(value) || value < 0)
    throw valueRefused(path, "must be an integer from 0 to 2^53");
  return String(value);
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** A document of a kind that is only read. */
export function notWritable(document: "DOMAIN" | "NETWORK" | "POOL", what: string): LibvirtError {
  return new LibvirtError("unsupported", `${document}_NOT_WRITABLE`, `${what} can be read but not written`);
}

function notAllowed(path: string): LibvirtError {
  return new LibvirtError(
    "internal",
    "XML_NOT_ALLOWED",
    `${path} is not on the allow-list of what may be written`,
  );
}

function valueRefused(path: string, problem: string): LibvirtError {
  return new LibvirtError("invalid", "XML_VALUE_REFUSED", `${path} ${problem}`, {
    details: { fields: { [path]: problem } },
  });
}
