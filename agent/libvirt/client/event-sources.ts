import { toLibvirtError } from "../internal/errors.ts";
import type { CallOptions, Connection } from "../rpc/connection.ts";
import { namer, type LibvirtEvent, type LifecycleEvent } from "./events.ts";
import { decodeWhole, QEMU_PROGRAM, type Frame } from "../rpc/frame.ts";
import type { EventProcedure, Family } from "../rpc/procedure.ts";
import * as protocol from "../protocol/index.ts";
import { domainEvents } from "../protocol/index.ts";
import { DomainEventDetail } from "./domain-reasons.ts";

const KIB = 1024;

interface Source {
  readonly family: Family;
  readonly eventId: number;
  readonly name: string;
  readonly number: number;
  readonly read: (frame: Frame) => LibvirtEvent;
}

function source<T>(
  family: Family,
  { eventId, event }: { readonly eventId: number; readonly event: EventProcedure<T> },
  convert: (message: T) => LibvirtEvent,
): Source {
  const { name, number, body } = event;
  return { family, eventId, name, number, read: (frame) => convert(decodeWhole(body, frame)) };
}

function domainSource<T extends { readonly dom: protocol.Domain }>(
  entry: { readonly eventId: number; readonly event: EventProcedure<T> },
  convert: (message: T) => LibvirtEvent,
): Source {
  return source("hypervisor", entry, convert);
}

const eventName = namer(protocol.DomainEventType);
const detailNames = new Map(
  Object.entries(DomainEventDetail).map(([type, details]) => [type.toLowerCase(), namer(details)]),
);
const watchdogAction = namer(protocol.DomainEventWatchdogAction);
const ioErrorAction = namer(protocol.DomainEventIOErrorAction);
const blockJobType = namer(protocol.DomainBlockJobType);
const blockJobStatus = namer(protocol.ConnectDomainEventBlockJobStatus);
const agentState = namer(protocol.ConnectDomainEventAgentLifecycleState);
const agentReason = namer(protocol.ConnectDomainEventAgentLifecycleReason);
const failureRecipient = namer(protocol.DomainMemoryFailureRecipientType);
const failureAction = namer(protocol.DomainMemoryFailureActionType);
const graphicsPhase = namer(protocol.DomainEventGraphicsPhase);
const graphicsFamily = namer(protocol.DomainEventGraphicsAddressType);
const diskChangeReason = namer(protocol.ConnectDomainEventDiskChangeReason);
const trayChange = namer(protocol.DomainEventTrayChangeReason);
const networkEvent = namer(protocol.NetworkEventLifecycleType);
const poolEvent = namer(protocol.StoragePoolEventLifecycleType);
const deviceEvent = namer(protocol.NodeDeviceEventLifecycleType);
const secretEvent = namer(protocol.SecretEventLifecycleType);
const metadataPart = namer(protocol.DomainMetadataType);

