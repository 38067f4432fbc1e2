import { SaxesParser } from "saxes";
import { parseDocument } from "../document.ts";
import { kibibytesNode, node, write, type ElementRule, type XmlNode } from "../writer.ts";
import { cpuNode, maxMemoryNode, numaNode, vcpuNode, vcpusNode } from "./build.ts";
import type { DomainCpu, DomainDocument, Vcpus } from "./domain.ts";
import { bootOrder, deviceRules } from "./device-rules.ts";
import type { Disk, Graphics, Video, Watchdog } from "./devices.ts";
import { diskNode, graphicsNode, videoNode, watchdogNode } from "./devices-build.ts";
import { domainRules } from "./rules.ts";

/** What a domain needs so that memory devices can be added to its running guest. */
export interface MemoryGrowth {
  readonly maxMemory: NonNullable<DomainDocument["maxMemory"]>;
  readonly cells: NonNullable<DomainCpu["cells"]>;
}

/** Parts of a domain to write anew; what is absent stays. */
export interface DomainEdits {
  readonly vcpus?: Vcpus;
  readonly memoryBytes?: number;
  /** Written only where the domain has a limit. */
  readonly memoryHardLimitBytes?: number;
  /** `none`: without the element. */
  readonly cpu?: DomainCpu | "none";
  /** The aliases of the disks and NICs to boot from, in this order; no others are. */
  readonly bootOrder?: readonly string[];
  /** `none`: without the maximum and the cells. */
  readonly memoryGrowth?: MemoryGrowth | "none";
  /** All that the domain has afterwards of such devices. */
  readonly graphics?: readonly Graphics[];
  readonly videos?: readonly Video[];
  readonly watchdogs?: readonly Watchdog[];
  /** Each is added, or replaces the source of the disk with its alias, which else stays as it is. */
  readonly disks?: readonly Disk[];
}

/** A piece of the text that is replaced. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

interface Span {
  readonly name: string;
  readonly start: number;
  /** Behind its start tag, and before its end tag. */
  readonly opened: number;
  closing: number;
  end: number;
  readonly alias?: string;
  readonly children: Span[];
}

/**
 * The definition of an existing domain, as libvirt gave it, with parts of it written through the allow-list. All else stays as
 * it is, also what `parseDomain` does not know: the addresses of devices, and what other clients added. Throws as
 * `parseDocument` does, and XML_VALUE_REFUSED for a value that may not be written.
 */
export function editDomain(xml: string, edits: DomainEdits): string {
  // Its limits and refusals hold here as well.
  parseDocument(xml, "domain");
  const root = spansOf(xml);
  const found = (name: string): Span | undefined => root.children.find((child) => child.name === name);
  const all: Edit[] = [];
  const put = (name: string, value: XmlNode | undefined): void => {
    const at = found(name);
    const text = value === undefined ? "" : written(name, value);
    if (at !== undefined) all.push({ start: at.start, end: at.end, text });
    else if (text !== "") all.push({ start: root.opened, end: root.opened, text });
  };
  if (edits.vcpus !== undefined) {
    put("vcpu", vcpuNode(edits.vcpus));
    put("vcpus", vcpusNode(edits.vcpus));
  }
  if (edits.memoryBytes !== undefined) {
    put("memory", kibibytesNode("memory", edits.memoryBytes));
    put("currentMemory", kibibytesNode("currentMemory", edits.memoryBytes));
  }
  if (edits.cpu !== undefined) put("cpu", edits.cpu === "none" ? undefined : cpuNode(edits.cpu));
  if (edits.memoryGrowth !== undefined) {
    const to = edits.memoryGrowth === "none" ? undefined : edits.memoryGrowth;
    put("maxMemory", to && maxMemoryNode(to.maxMemory));
    if (edits.cpu === undefined && found("cpu") === undefined) put("cpu", to && cpuNode({ cells: to.cells }));
    else if (edits.cpu === undefined) all.push(...cellEdits(xml, found("cpu"), to?.cells));
  }
  const limit = found("memtune")?.children.find(({ name }) => name === "hard_limit");
  if (edits.memoryHardLimitBytes !== undefined && limit !== undefined) {
    const value = kibibytesNode("hard_limit", edits.memoryHardLimitBytes);
    const rule = domainRules.rule.children?.["memtune"]?.children?.["hard_limit"];
    if (value !== undefined && rule !== undefined)
      all.push({ start: limit.start, end: limit.end, text: write({ root: "hard_limit", rule }, value) });
  }
  if (edits.bootOrder !== undefined) all.push(...bootEdits(found("devices"), edits.bootOrder));
  const devices = found("devices");
  if (edits.graphics !== undefined)
    all.push(...deviceEdits(devices, "graphics", edits.graphics.map(graphicsNode)));
  if (edits.videos !== undefined) all.push(...deviceEdits(devices, "video", edits.videos.map(videoNode)));
  if (edits.watchdogs !== undefined)
    all.push(...deviceEdits(devices, "watchdog", edits.watchdogs.map(watchdogNode)));
  if (edits.disks !== undefined) all.push(...edits.disks.flatMap((disk) => diskEdits(devices, disk)));
  return edited(xml, all);
}

