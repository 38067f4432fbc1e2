import { parseCpuSet } from "./domain/cpuset.ts";
import { unexpected } from "./unexpected.ts";
import { bytesPerUnit } from "./units.ts";

const noAttributes: ReadonlyMap<string, string> = new Map();

/**
 * One element of a parsed document. `attr` and `child` answer undefined for what is not there; the `require...` twins
 * throw `internal`/XML_UNEXPECTED naming the path, e.g. `domain/devices/disk[2]/target@dev is missing`.
 */
export class XmlElement {
  /** As written, prefix included. */
  readonly name: string;
  /** The namespace this element is in; "" for none. */
  readonly namespace: string;
  readonly parent: XmlElement | undefined;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: XmlElement[] = [];
  /** The element's own character data, joined; blank when it only separates child elements. */
  text = "";

  constructor(
    name: string,
    namespace: string,
    parent: XmlElement | undefined,
    attributes: ReadonlyMap<string, string> = noAttributes,
  ) {
    this.name = name;
    this.namespace = namespace;
    this.parent = parent;
    this.attributes = attributes;
  }

  /** For messages: names from the root down, an index (from 1) where an element has namesakes. */
  get path(): string {
    if (this.parent === undefined) return this.name;
    const namesakes = this.parent.all(this.name);
    const index = namesakes.length > 1 ? `[${namesakes.indexOf(this) + 1}]` : "";
    return `${this.parent.path}/${this.name}${index}`;
  }

  get localName(): string {
    return this.name.slice(this.name.indexOf(":") + 1);
  }

  attr(name: string): string | undefined {
    return this.attributes.get(name);
  }

  requireAttr(name: string): string {
    const value = this.attributes.get(name);
    if (value === undefined) throw unexpected(`${this.path}@${name}`, "is missing");
    return value;
  }

  /** The first child of that name; "a/b" goes down. */
  child(path: string): XmlElement | undefined {
    const slash = path.indexOf("/");
    if (slash >= 0) return this.child(path.slice(0, slash))?.child(path.slice(slash + 1));
    for (const child of this.children) if (child.name === path) return child;
    return undefined;
  }

  requireChild(path: string): XmlElement {
    const child = this.child(path);
    if (child === undefined) throw unexpected(`${this.path}/${path}`, "is missing");
    return child;
  }

  /** Every child of that name, in order; "a/b" has the children of the first "a". */
  all(path: string): XmlElement[] {
    const slash = path.indexOf("/");
    if (slash >= 0) return this.child(path.slice(0, slash))?.all(path.slice(slash + 1)) ?? [];
    return this.children.filter((child) => child.name === path);
  }

  has(path: string): boolean {
    return this.child(path) !== undefined;
  }

  /** The text of a descendant, undefined where it is missing. */
  textAt(path: string): string | undefined {
    return this.child(path)?.text;
  }

  textsAt(path: string): string[] {
    return this.all(path).map(({ text }) => text);
  }

  requireText(path: string): string {
    return this.requireChild(path).text;
  }

  /** An attribute as an integer: decimal or 0x-hexadecimal, within 2^53. */
  integerAttr(name: string): number | undefined {
    const value = this.attributes.get(name);
    return value === undefined ? undefined : integer(value, () => `${this.path}@${name}`);
  }

  requireIntegerAttr(name: string): number {
    return integer(this.requireAttr(name), () => `${this.path}@${name}`);
  }

  /** This element's text as an integer. */
  integer(): number {
    return integer(this.text, () => this.path);
  }

  integerAt(path: string): number | undefined {
    return this.child(path)?.integer();
  }

  /** yes/no, on/off, true/false, 1/0 in libvirt's several spellings; undefined when missing or none of them. */
  flagAttr(name: string): boolean | undefined {
    return flag(this.attributes.get(name));
  }

  /**
   * This element's text as bytes, by its `unit` attribute (libvirt's own units; `fallbackUnit` where it has none).
   * Saturates at 2^53-1, the contract's ceiling: a Ceph pool above 8 PiB must not make its host unreadable.
   */
  bytes(fallbackUnit = "KiB"): number {
    return this.scale(
      integerOrHuge(this.text, () => this.path),
      this.attr("unit") ?? fallbackUnit,
    );
  }

  bytesAt(path: string, fallbackUnit = "KiB"): number | undefined {
    return this.child(path)?.bytes(fallbackUnit);
  }

  /** An attribute as bytes, by another attribute that holds its unit. */
  bytesAttr(name: string, fallbackUnit = "KiB", unitAttr = "unit"): number | undefined {
    const value = this.attr(name);
    if (value === undefined) return undefined;
    return this.scale(
      integerOrHuge(value, () => `${this.path}@${name}`),
      this.attr(unitAttr) ?? fallbackUnit,
    );
  }

  /** An attribute such as "0-3,8" as its members, ascending. */
  cpuSetAttr(name: string): number[] | undefined {
    const value = this.attributes.get(name);
    return value === undefined ? undefined : parseCpuSet(value, () => `${this.path}@${name}`);
  }

  requireCpuSetAttr(name: string): number[] {
    return parseCpuSet(this.requireAttr(name), () => `${this.path}@${name}`);
  }

  private scale(value: number, unit: string): number {
    const factor = bytesPerUnit(unit);
    if (factor === undefined) throw unexpected(this.path, `has the unknown unit ${JSON.stringify(unit)}`);
    return Math.min(value * factor, Number.MAX_SAFE_INTEGER);
  }
}

export function flag(value: string | undefined): boolean | undefined {
  if (value === "yes" || value === "on" || value === "true" || value === "1") return true;
  if (value === "no" || value === "off" || value === "false" || value === "0") return false;
  return undefined;
}

function integer(text: string, path: () => string): number {
  const value = integerOrHuge(text, path);
  if (!Number.isSafeInteger(value)) throw unexpected(path(), `is beyond 2^53: ${text.trim()}`);
  return value;
}

function integerOrHuge(text: string, path: () => string): number {
  const trimmed = text.trim();
  if (!/^(?:[-+]?\d{1,20}|0x[\da-f]{1,16})$/i.test(trimmed)) {
    throw unexpected(path(), `is not an integer: ${JSON.stringify(trimmed.slice(0, 40))}`);
  }
  return Number(trimmed);
}
