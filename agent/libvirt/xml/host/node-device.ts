import { parseDocument } from "../document.ts";
import type { XmlElement } from "../element.ts";
import { parsePciAddress, type PciAddress } from "../pci-address.ts";
import { present } from "../present.ts";

/** A device of the host as libvirt's node device driver shows it. */
export interface NodeDevice {
  /** libvirt's name, e.g. pci_0000_3b_00_0. */
  readonly name: string;
  /** In sysfs. */
  readonly path?: string;
  readonly parent?: string;
  readonly driver?: string;
  readonly capability: NodeCapability;
}

export type NodeCapability =
  | PciCapability
  | NetCapability
  | StorageCapability
  | MdevCapability
  | SystemCapability
  | { readonly type: "other"; readonly kind: string };

export interface PciCapability {
  readonly type: "pci";
  readonly address: PciAddress;
  /** Class, subclass and interface, e.g. 0x020000 for Ethernet. */
  readonly classCode?: number;
  readonly vendor: { readonly id: number; readonly name?: string };
  readonly product: { readonly id: number; readonly name?: string };
  readonly iommuGroup?: { readonly number: number; readonly addresses: readonly PciAddress[] };
  readonly numaCell?: number;
  /** Of a virtual function: the device it belongs to. */
  readonly physicalFunction?: PciAddress;
  /** Of a device that can have virtual functions: those that are there. */
  readonly virtualFunctions?: { readonly maxCount?: number; readonly addresses: readonly PciAddress[] };
  readonly bridge?: boolean;
  readonly link?: { readonly capable?: PciLink; readonly current?: PciLink };
  readonly mdevTypes?: readonly MdevType[];
}

export interface PciLink {
  readonly gigatransfersPerSecond?: number;
  readonly width: number;
}

export interface MdevType {
  readonly id: string;
  readonly name?: string;
  readonly deviceApi?: string;
  readonly availableInstances: number;
}

export interface NetCapability {
  readonly type: "net";
  readonly interface: string;
  readonly mac?: string;
  readonly linkState?: string;
  /** Absent where the driver does not say. */
  readonly linkBitsPerSecond?: number;
}

export interface StorageCapability {
  readonly type: "storage";
  readonly block: string;
  readonly driveType?: string;
  readonly model?: string;
  readonly vendor?: string;
  readonly serial?: string;
  readonly sizeBytes?: number;
  readonly logicalBlockBytes?: number;
  readonly removable?: boolean;
}

export interface MdevCapability {
  readonly type: "mdev";
  readonly mdevType: string;
  readonly uuid?: string;
  readonly parentAddress?: string;
  readonly iommuGroup?: number;
}

export interface SystemCapability {
  readonly type: "system";
  readonly product?: string;
  readonly hardware: {
    readonly vendor?: string;
    readonly version?: string;
    readonly serial?: string;
    readonly uuid?: string;
  };
  readonly firmware: { readonly vendor?: string; readonly version?: string; readonly releaseDate?: string };
}

export function parseNodeDevice(xml: string): NodeDevice {
  const root = parseDocument(xml, "device");
  return present<NodeDevice>({
    name: root.requireText("name"),
    path: root.textAt("path"),
    parent: root.textAt("parent"),
    driver: root.textAt("driver/name"),
    capability: readCapability(root.child("capability")),
  });
}

function readCapability(element: XmlElement | undefined): NodeCapability {
  switch (element?.attr("type")) {
    case "pci":
      return readPci(element);
    case "net":
      return readNet(element);
    case "storage":
      return readStorage(element);
    case "mdev":
      return present<MdevCapability>({
        type: "mdev",
        mdevType: element.child("type")?.attr("id") ?? "",
        uuid: element.textAt("uuid")?.toLowerCase(),
        parentAddress: element.textAt("parent_addr"),
        iommuGroup: element.child("iommuGroup")?.integerAttr("number"),
      });
    case "system":
      return readSystem(element);
    default:
      return { type: "other", kind: element?.attr("type") ?? "" };
  }
}

