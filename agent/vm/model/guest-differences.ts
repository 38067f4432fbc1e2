import { parseDocument, type XmlElement } from "../../libvirt/xml/index.ts";

// A guest that continues from saved memory expects the machine that it had: what it can see of the present definition must be the
// same. Listed is what it cannot see; all else counts, also what this version does not know.

/** Of the domain: how the host runs it, what Socle notes, and what a start alone reads. */
const HOST_PARTS: ReadonlySet<string> = new Set([
  "title",
  "description",
  "metadata",
  "resource",
  "cputune",
  "numatune",
  "memtune",
  "blkiotune",
  "memoryBacking",
  "on_poweroff",
  "on_reboot",
  "on_crash",
  "seclabel",
]);
const OS_PARTS: ReadonlySet<string> = new Set(["kernel", "initrd", "cmdline", "boot", "nvram"]);
/** Of each device. */
const DEVICE_PARTS: ReadonlySet<string> = new Set([
  "boot",
  "iotune",
  "bandwidth",
  "seclabel",
  "link",
  "stats",
  "filterref",
]);
/** How the host serves a disk: attributes of its driver. */
const DRIVER_ATTRIBUTES: ReadonlySet<string> = new Set([
  "name",
  "type",
  "cache",
  "io",
  "discard",
  "detect_zeroes",
  "error_policy",
  "rerror_policy",
  "iothread",
]);
/** Devices whose source is the host's end of a connection alone. */
const CONNECTED: ReadonlySet<string> = new Set(["serial", "console", "channel", "rng", "interface"]);
/** Of these the guest sees nothing. */
const HOST_DEVICES: ReadonlySet<string> = new Set(["emulator", "graphics", "audio"]);

/**
 * What a guest would find changed, by the names of the parts: "vcpu", "disk ua-disk-data". `isLayered`: the disk with this alias
 * has the bytes of the moment, in whatever file. Throws as `parseDocument`.
 */
export function guestDifferences(
  saved: string,
  present: string,
  isLayered: (alias: string) => boolean,
): string[] {
  const [then, now] = [partsOf(saved, isLayered), partsOf(present, isLayered)];
  const names = new Set([...then.keys(), ...now.keys()]);
  return [...names].filter((name) => then.get(name) !== now.get(name));
}

function partsOf(xml: string, isLayered: (alias: string) => boolean): ReadonlyMap<string, string> {
  const parts = new Map<string, string>();
  const add = (name: string, text: string): void => void parts.set(name, `${parts.get(name) ?? ""}${text}`);
  for (const part of parseDocument(xml, "domain").children) {
    if (HOST_PARTS.has(part.name)) continue;
    if (part.name === "os")
      add(
        "os",
        textOf(part, (child) => OS_PARTS.has(child.name)),
      );
    else if (part.name !== "devices") add(part.name, textOf(part));
    else for (const device of part.children) addDevice(device, isLayered, add);
  }
  return parts;
}

function addDevice(
  device: XmlElement,
  isLayered: (alias: string) => boolean,
  add: (name: string, text: string) => void,
): void {
  const { name } = device;
  if (HOST_DEVICES.has(name)) return;
  const alias = device.child("alias")?.attr("name");
  const isOwnDisk = name === "disk" && alias !== undefined && isLayered(alias);
  const isHosts = (child: XmlElement): boolean =>
    DEVICE_PARTS.has(child.name) ||
    (child.name === "source" && (isOwnDisk || CONNECTED.has(name))) ||
    (child.name === "backingStore" && name === "disk") ||
    (child.name === "target" && name === "interface") ||
    (child.name === "backend" && name === "rng");
  add(alias === undefined ? name : `${name} ${alias}`, textOf(device, isHosts));
}

function textOf(element: XmlElement, isLeftOut: (child: XmlElement) => boolean = () => false): string {
  const isDriver = element.name === "driver" && element.parent?.name === "disk";
  const attributes = [...element.attributes]
    .filter(([name]) => !isDriver || !DRIVER_ATTRIBUTES.has(name))
    .map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
    .sort();
  const children = element.children.filter((child) => !isLeftOut(child)).map((child) => textOf(child));
  return `<${element.name}${attributes.join("")}>${element.text.trim()}${children.join("")}</>`;
}
