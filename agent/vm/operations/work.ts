import type { Clock } from "../../kernel/clock.ts";
import type { Semaphore } from "../../kernel/concurrency/semaphore.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import type { NbdPorts } from "./nbd-ports.ts";
import type { StopEscalation } from "./stop-escalation.ts";
import type { Step } from "../../state/operations/operations.ts";
import type { Watermark } from "../../state/records/watermark.ts";
import type { Domains } from "../hypervisor/domains.ts";
import type { Standing } from "../hypervisor/stamps.ts";
import { withWayOut } from "../hypervisor/stuck-job.ts";
import type { GuestKeys } from "../keys/guest-keys.ts";
import type { Networks } from "../hypervisor/networks.ts";
import type { Downloads } from "../images/download.ts";
import type { TransferPace } from "../images/transfer-pace.ts";
import type { Upload } from "../images/upload.ts";
import type { ImageRoom, ImageStore } from "../images/image-store.ts";
import type { ImageVolumes } from "../images/image-volumes.ts";
import type { Vm } from "../model/vm.ts";
import type { DeviceSpec } from "../model/volume-names.ts";
import type { VmTable } from "../observation/vm-table.ts";
import type { DumpDirectory } from "../storage/dump-directory.ts";
import type { Volumes } from "../storage/volumes.ts";

/** Dependencies of the works on images. */
export interface ImageParts {
  readonly store: ImageStore;
  readonly volumes: ImageVolumes;
  readonly downloads: Pick<Downloads, "open">;
  /** The bytes of uploads, by upload. */
  readonly uploads: Map<string, Upload>;
  readonly room: ImageRoom;
  /** One permit: each conversion may take much of the agent's memory (vmdk.ts). */
  readonly conversions: Semaphore;
  /** The largest image. */
  readonly maxBytes: number;
  readonly pace: TransferPace;
}

/** Dependencies of the works of all kinds of operation. */
export interface WorkContext {
  readonly domains: Domains;
  readonly volumes: Volumes;
  readonly networks: Networks;
  readonly keys: GuestKeys;
  readonly images: ImageParts;
  /** Signs a statement of this host: JSON that begins with its kind. The signature is base64. */
  readonly attest: (statement: Readonly<Record<string, unknown>>) => {
    readonly text: string;
    readonly signature: string;
  };
  readonly table: VmTable;
  /** Raised before a domain is removed together with the traces of its operations. */
  readonly watermark?: Pick<Watermark, "raise" | "isOutdated">;
  readonly clock: Clock;
  readonly log: Logger;
  /** x86_64, aarch64. */
  readonly architecture: string;
  /** Of the sockets that QEMU makes for the agent. */
  readonly socketDirectory: string;
  /** Of backups that are read by NBD over TLS; absent: this host serves none. */
  readonly nbdPorts?: NbdPorts;
  /** Where guests' memory is dumped; absent: nowhere. */
  readonly dumps?: DumpDirectory;
  /** See domain-document.ts. */
  readonly memoryHeadroomBytes?: number;
}

/** Adds the state that the runs of all operations share. */
export interface RunContext extends WorkContext {
  /** The VMs that are being created, and devices that are being added to VMs: they may soon use volumes. */
  readonly creations: () => Iterable<DeviceSpec>;
  readonly escalation: StopEscalation;
}

export interface WorkRun {
  readonly operationId: string;
  readonly vmId: string;
  readonly caller: string;
  /** Of the VM that the operation was admitted for; undefined in operations of version 0.1.0. */
  readonly instance: string | undefined;
  /** When the operation was admitted. */
  readonly createdAtMs: number;
  /** Whether the journal has the end of this other operation. */
  readonly hasEnded: (operationId: string) => boolean;
  readonly step: Step;
  /** Aborts when the operation is cancelled. */
  readonly signal: AbortSignal;
  /** The operation was interrupted or its outcome unknown: it may have had effects already. */
  readonly resumed: boolean;
  /** The steps that an earlier run completed. */
  readonly done: ReadonlySet<string>;
  /** The steps in which an earlier run ended: they may have had effects. */
  readonly cutOff?: ReadonlySet<string>;
  /** Of a resumed operation: the domain's records of operations; undefined without a domain. */
  readonly standing?: Standing | undefined;
}

/**
 * Waits until readers see the effect, so that a Get after the operation shows it. The effect is certain already: a late
 * observation does not fail the operation.
 */
export async function seen(
  { table }: Pick<WorkContext, "table">,
  vmId: string,
  is: (vm: Vm | undefined) => boolean,
): Promise<void> {
  await table.until(vmId, is, AbortSignal.timeout(SEEN_WITHIN_MS)).catch(() => undefined);
}

const SEEN_WITHIN_MS = 2000;

/** Whether an earlier run of the operation may have had the effect of this step. */
export const mayHaveBegun = (
  { resumed, done, cutOff }: Pick<WorkRun, "resumed" | "done" | "cutOff">,
  step: string,
): boolean => resumed && (done.has(step) || cutOff?.has(step) === true);

/**
 * Whether an error leaves the operation's outcome open. Before any effect, a libvirt that does not answer is a plain
 * failure. For a resumed operation it does not show what happened before, as a guest's QEMU that does not answer; nor does it
 * if the connection was closed because the agent stops.
 */
export const isUndecided = (
  { kind, reason }: SocleError,
  { resumed }: { readonly resumed: boolean },
): boolean =>
  kind === "outcome_unknown" ||
  reason === "LIBVIRT_CLOSED" ||
  (resumed &&
    (kind === "timeout" || kind === "unavailable") &&
    (reason.startsWith("LIBVIRT_") || reason === "GUEST_UNRESPONSIVE"));

/** The error as `outcome_unknown`, if it leaves the operation's outcome open. */
export const undecided = (error: SocleError, resumed: boolean): SocleError =>
  isUndecided(error, { resumed }) ? outcomeUnknown(error) : error;

const CONNECTION_LOSSES: ReadonlySet<string> = new Set([
  "LIBVIRT_DISCONNECTED",
  "LIBVIRT_SOCKET_MISSING",
  "LIBVIRT_UNRESPONSIVE",
]);

/** The error with advice, if libvirt was away and nothing was done, or holds a job of before a restart. */
export function withAdvice(error: SocleError): SocleError {
  const { kind, reason, message, details } = error;
  if (kind !== "unavailable" || !CONNECTION_LOSSES.has(reason)) return withWayOut(error);
  const plain = `libvirt is not answering, so the request cannot be carried out now; retry (${message})`;
  return new SocleError(kind, reason, plain, { cause: error, details });
}

export function outcomeUnknown(error: SocleError): SocleError {
  if (error.kind === "outcome_unknown") return error;
  const message = `the outcome is not known while libvirt does not answer: ${error.message}`;
  return new SocleError("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", message, { cause: error });
}

/** The end of a resumed operation that did nothing more. */
export const interrupted = (what: string): SocleError =>
  new SocleError(
    "unavailable",
    "INTERRUPTED",
    `this operation was interrupted, by a stop of the agent or a lost reply: ${what}`,
  );