/** The events that are registered; not those of RTC and power changes. */
const sources: readonly Source[] = [
  domainSource(domainEvents.lifecycle, ({ dom, event, detail }) => lifecycle(dom, event, detail)),
  domainSource(domainEvents.reboot, ({ dom }) => ({ kind: "reboot", domain: dom })),
  domainSource(domainEvents.watchdog, ({ dom, action }) => {
    return { kind: "watchdog", domain: dom, action: watchdogAction(action) };
  }),
  domainSource(domainEvents.ioErrorReason, ({ dom, srcPath, devAlias, action, reason }) => {
    return {
      kind: "io_error",
      domain: dom,
      path: srcPath,
      device: devAlias,
      action: ioErrorAction(action),
      reason,
    };
  }),
  domainSource(domainEvents.controlError, ({ dom }) => ({ kind: "control_error", domain: dom })),
  domainSource(domainEvents.blockJob2, ({ dom, dst, type, status }) => {
    return {
      kind: "block_job",
      domain: dom,
      disk: dst,
      job: blockJobType(type),
      status: blockJobStatus(status),
    };
  }),
  domainSource(domainEvents.balloonChange, ({ dom, actual }) => {
    return { kind: "balloon_change", domain: dom, memoryBytes: actual * KIB };
  }),
  domainSource(domainEvents.deviceAdded, ({ dom, devAlias }) => {
    return { kind: "device_added", domain: dom, device: devAlias };
  }),
  domainSource(domainEvents.deviceRemoved, ({ dom, devAlias }) => {
    return { kind: "device_removed", domain: dom, device: devAlias };
  }),
  domainSource(domainEvents.deviceRemovalFailed, ({ dom, devAlias }) => {
    return { kind: "device_removal_failed", domain: dom, device: devAlias };
  }),
  domainSource(domainEvents.tunable, ({ dom, params }) => ({
    kind: "tunable",
    domain: dom,
    parameters: params,
  })),
  domainSource(domainEvents.agentLifecycle, ({ dom, state, reason }) => {
    return { kind: "agent_lifecycle", domain: dom, state: agentState(state), reason: agentReason(reason) };
  }),
  domainSource(domainEvents.migrationIteration, ({ dom, iteration }) => {
    return { kind: "migration_iteration", domain: dom, iteration };
  }),
  domainSource(domainEvents.jobCompleted, ({ dom, params }) => {
    return { kind: "job_completed", domain: dom, parameters: params };
  }),
  domainSource(domainEvents.metadataChange, ({ dom, type, nsuri }) => {
    return { kind: "metadata_change", domain: dom, part: metadataPart(type), namespace: nsuri };
  }),
  domainSource(domainEvents.blockThreshold, ({ dom, dev, path, threshold, excess }) => {
    const bytes = { thresholdBytes: threshold, excessBytes: excess };
    return { kind: "block_threshold", domain: dom, device: dev, path, ...bytes };
  }),
  domainSource(domainEvents.memoryFailure, ({ dom, recipient, action, flags }) => ({
    kind: "memory_failure",
    domain: dom,
    recipient: failureRecipient(recipient),
    action: failureAction(action),
    actionRequired: (flags & protocol.DomainMemoryFailureFlags.ACTION_REQUIRED) !== 0,
    recursive: (flags & protocol.DomainMemoryFailureFlags.RECURSIVE) !== 0,
  })),
  domainSource(domainEvents.memoryDeviceSizeChange, ({ dom, alias, size }) => {
    return { kind: "memory_device_size_change", domain: dom, device: alias, sizeBytes: size * KIB };
  }),
  domainSource(domainEvents.graphics, ({ dom, phase, local, remote, authScheme, subject }) => ({
    kind: "graphics",
    domain: dom,
    phase: graphicsPhase(phase),
    local: { ...local, family: graphicsFamily(local.family) },
    remote: { ...remote, family: graphicsFamily(remote.family) },
    authentication: authScheme,
    identities: subject,
  })),
  domainSource(domainEvents.diskChange, ({ dom, devAlias, reason, oldSrcPath, newSrcPath }) => {
    const paths = { oldPath: oldSrcPath, newPath: newSrcPath };
    return { kind: "disk_change", domain: dom, device: devAlias, reason: diskChangeReason(reason), ...paths };
  }),
  domainSource(domainEvents.trayChange, ({ dom, devAlias, reason }) => {
    return { kind: "tray_change", domain: dom, device: devAlias, tray: trayChange(reason) };
  }),
  domainSource(domainEvents.nicMacChange, ({ dom, alias, oldMac, newMac }) => {
    return { kind: "nic_mac_change", domain: dom, device: alias, oldMac, newMac };
  }),
  source("network", protocol.networkEvents.lifecycle, ({ net, event }) => {
    return { kind: "network", network: net, event: networkEvent(event) };
  }),
  source("storage", protocol.storagePoolEvents.lifecycle, ({ pool, event }) => {
    return { kind: "storage_pool", pool, event: poolEvent(event) };
  }),
  source("storage", protocol.storagePoolEvents.refresh, ({ pool }) => {
    return { kind: "storage_pool", pool, event: "refreshed" };
  }),
  source("nodedev", protocol.nodeDeviceEvents.lifecycle, ({ dev, event }) => {
    return { kind: "node_device", device: dev, event: deviceEvent(event) };
  }),
  source("nodedev", protocol.nodeDeviceEvents.update, ({ dev }) => {
    return { kind: "node_device", device: dev, event: "updated" };
  }),
  source("secret", protocol.secretEvents.lifecycle, ({ secret, event }) => {
    return { kind: "secret", secret, event: secretEvent(event) };
  }),
  source("secret", protocol.secretEvents.valueChanged, ({ secret }) => {
    return { kind: "secret", secret, event: "value_changed" };
  }),
];

const byNumber = new Map(sources.map((each) => [each.number, each]));

/** Every family that has events. */
export const eventFamilies: readonly Family[] = [...new Set(sources.map(({ family }) => family))];

/**
 * Registers for all events of the given families. Returns the names of events that the daemon or driver does not know;
 * throws other failures.
 */
export async function registerEvents(
  connection: Connection,
  families: readonly Family[],
  options: CallOptions,
): Promise<readonly string[]> {
  const leftOut: string[] = [];
  const wanted = sources.filter(({ family }) => families.includes(family));
  await Promise.all(
    wanted.map(async ({ family, eventId, name }) => {
      try {
        await register(connection, family, eventId, options);
      } catch (thrown) {
        // Any refusal of libvirt: "no support", or "invalid argument" for an event that is newer than the daemon.
        if (toLibvirtError(thrown).code === undefined) throw thrown;
        leftOut.push(name);
      }
    }),
  );
  return leftOut;
}

/** The event in a message; undefined for a kind that is not registered. Throws if it cannot be decoded. */
export function readEvent(frame: Frame): LibvirtEvent | undefined {
  return frame.program === QEMU_PROGRAM ? undefined : byNumber.get(frame.procedure)?.read(frame);
}

async function register(
  connection: Connection,
  family: Family,
  eventId: number,
  options: CallOptions,
): Promise<void> {
  switch (family) {
    case "network":
      await connection.call(protocol.connectNetworkEventRegisterAny, { eventId, net: null }, options);
      break;
    case "storage":
      await connection.call(protocol.connectStoragePoolEventRegisterAny, { eventId, pool: null }, options);
      break;
    case "nodedev":
      await connection.call(protocol.connectNodeDeviceEventRegisterAny, { eventId, dev: null }, options);
      break;
    case "secret":
      await connection.call(protocol.connectSecretEventRegisterAny, { eventId, secret: null }, options);
      break;
    default:
      await connection.call(protocol.connectDomainEventCallbackRegisterAny, { eventId, dom: null }, options);
  }
}

function lifecycle(domain: protocol.Domain, type: number, detail: number): LifecycleEvent {
  const event = eventName(type);
  return {
    kind: "lifecycle",
    domain,
    event,
    detail: detailNames.get(event)?.(detail) ?? "unknown",
  };
}
