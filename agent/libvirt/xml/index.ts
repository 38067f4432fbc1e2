export { parseDomain } from "./domain-parse.ts";
export { buildDisk, buildDomain, buildHostDevice, buildInterface } from "./domain-build.ts";
export {
  buildStamp,
  buildVmMetadata,
  parseStamp,
  parseVmMetadata,
  readVmMetadata,
  stampKey,
  stampNamespace,
  vmMetadataKey,
  vmMetadataNamespace,
} from "./domain-metadata.ts";
export { formatCpuSet, parseCpuSet } from "./cpuset.ts";
export { formatPciAddress, parsePciName, type PciAddress } from "./pci-address.ts";
export { noDevices } from "./domain-devices.ts";
export type * from "./domain.ts";
export type * from "./domain-devices.ts";
export * from "./capabilities.ts";
export * from "./domain-capabilities.ts";
export * from "./network.ts";
export * from "./node-device.ts";
export type { Permissions } from "./permissions.ts";
export * from "./secret.ts";
export * from "./pool.ts";
export * from "./volume.ts";
