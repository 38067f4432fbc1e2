import type { Collector } from "../collector.ts";
import { hostActivity, hostCpuFrequency, hostNetworkStack } from "./activity.ts";
import { agentEventLoop, agentFacts } from "./agent.ts";
import { audit } from "./audit.ts";
import {
  hostBonds,
  hostClock,
  hostFirmware,
  hostGpus,
  hostKsm,
  hostSriov,
  hostWatchdogs,
} from "./devices.ts";
import { hostDiskHealth, hostDiskIo, hostDisks, hostMounts, hostRaid } from "./disks.ts";
import { hostCapacity, hostHealth, hostInfo, hostNetworks, hostStorage } from "./host.ts";
import { images } from "./images.ts";
import { hostCertificate, libvirtLink, schedulerLink } from "./links.ts";
import { load } from "./load.ts";
import { processCollector } from "./process.ts";
import {
  hostBmc,
  hostEnergy,
  hostKernelLog,
  hostMemoryErrors,
  hostPcie,
  hostSensors,
  hostThrottling,
} from "./sensors.ts";
import {
  hostCpu,
  hostFilesystem,
  hostMemory,
  hostNic,
  hostNuma,
  hostPressure,
  hostReaders,
} from "./readings.ts";
import { tenants } from "./tenants.ts";
import { vmCpu, vmDisk, vmGuest, vmMemory, vmMigration, vmNetwork, vmVcpu } from "./vm-stats.ts";
import { vmBackups } from "./vm-backups.ts";
import { vmSnapshots } from "./vm-snapshots.ts";
import { vmIncidents, vmInfo, vmObservation, vmOwnStarts } from "./vm.ts";

/** Most important first, in case the time runs out. */
const collectors: readonly (() => Collector)[] = [
  agentFacts,
  agentEventLoop,
  load,
  audit,
  libvirtLink,
  schedulerLink,
  hostCertificate,
  hostHealth,
  hostInfo,
  hostCapacity,
  hostStorage,
  hostNetworks,
  images,
  tenants,
  hostReaders,
  hostSensors,
  hostBmc,
  hostMemoryErrors,
  hostKernelLog,
  hostPcie,
  hostEnergy,
  hostThrottling,
  hostMemory,
  hostNuma,
  hostCpu,
  hostCpuFrequency,
  hostActivity,
  hostPressure,
  hostNic,
  hostNetworkStack,
  hostFilesystem,
  hostMounts,
  hostDisks,
  hostDiskIo,
  hostDiskHealth,
  hostRaid,
  hostBonds,
  hostSriov,
  hostKsm,
  hostClock,
  hostWatchdogs,
  hostFirmware,
  hostGpus,
  vmInfo,
  vmObservation,
  vmIncidents,
  vmSnapshots,
  vmBackups,
  vmOwnStarts,
  vmCpu,
  vmVcpu,
  vmMemory,
  vmGuest,
  vmNetwork,
  vmDisk,
  vmMigration,
  processCollector,
];

/** New instances of all collectors, in order of a scrape. */
export const allCollectors = (): Collector[] => collectors.map((make) => make());
