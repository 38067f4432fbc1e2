export { parseDomain } from "./domain/parse.ts";
export {
  buildController,
  buildDisk,
  buildDomain,
  buildGraphics,
  buildHostDevice,
  buildInterface,
  buildMemoryDevice,
} from "./domain/build.ts";
export { editDomain, withOverlays, withParts, type DomainEdits, type MemoryGrowth } from "./domain/edit.ts";
export { buildMetadata, type MetadataElement, type MetadataNamespace } from "./domain/metadata.ts";
export { parseDocument } from "./document.ts";
export type { XmlElement } from "./element.ts";
export { node, textNode, type DocumentRules, type ElementRule, type XmlNode } from "./writer.ts";
export { formatCpuSet, parseCpuSet } from "./domain/cpuset.ts";
export { formatPciAddress, parsePciName, type PciAddress } from "./pci-address.ts";
export { noDevices } from "./domain/devices.ts";
export * from "./domain/backup.ts";
export { ioTuneMembers, ioTuneNames, isSameIoTune, type IoTune } from "./domain/io-tune.ts";
export type { BlockTarget } from "./domain/block-target.ts";
export * from "./domain/checkpoint.ts";
export * from "./domain/snapshot.ts";
export type * from "./domain/domain.ts";
export type * from "./domain/devices.ts";
export * from "./host/capabilities.ts";
export * from "./host/domain-capabilities.ts";
export * from "./network/network.ts";
export * from "./host/node-device.ts";
export type { Permissions } from "./storage/permissions.ts";
export * from "./storage/secret.ts";
export * from "./storage/pool.ts";
export * from "./storage/volume.ts";