const edited = (xml: string, edits: readonly Edit[]): string =>
  [...edits]
    .sort((a, b) => b.start - a.start)
    .reduce((text, { start, end, text: by }) => text.slice(0, start) + by + text.slice(end), xml);

/**
 * The domain with these of its elements as another has them, in libvirt's own words; those that the other lacks are removed. Throws
 * as `parseDocument` does.
 */
export function withParts(xml: string, from: string, names: readonly string[]): string {
  for (const text of [xml, from]) parseDocument(text, "domain");
  const [root, other] = [spansOf(xml), spansOf(from)];
  const isNamed = ({ name }: Span): boolean => names.includes(name);
  const put = other.children.filter(isNamed).map(({ start, end }) => from.slice(start, end));
  const gone = root.children.filter(isNamed).map(({ start, end }) => ({ start, end, text: "" }));
  return edited(xml, [...gone, { start: root.opened, end: root.opened, text: put.join("") }]);
}

/**
 * The domain with these qcow2 files as its disks, by alias; libvirt finds what is below each in the file itself. Throws as
 * `parseDocument` does, and an error if it lacks one of the disks.
 */
export function withOverlays(xml: string, files: ReadonlyMap<string, string>): string {
  parseDocument(xml, "domain");
  const devices = spansOf(xml).children.find(({ name }) => name === "devices")?.children ?? [];
  const edits = [...files].flatMap(([of, path]) => {
    const disk = devices.find(
      ({ name, children }) => name === "disk" && children.some(({ alias }) => alias === of),
    );
    const driver = disk?.children.find(({ name }) => name === "driver");
    const source = disk?.children.find(({ name }) => name === "source");
    if (disk === undefined || driver === undefined || source === undefined)
      throw new Error(`the domain has no disk ${of} with a driver and a file`);
    const tag = xml.slice(driver.start, driver.opened).replace(/ type=(['"])[^'"]*\1/, " type='qcow2'");
    if (!tag.includes(" type='qcow2'")) throw new Error(`the driver of disk ${of} has no format`);
    const overlay = {
      device: "disk",
      source: { type: "file", path },
      target: { device: "vda", bus: "virtio" },
    } as const;
    const below = disk.children.filter(({ name }) => name === "backingStore");
    return [
      { start: driver.start, end: driver.opened, text: tag },
      { start: source.start, end: source.end, text: sourceText(overlay) },
      ...below.map(({ start, end }) => ({ start, end, text: "" })),
    ];
  });
  return edited(xml, edits);
}

function cellEdits(xml: string, cpu: Span | undefined, cells: MemoryGrowth["cells"] | undefined): Edit[] {
  const rule = domainRules.rule.children?.["cpu"]?.children?.["numa"] ?? {};
  const text = cells === undefined ? "" : write({ root: "numa", rule }, numaNode(cells));
  const old = cpu?.children.find(({ name }) => name === "numa");
  if (old !== undefined) return [{ start: old.start, end: old.end, text }];
  if (cpu === undefined || text === "") return [];
  const { opened, closing } = cpu;
  // <cpu mode='host-model'/> has no end tag.
  return xml.endsWith("/>", opened)
    ? [{ start: opened - 2, end: opened, text: `>${text}</cpu>` }]
    : [{ start: closing, end: closing, text }];
}

function bootEdits(devices: Span | undefined, aliases: readonly string[]): Edit[] {
  const edits: Edit[] = [];
  for (const device of devices?.children ?? []) {
    if (device.name !== "disk" && device.name !== "interface") continue;
    for (const { name, start, end } of device.children)
      if (name === "boot") edits.push({ start, end, text: "" });
    const alias = device.children.find(({ name }) => name === "alias")?.alias;
    const order = alias === undefined ? 0 : aliases.indexOf(alias) + 1;
    if (order === 0) continue;
    const text = write({ root: "boot", rule: bootOrder }, node("boot", { order }));
    edits.push({ start: device.closing, end: device.closing, text });
  }
  return edits;
}

/** Only what `diskNode` writes passes the allow-list. */
function diskEdits(devices: Span | undefined, disk: Disk): Edit[] {
  if (devices === undefined) return [];
  const element = diskNode(disk);
  const before = devices.children.find(
    ({ name, children }) => name === "disk" && children.some(({ alias }) => alias === disk.alias),
  );
  if (before === undefined || disk.alias === undefined)
    return [
      {
        start: devices.closing,
        end: devices.closing,
        text: write({ root: "disk", rule: deviceRules.disk }, element),
      },
    ];
  const text = sourceText(disk);
  const old = before.children.find(({ name }) => name === "source");
  const at = old ?? { start: before.opened, end: before.opened };
  return [{ start: at.start, end: at.end, text }];
}

function sourceText(disk: Disk): string {
  const { content } = diskNode(disk);
  const source = (typeof content === "object" ? content : []).find((part) => part?.name === "source");
  const rule = deviceRules.disk.children?.["source"] ?? {};
  return source === undefined ? "" : write({ root: "source", rule }, source);
}

/** Replaces all devices of the element's name. */
function deviceEdits(
  devices: Span | undefined,
  name: "graphics" | "video" | "watchdog",
  nodes: readonly XmlNode[],
): Edit[] {
  if (devices === undefined) return [];
  const old = devices.children.filter((device) => device.name === name);
  const text = nodes.map((each) => write({ root: name, rule: deviceRules[name] }, each)).join("");
  return [
    ...old.map(({ start, end }) => ({ start, end, text: "" })),
    { start: devices.closing, end: devices.closing, text },
  ];
}

function written(name: string, value: XmlNode): string {
  const rule: ElementRule = domainRules.rule.children?.[name] ?? {};
  return write({ root: name, rule }, value);
}

/** Where the elements of the upper four levels are in the text. */
function spansOf(xml: string): Span {
  const parser = new SaxesParser({ xmlns: true });
  const open: Span[] = [];
  let root: Span | undefined;
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name, attributes }) => {
    const opened = parser.position;
    // A "<" is in no attribute.
    const start = xml.lastIndexOf("<", opened - 1);
    const alias = name === "alias" ? attributes["name"]?.value : undefined;
    const at = { name, start, opened, closing: opened, end: opened, children: [] };
    const span: Span = alias === undefined ? at : { ...at, alias };
    if (open.length <= 3) open.at(-1)?.children.push(span);
    root ??= span;
    open.push(span);
  });
  parser.on("closetag", () => {
    const span = open.pop();
    if (span === undefined) return;
    span.end = parser.position;
    span.closing = Math.max(span.opened, xml.lastIndexOf("<", span.end - 1));
  });
  parser.write(xml).close();
  if (root === undefined) throw new Error("a parsed document has a root");
  return root;
}