function readPci(pci: XmlElement): PciCapability {
  const nested = (type: string) => pci.all("capability").find((element) => element.attr("type") === type);
  const physical = nested("phys_function")?.child("address");
  const virtual = nested("virt_functions");
  const group = pci.child("iommuGroup");
  const classCode = pci.textAt("class");
  const cell = pci.child("numa")?.integerAttr("node");
  const links = pci.all("pci-express/link");
  const mdevTypes = nested("mdev_types");
  const addresses = (element: XmlElement) => element.all("address").map(parsePciAddress);
  return present<PciCapability>({
    type: "pci",
    address: {
      domain: pci.requireChild("domain").integer(),
      bus: pci.requireChild("bus").integer(),
      slot: pci.requireChild("slot").integer(),
      function: pci.requireChild("function").integer(),
    },
    classCode: classCode === undefined ? undefined : pci.requireChild("class").integer(),
    vendor: readId(pci.requireChild("vendor")),
    product: readId(pci.requireChild("product")),
    iommuGroup: group && { number: group.requireIntegerAttr("number"), addresses: addresses(group) },
    numaCell: cell !== undefined && cell >= 0 ? cell : undefined,
    physicalFunction: physical && parsePciAddress(physical),
    virtualFunctions:
      virtual &&
      present<NonNullable<PciCapability["virtualFunctions"]>>({
        maxCount: virtual.integerAttr("maxCount"),
        addresses: addresses(virtual),
      }),
    bridge: (nested("pci-bridge") ?? nested("cardbus-bridge")) ? true : undefined,
    link:
      links.length === 0
        ? undefined
        : present<NonNullable<PciCapability["link"]>>({
            capable: readLink(links.find((link) => link.attr("validity") === "cap")),
            current: readLink(links.find((link) => link.attr("validity") === "sta")),
          }),
    mdevTypes: mdevTypes?.all("type").map((type) =>
      present<MdevType>({
        id: type.requireAttr("id"),
        name: type.textAt("name"),
        deviceApi: type.textAt("deviceAPI"),
        availableInstances: type.integerAt("availableInstances") ?? 0,
      }),
    ),
  });
}

function readId(element: XmlElement): PciCapability["vendor"] {
  return present<PciCapability["vendor"]>({
    id: element.requireIntegerAttr("id"),
    name: element.text.trim() || undefined,
  });
}

function readLink(link: XmlElement | undefined): PciLink | undefined {
  if (link === undefined) return undefined;
  const speed = Number(link.attr("speed"));
  return present<PciLink>({
    gigatransfersPerSecond: speed > 0 ? speed : undefined,
    width: link.integerAttr("width") ?? 0,
  });
}

function readNet(net: XmlElement): NetCapability {
  const link = net.child("link");
  const megabits = link?.integerAttr("speed");
  return present<NetCapability>({
    type: "net",
    interface: net.requireText("interface"),
    mac: net.textAt("address")?.toLowerCase(),
    linkState: link?.attr("state"),
    // The kernel's -1 (unknown) arrives as 4294967295.
    linkBitsPerSecond: megabits === undefined || megabits >= 0xffff_ffff ? undefined : megabits * 1e6,
  });
}

function readStorage(storage: XmlElement): StorageCapability {
  const removable = storage.all("capability").find((element) => element.attr("type") === "removable");
  return present<StorageCapability>({
    type: "storage",
    block: storage.requireText("block"),
    driveType: storage.textAt("drive_type"),
    model: storage.textAt("model"),
    vendor: storage.textAt("vendor"),
    serial: storage.textAt("serial"),
    sizeBytes: storage.integerAt("size") ?? removable?.integerAt("media_size"),
    logicalBlockBytes: (removable ?? storage).integerAt("logical_block_size"),
    removable: removable ? true : undefined,
  });
}

function readSystem(system: XmlElement): SystemCapability {
  const text = (path: string) => system.textAt(path)?.trim() || undefined;
  return present<SystemCapability>({
    type: "system",
    product: text("product"),
    hardware: present<SystemCapability["hardware"]>({
      vendor: text("hardware/vendor"),
      version: text("hardware/version"),
      serial: text("hardware/serial"),
      uuid: text("hardware/uuid")?.toLowerCase(),
    }),
    firmware: present<SystemCapability["firmware"]>({
      vendor: text("firmware/vendor"),
      version: text("firmware/version"),
      releaseDate: text("firmware/release_date"),
    }),
  });
}
