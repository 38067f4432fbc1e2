import type { Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import type { StopEscalation } from "./stop-escalation.ts";
import type { Step } from "../../state/operations/operations.ts";
import type { Watermark } from "../../state/records/watermark.ts";
import type { Domains } from "../hypervisor/domains.ts";
import type { Standing } from "../hypervisor/stamps.ts";
import type { GuestKeys } from "../keys/guest-keys.ts";
import type { Networks } from "../hypervisor/networks.ts";
import type { VmSpec, VolumeRef } from "../model/spec.ts";
import { namedVolumes, ownDisks } from "../model/volume-names.ts";
import type { VmTable } from "../observation/vm-table.ts";
import type { Volumes } from "../storage/volumes.ts";
import { defined } from "../../kernel/defined.ts";

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

/** What a run stands on beside that: the state that the runs of all operations share. */
export interface RunContext extends WorkContext {
  /** The specs of the VMs that are being created, and may be about to use volumes. */
  readonly creations: () => Iterable<VmSpec>;
  readonly escalation: StopEscalation;
}

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
  readonly caller: string;
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

/** Its own volumes by disk, and those that it shared with others. */
export const erasureOf = (spec: VmSpec): Erasure => ({
  name: spec.name,
  tenant: spec.tenant,
  disks: ownDisks(spec).map(({ disk, volume, source: { baseVolume, encryption } }) =>
    defined({ disk, volume, baseVolume, encrypted: encryption !== undefined }),
  ),
  tpm: spec.tpm !== undefined,
  kept: namedVolumes(spec),
});

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
