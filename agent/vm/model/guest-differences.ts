import { parseDocument, withOverlays, withParts, type XmlElement } from "../../libvirt/xml/index.ts";

// A guest that continues from saved memory expects the machine that it had: what it can see of the present definition must be the
// same. Listed is what it cannot see, and what libvirt fills in at a start; all else counts, also what this version does not know.

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
  "iothreadids",
  "defaultiothread",
]);
/**
 * Of the domain: what libvirt writes anew at a start or while the guest runs. libvirt refuses memory whose domain has others: the
 * guest continues with those that were saved.
 */
const SAVED_PARTS = ["currentMemory", "vcpus", "cpu"] as const;
const OS_PARTS: ReadonlySet<string> = new Set(["kernel", "initrd", "cmdline", "boot", "nvram"]);
/** libvirt chooses them where the definition names none. */
const FIRMWARE_PARTS: ReadonlySet<string> = new Set(["loader", "firmware"]);
/** Of the CPU: compared on their own. */
const CPU_PARTS: ReadonlySet<string> = new Set(["model", "topology", "numa"]);
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
  const [was, is] = [parseDocument(saved, "domain"), parseDocument(present, "domain")];
  const [then, now] = [partsOf(was, isLayered), partsOf(is, isLayered)];
  const names = new Set([...then.keys(), ...now.keys()]);
  const different = [...names].filter((name) => then.get(name) !== now.get(name));
  if (was.attr("type") !== is.attr("type")) different.push("type");
  if (!isSameCpu(was.child("cpu"), is.child("cpu"))) different.push("cpu");
  if (!isSameOs(was.child("os"), is.child("os"))) different.push("os");
  return different;
}

/**
 * The present definition with other files as its disks, by alias, as libvirt accepts it for saved memory from which it does not
 * differ. Throws as `withOverlays`.
 */
export const restoredXml = (saved: string, present: string, files: ReadonlyMap<string, string>): string =>
  withParts(withOverlays(present, files), saved, SAVED_PARTS);

function partsOf(root: XmlElement, isLayered: (alias: string) => boolean): ReadonlyMap<string, string> {
  const parts = new Map<string, string>();
  const add = (name: string, text: string): void => void parts.set(name, `${parts.get(name) ?? ""}${text}`);
  const savedParts: ReadonlySet<string> = new Set(SAVED_PARTS);
  for (const part of root.children) {
    const { name } = part;
    if (HOST_PARTS.has(name) || savedParts.has(name) || name === "os") continue;
    if (name === "devices") for (const device of part.children) addDevice(device, isLayered, add);
    // The CPUs of the host that may run them.
    else if (name === "vcpu") add(name, `${part.attr("current") ?? part.text.trim()} of ${part.text.trim()}`);
    else add(name, textOf(part));
  }
  return parts;
}

/** The saved CPU is the one that the guest had: of a definition's host-model, libvirt wrote what that was on this host. */
function isSameCpu(then: XmlElement | undefined, now: XmlElement | undefined): boolean {
  const modeOf = (cpu: XmlElement | undefined): string => cpu?.attr("mode") ?? "custom";
  const [was, is] = [modeOf(then), modeOf(now)];
  const isChosen = is === "host-model" && was === "custom";
  if (was !== is && !isChosen) return false;
  if (topologyOf(then) !== topologyOf(now)) return false;
  if (is === "host-model") return true;
  // libvirt may have added parts, and nothing else.
  const had = new Set(choicesOf(then));
  const modelOf = (cpu: XmlElement | undefined): string | undefined => cpu?.child("model")?.text.trim();
  return modelOf(then) === modelOf(now) && choicesOf(now).every((choice) => had.has(choice));
}

const TOPOLOGY = ["sockets", "dies", "clusters", "cores", "threads"];

function topologyOf(cpu: XmlElement | undefined): string {
  const topology = cpu?.child("topology");
  const numa = cpu?.child("numa");
  const counts = topology && TOPOLOGY.map((name) => topology.attr(name) ?? "1");
  return `${counts?.join() ?? ""} ${numa === undefined ? "" : textOf(numa)}`;
}

/** Features and the like, each as text. */
const choicesOf = (cpu: XmlElement | undefined): string[] =>
  (cpu?.children ?? []).filter(({ name }) => !CPU_PARTS.has(name)).map((child) => textOf(child));

function isSameOs(then: XmlElement | undefined, now: XmlElement | undefined): boolean {
  if (then === undefined || now === undefined) return then === now;
  const isFilledIn = (child: XmlElement): boolean =>
    FIRMWARE_PARTS.has(child.name) &&
    (then.child(child.name) === undefined || now.child(child.name) === undefined);
  const text = (os: XmlElement): string =>
    os.children
      .filter((child) => !OS_PARTS.has(child.name) && !isFilledIn(child))
      .map((child) => textOf(child))
      .join("");
  const chosen = (os: XmlElement): string | undefined => os.attr("firmware");
  const isChosen = chosen(then) === chosen(now) || chosen(then) === undefined || chosen(now) === undefined;
  return isChosen && text(then) === text(now);
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
  // Of a memory device: how much of it the guest has plugged by now.
  const isNow = (child: XmlElement): boolean => child.name === "current" && element.parent?.name === "memory";
  const children = element.children
    .filter((child) => !isLeftOut(child) && !isNow(child))
    .map((child) => textOf(child));
  return `<${element.name}${attributes.join("")}>${element.text.trim()}${children.join("")}</>`;
}
