import type { Disk } from "../../gen/socle/v1/Disk.ts";
import type { Nic } from "../../gen/socle/v1/Nic.ts";
import type { PlacementRequest } from "../../gen/socle/v1/PlacementRequest.ts";
import type { VmSpec } from "../../gen/socle/v1/VmSpec.ts";
import { enumWord, formatBytes } from "../format.ts";
import type { StoredBackup } from "./manifest.ts";

/** What a spec may request of a host besides its size and new disks. */
export const requestKinds = [
  "tenant",
  "networks",
  "bridges",
  "addresses",
  "spoofing",
  "volumes",
  "devices",
  "placement",
  "launch-security",
  "autostart",
] as const;
export type RequestKind = (typeof requestKinds)[number];

export interface HostRequest {
  readonly kind: RequestKind;
  /** For people: "NIC front on network default". */
  readonly what: string;
}

type Stored = Pick<StoredBackup, "disks">;
const PLAIN_PAGE_BYTES = 4096;

/** What a person named in place of the spec's: that is no request of the spec. */
export interface Named {
  readonly tenant: boolean;
  /** NICs whose network or bridge. */
  readonly nics: ReadonlySet<string>;
}
const nothing: Named = { tenant: false, nics: new Set() };

/** In the order of the kinds. */
export function requestsOf(spec: VmSpec, stored: Stored, named: Named = nothing): readonly HostRequest[] {
  const { tenant = "", nics = [], placement, launchSecurity } = spec;
  const foreign = nics.filter(({ name = "" }) => !named.nics.has(name));
  const found: Readonly<Record<RequestKind, readonly string[]>> = {
    tenant: tenant === "" || named.tenant ? [] : [`tenant ${tenant}`],
    networks: foreign
      .filter(isOnNetwork)
      .map(({ name, network }) => `NIC ${name ?? ""} on network ${network}`),
    bridges: foreign.filter(isOnBridge).map(({ name, bridge }) => `NIC ${name ?? ""} on bridge ${bridge}`),
    addresses: nics.flatMap(({ name, allowedAddresses = [] }) =>
      allowedAddresses.length === 0 ? [] : [`NIC ${name ?? ""} with ${allowedAddresses.join(", ")}`],
    ),
    spoofing: nics.flatMap(({ name, allowSpoofing }) =>
      allowSpoofing === true ? [`NIC ${name ?? ""} may spoof addresses`] : [],
    ),
    volumes: volumesOf(spec, stored),
    devices: (placement?.devices ?? []).map((device) => `device ${device} of the host`),
    placement: placementOf(placement ?? {}),
    "launch-security": isSet(launchSecurity)
      ? [`launch security ${word(launchSecurity, "LAUNCH_SECURITY")}`]
      : [],
    autostart: startsOf(spec),
  };
  return requestKinds.flatMap((kind) => found[kind].map((what) => ({ kind, what })));
}

/** The spec without what it requests of these kinds. */
export function withoutRequests(
  spec: VmSpec,
  stored: Stored,
  kinds: ReadonlySet<RequestKind>,
  named: Named = nothing,
): VmSpec {
  const has = (kind: RequestKind): boolean => kinds.has(kind);
  const isLeft = (nic: Nic): boolean =>
    !named.nics.has(nic.name ?? "") &&
    ((has("networks") && isOnNetwork(nic)) || (has("bridges") && isOnBridge(nic)));
  const nics = (spec.nics ?? [])
    .filter((nic) => !isLeft(nic))
    .map((nic) => ({
      ...nic,
      ...(has("addresses") && { allowedAddresses: [] }),
      ...(has("spoofing") && { allowSpoofing: false }),
    }));
  const { devices = [], ...place } = spec.placement ?? {};
  const placement = {
    ...(has("placement") ? {} : place),
    devices: has("devices") ? [] : devices,
  };
  return {
    ...spec,
    nics,
    placement: spec.placement == null ? null : placement,
    ...(has("tenant") && !named.tenant && { tenant: "" }),
    ...(has("volumes") && {
      disks: (spec.disks ?? []).filter((disk) => !isOfHost(disk, stored)),
      kernelBoot: null,
    }),
    ...(has("launch-security") && { launchSecurity: "LAUNCH_SECURITY_UNSPECIFIED" as const }),
    ...(has("autostart") && {
      autostart: false,
      startPriority: 0,
      startDelaySeconds: 0,
      crashPolicy: "CRASH_POLICY_UNSPECIFIED" as const,
    }),
  };
}

/** A disk that the VM only reads, and that is no part of a backup: the VM gets it as it is on the host. */
export const isOfHost = ({ name, newVolume, cdrom, readOnly }: Disk, { disks }: Stored): boolean =>
  newVolume == null && cdrom == null && readOnly === true && !disks.some(({ disk }) => disk === name);

const isOnNetwork = ({ network }: Nic): boolean => network != null && network !== "";
const isOnBridge = ({ bridge }: Nic): boolean => bridge != null && bridge !== "";

function volumesOf({ disks = [], kernelBoot }: VmSpec, stored: Stored): readonly string[] {
  const read = disks.filter((disk) => isOfHost(disk, stored));
  return [
    ...read.map(({ name, volume }) => [`disk ${name ?? ""}`, volume] as const),
    ["the kernel", kernelBoot?.kernel] as const,
    ["the initial RAM disk", kernelBoot?.initrd] as const,
  ].flatMap(([what, volume]) =>
    volume == null ? [] : [`${what} is ${volume.volume ?? ""} of pool ${volume.pool ?? ""}`],
  );
}

function placementOf({
  dedicatedCpus,
  isolatedEmulator,
  cellPolicy,
  cell,
  pageSizeBytes,
}: PlacementRequest): readonly string[] {
  const pageBytes = Number(pageSizeBytes ?? 0);
  return [
    ...(dedicatedCpus === true ? ["dedicated CPUs"] : []),
    ...(isolatedEmulator === true ? ["a dedicated CPU for QEMU's threads"] : []),
    ...(cell === undefined
      ? cellPolicy === "CELL_POLICY_STRICT"
        ? ["one NUMA cell alone"]
        : []
      : [`NUMA cell ${cell} alone`]),
    ...(pageBytes > 0 && pageBytes !== PLAIN_PAGE_BYTES ? [`huge pages of ${formatBytes(pageBytes)}`] : []),
  ];
}

function startsOf({
  autostart,
  startPriority = 0,
  startDelaySeconds = 0,
  crashPolicy,
}: VmSpec): readonly string[] {
  const order = [
    ...(startPriority === 0 ? [] : [`priority ${startPriority}`]),
    ...(startDelaySeconds === 0 ? [] : [`then a delay of ${startDelaySeconds} s`]),
  ];
  return [
    ...(autostart === true || order.length > 0
      ? [[autostart === true ? "a start with the host" : "an order of start", ...order].join(", ")]
      : []),
    ...(isSet(crashPolicy) && word(crashPolicy, "CRASH_POLICY") !== "stop"
      ? ["a new start after a crash"]
      : []),
  ];
}

/** A number is a value of a later contract. */
const isSet = (value: string | number | undefined): value is string | number =>
  value !== undefined && value !== 0 && !String(value).endsWith("_UNSPECIFIED");

const word = (value: string | number, prefix: string): string => enumWord(value, prefix).replaceAll("_", "-");
