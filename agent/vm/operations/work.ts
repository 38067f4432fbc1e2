import type { Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import type { Placement } from "../../state/reservations/placement.ts";
import type { Step } from "../../state/operations/operations.ts";
import type { Watermark } from "../../state/records/watermark.ts";
import type { Domains } from "../hypervisor/domains.ts";
import type { Standing } from "../hypervisor/stamps.ts";
import type { GuestKeys } from "../keys/guest-keys.ts";
import type { Networks } from "../hypervisor/networks.ts";
import type { Accelerator, VmSpec, VolumeRef } from "../model/spec.ts";
import { volumeName } from "../model/volume-names.ts";
import type { VmTable } from "../observation/vm-table.ts";
import type { Volumes } from "../storage/volumes.ts";

/** What the works of all kinds of operation stand on. */
export interface WorkContext {
  readonly domains: Domains;
  readonly volumes: Volumes;
  readonly networks: Networks;
  readonly keys: GuestKeys;
  /** A statement of this host's, as JSON that begins with its kind, and the signature of it (base64). */
  readonly attest: (statement: Readonly<Record<string, unknown>>) => {
    readonly text: string;
    readonly signature: string;
  };
  readonly table: VmTable;
  /** Raised before a domain goes, and with it all that its operations left in libvirt. */
  readonly watermark?: Pick<Watermark, "raise" | "isOutdated">;
  readonly clock: Clock;
  readonly log: Logger;
  /** x86_64, aarch64. */
  readonly architecture: string;
  /** See domain-document.ts. */
  readonly memoryHeadroomBytes?: number;
}

/** What was asked and what was decided at admission: all a work needs, also when it goes on after a crash. JSON. */
export type Intent =
  | {
      readonly kind: "CREATE_VM";
      readonly spec: VmSpec;
      readonly accelerator: Accelerator;
      readonly leaveStopped: boolean;
      /** Absent in what was begun before there was placement. */
      readonly placement?: Placement;
      /** The reservation that it takes the place of. */
      readonly reservationId?: string;
      /** Who asked may know and have the tenant's VMs alone. */
      readonly tenantOnly?: true;
      readonly placementEpoch: number;
      readonly createdAtMs: number;
    }
  | { readonly kind: "START_VM"; readonly placementEpoch: number }
  | { readonly kind: "STOP_VM"; readonly gracefulTimeoutMs: number; readonly force: boolean }
  | { readonly kind: "REBOOT_VM"; readonly force: boolean }
  | { readonly kind: "PAUSE_VM" }
  | { readonly kind: "RESUME_VM" }
  | {
      readonly kind: "DELETE_VM";
      /** Absent in operations of version 0.1.0. */
      readonly name?: string;
      readonly volumes: readonly VolumeRef[];
      readonly force: boolean;
      /** What of it is encrypted. Absent: nothing. */
      readonly keyedParts?: readonly string[];
      /** Its spec could not be read: which of its parts are encrypted is not known. */
      readonly keysUnknown?: true;
      /** The volumes are made unreadable before. */
      readonly erase?: Erasure;
      /** The VM as its deleter saw it. */
      readonly etag?: string;
    };

export const operationKinds = [
  "CREATE_VM",
  "START_VM",
  "STOP_VM",
  "REBOOT_VM",
  "PAUSE_VM",
  "RESUME_VM",
  "DELETE_VM",
] as const satisfies readonly Intent["kind"][];

export type IntentOf<K extends Intent["kind"]> = Extract<Intent, { kind: K }>;

/** The state that a VM is in once an operation of this kind is done. */
export const stateAfter = {
  START_VM: "running",
  STOP_VM: "stopped",
  REBOOT_VM: "running",
  PAUSE_VM: "paused",
  RESUME_VM: "running",
} as const;

/** What is to be erased of a VM, and what the receipt tells beside that. */
export interface Erasure {
  readonly name: string;
  readonly tenant: string;
  readonly disks: readonly {
    readonly disk: string;
    readonly volume: VolumeRef;
    /** The volume of the same pool that it was made an overlay of. */
    readonly baseVolume?: string;
    readonly encrypted: boolean;
  }[];
  /** It has a TPM, whose state goes with the domain. */
  readonly tpm: boolean;
  /** Volumes that the VM used and that are not its own. */
  readonly kept: readonly VolumeRef[];
}

export interface WorkRun {
  readonly operationId: string;
  readonly vmId: string;
  /** Of the VM that it was admitted for; undefined in operations of version 0.1.0. */
  readonly instance: string | undefined;
  /** When the operation was admitted. */
  readonly createdAtMs: number;
  /** Whether the journal has an end of this other operation. */
  readonly hasEnded: (operationId: string) => boolean;
  readonly step: Step;
  /** Aborts when the operation is cancelled. */
  readonly signal: AbortSignal;
  /** The operation was interrupted or its outcome unknown: part of it may have happened already. */
  readonly resumed: boolean;
  /** The steps that are on record as done by an earlier run. */
  readonly done: ReadonlySet<string>;
  /** The steps in which an earlier run ended: their effects may be there. */
  readonly cutOff?: ReadonlySet<string>;
  /** Of one that is resumed: what the domain has on record about operations; undefined where there is no domain. */
  readonly standing?: Standing | undefined;
}

/** Does one kind of operation; its answer is the operation's result. Doing it again after any interruption is safe. */
export type Work<K extends Intent["kind"]> = (
  context: WorkContext,
  intent: IntentOf<K>,
  run: WorkRun,
) => Promise<Record<string, string>>;

/** The name of the VM, as far as the intent has it. */
export function nameIn(intent: Intent): string | undefined {
  if (intent.kind === "CREATE_VM") return intent.spec.name;
  return intent.kind === "DELETE_VM" ? intent.name : undefined;
}

/** The volumes that were made for a VM and go with it. */
export function ownVolumes(spec: VmSpec): VolumeRef[] {
  return spec.disks.flatMap(({ name, source }) =>
    source.kind === "new" ? [{ pool: source.pool, volume: volumeName(spec.id, name, source.format) }] : [],
  );
}

/** Its own volumes by disk, and those that it shared with others. */
export const erasureOf = (spec: VmSpec): Erasure => ({
  name: spec.name,
  tenant: spec.tenant,
  disks: spec.disks.flatMap(({ name, source }) =>
    source.kind === "new"
      ? [
          {
            disk: name,
            volume: { pool: source.pool, volume: volumeName(spec.id, name, source.format) },
            ...(source.baseVolume === undefined ? {} : { baseVolume: source.baseVolume }),
            encrypted: source.encryption !== undefined,
          },
        ]
      : [],
  ),
  tpm: spec.tpm !== undefined,
  kept: volumesNamedBy(spec),
});

/** The volumes that a spec names: they must be there before. */
export const volumesNamedBy = ({ kernelBoot, disks }: VmSpec): VolumeRef[] => [
  ...(kernelBoot === undefined ? [] : [kernelBoot.kernel]),
  ...(kernelBoot?.initrd === undefined ? [] : [kernelBoot.initrd]),
  ...disks.flatMap(({ source }) => {
    if (source.kind === "volume") return [source.volume];
    return source.baseVolume === undefined ? [] : [{ pool: source.pool, volume: source.baseVolume }];
  }),
];

/**
 * Waits until readers see what was just done, so that a Get after the operation shows it. The effect itself is certain
 * already: when the observation is late, the operation does not fail for it.
 */
export async function seen(work: Promise<unknown>): Promise<void> {
  await work.catch(() => undefined);
}

export const SEEN_WITHIN_MS = 2000;

/**
 * Whether an error leaves open what became of the operation. Before anything was done, a libvirt that cannot be asked is
 * a failure; to one that goes on after an interruption it says nothing about what was done before. Nor does it when
 * libvirt is let go because the agent stops.
 */
export const isUndecided = (
  { kind, reason }: SocleError,
  { resumed }: { readonly resumed: boolean },
): boolean =>
  kind === "outcome_unknown" ||
  reason === "LIBVIRT_CLOSED" ||
  (resumed && (kind === "timeout" || kind === "unavailable") && reason.startsWith("LIBVIRT_"));

/** The error as `outcome_unknown`, where it leaves open what became of the operation. */
export const undecided = (error: SocleError, resumed: boolean): SocleError =>
  isUndecided(error, { resumed }) ? outcomeUnknown(error) : error;

const silences: ReadonlySet<string> = new Set([
  "LIBVIRT_DISCONNECTED",
  "LIBVIRT_SOCKET_MISSING",
  "LIBVIRT_UNRESPONSIVE",
]);

/** The error in words that say what to do, where libvirt was away and nothing was done. */
export function ofSilence(error: SocleError): SocleError {
  const { kind, reason, message, details } = error;
  if (kind !== "unavailable" || !silences.has(reason)) return error;
  const plain = `libvirt is not answering, so this cannot be done now; try again (${message})`;
  return new SocleError(kind, reason, plain, { cause: error, details });
}

export function outcomeUnknown(error: SocleError): SocleError {
  if (error.kind === "outcome_unknown") return error;
  const message = `what became of it is not known while libvirt cannot be asked: ${error.message}`;
  return new SocleError("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", message, { cause: error });
}

/** The end of a resumed operation that did nothing any more. */
export const interrupted = (what: string): SocleError =>
  new SocleError(
    "unavailable",
    "INTERRUPTED",
    `this operation was interrupted, by a stop of the agent or a lost answer: ${what}`,
  );
