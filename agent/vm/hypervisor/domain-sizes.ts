import type { Clock } from "../../kernel/clock.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import { buildMemoryDevice } from "../../libvirt/xml/index.ts";
import type { LibvirtCalls } from "./certainty.ts";
import { noFreePort } from "./domain-devices.ts";
import { runningOf, type DomainReads } from "./domain-reads.ts";
import { reference } from "./stamps.ts";
import { bootBytesOf, emptyDevices, grownBytesOf, grownTo } from "../model/memory-growth.ts";
import { freePciePorts } from "../model/pcie-ports.ts";
import type { VmDomain } from "../model/vm-domain.ts";

/** How long a guest may make no progress before the request counts as refused. */
const STANDSTILL_MS = 15_000;
/** The longest change: a large guest empties its balloon by gigabytes a second. */
const CHANGE_WITHIN_MS = 600_000;
const FIRST_LOOK_MS = 5;
const LOOK_EVERY_MS = 250;
const ASK_EVERY_MS = 4000;
const KIB = 1024;
const { LIVE } = libvirt.DomainModificationImpact;

type Count = (running: VmDomain) => number;

/** The size of running guests. Only libvirt's XML shows whether a guest has taken a change. */
export class DomainSizes {
  readonly #libvirt: LibvirtCalls;
  readonly #clock: Clock;
  readonly #reads: DomainReads;

  constructor(calls: LibvirtCalls, clock: Clock, reads: DomainReads) {
    this.#libvirt = calls;
    this.#clock = clock;
    this.#reads = reads;
  }

  /** Undefined: no guest runs. */
  async running(id: string): Promise<VmDomain | undefined> {
    return await runningOf(this.#reads, id);
  }

  /**
   * Gives a running guest this number of vCPUs, or asks it to release some, and waits until it has. Does nothing without a
   * running guest. Throws libvirt's refusals, and `conflict` GUEST_KEEPS_VCPUS: the guest may still release them later.
   */
  async setVcpus(id: string, vcpus: number): Promise<void> {
    const ask = (): Promise<unknown> =>
      this.#libvirt.call(libvirt.domainSetVcpusFlags, { dom: reference(id), nvcpus: vcpus, flags: LIVE });
    await this.#change(id, vcpuCount, vcpus, ask, keepsVcpus);
  }

  /**
   * Sets what the balloon leaves to a running guest, and waits until the guest has followed. Does nothing without a running
   * guest. Throws libvirt's refusals, and `conflict` GUEST_KEEPS_MEMORY.
   */
  async setMemory(id: string, bytes: number): Promise<void> {
    await this.#change(id, balloonBytes, bytes, () => this.askForMemory(id, bytes), keepsMemory);
  }

  /** As `setMemory`, without the wait. */
  async askForMemory(id: string, bytes: number): Promise<void> {
    const args = { dom: reference(id), memory: bytes / KIB, flags: LIVE };
    await this.#libvirt.call(libvirt.domainSetMemoryFlags, args);
  }

  /**
   * Sets what a running guest has beyond the memory that it was started with, and waits until it has it, or has given it back.
   * Does nothing without a running guest. Throws libvirt's refusals, `exhausted` NO_FREE_PORT, and `conflict`
   * GUEST_KEEPS_MEMORY.
   */
  async setGrown(id: string, bytes: number): Promise<void> {
    await this.#change(id, grownBytesOf, bytes, () => this.askToGrow(id, bytes), keepsGrown(bytes));
  }

  /** As `setGrown`, without the wait. */
  async askToGrow(id: string, bytes: number): Promise<void> {
    const running = await this.running(id);
    if (running === undefined) return;
    const { resized, added } = grownTo(running, bytes);
    const change = { dom: reference(id), flags: LIVE };
    // libvirt finds a device by its place, and refuses a change of anything else.
    const leaving = new Set(emptyDevices(running).map(({ alias }) => alias));
    for (const device of resized)
      await this.#libvirt
        .call(libvirt.domainUpdateDeviceFlags, { ...change, xml: buildMemoryDevice(device) })
        .catch((thrown: unknown) => {
          const error = toSocleError(thrown);
          // QEMU does not fill a device again that it has asked the guest to release.
          const isPending = leaving.has(device.alias) && error.reason === "LIBVIRT_INTERNAL_ERROR";
          throw isPending ? keepsDevice(error) : thrown;
        });
    if (added === undefined) return;
    if (freePciePorts(running.devices) <= 0) throw noFreePort();
    await this.#libvirt.call(libvirt.domainAttachDeviceFlags, { ...change, xml: buildMemoryDevice(added) });
  }

  async #change(
    id: string,
    count: Count,
    wanted: number,
    ask: () => Promise<unknown>,
    keeps: (now: number, cause: SocleError | undefined) => SocleError,
  ): Promise<void> {
    const first = await this.running(id);
    // An earlier run of the operation may have asked for memory that is not there yet: its target is set again.
    if (first === undefined || (count === vcpuCount && count(first) === wanted)) return;
    const isGrowth = wanted > count(first);
    const endMs = this.#clock.monotonicMs() + CHANGE_WITHIN_MS;
    let deadlineMs = endMs;
    let refusal: SocleError | undefined;
    let lost: SocleError | undefined;
    let askAtMs = 0;
    let last: number | undefined;
    let waitMs = FIRST_LOOK_MS;
    for (;;) {
      // libvirt may learn only from a further request that a guest has released a vCPU.
      if (this.#clock.monotonicMs() >= askAtMs) {
        refusal = await ask().then(
          () => undefined,
          (thrown: unknown) => toSocleError(thrown),
        );
        // A refusal does not show that an earlier request has no effect any more.
        if (refusal === undefined || refusal.kind === "outcome_unknown") lost = refusal;
        askAtMs = this.#clock.monotonicMs() + ASK_EVERY_MS;
      }
      const running = await this.running(id);
      const now = running === undefined ? wanted : count(running);
      if (isGrowth ? now >= wanted : now <= wanted) return;
      if (refusal !== undefined && !isOpen(refusal))
        throw lost ?? (isGrowth || isOfLibvirt(refusal) ? refusal : keeps(now, refusal));
      if (now !== last) deadlineMs = Math.min(endMs, this.#clock.monotonicMs() + STANDSTILL_MS);
      last = now;
      if (this.#clock.monotonicMs() >= deadlineMs) throw keeps(now, lost ?? refusal);
      waitMs = Math.min(2 * waitMs, LOOK_EVERY_MS);
      await this.#clock.sleep(waitMs);
    }
  }
}

const vcpuCount: Count = ({ vcpus }) => vcpus.current;
/** libvirt 11.3 adds what a guest was given once more at each reset: the balloon leaves what it began with at most. */
const balloonBytes: Count = (running) =>
  Math.min(bootBytesOf(running), (running.currentMemoryBytes ?? running.memoryBytes) - grownBytesOf(running));

/** It shows nothing of the guest. */
const isOfLibvirt = ({ kind, reason }: SocleError): boolean =>
  kind === "unavailable" || kind === "invalid" || reason === "LIBVIRT_CLOSED";

/** libvirt waits a few seconds for the guest: that refusal, or a lost reply, leaves the outcome open. */
const isOpen = ({ kind, reason }: SocleError): boolean =>
  kind === "outcome_unknown" || reason === "LIBVIRT_OPERATION_TIMEOUT";

const reasonOf = (cause: SocleError | undefined): string =>
  cause === undefined ? "" : ` (${cause.message})`;

function keepsVcpus(now: number, cause: SocleError | undefined): SocleError {
  if (cause?.kind === "outcome_unknown") return cause;
  const message =
    `the guest still has ${now} vCPUs: it released no more within ${STANDSTILL_MS / 1000} s${reasonOf(cause)}, and the VM's definition is ` +
    "unchanged. A guest that is booting, paused or has no hotplug driver cannot release vCPUs: retry, or stop the VM and change it then";
  return new SocleError("conflict", "GUEST_KEEPS_VCPUS", message, {
    cause,
    details: { metadata: { vcpus: String(now) } },
  });
}

const keepsGrown =
  (wanted: number) =>
  (now: number, cause: SocleError | undefined): SocleError => {
    if (cause?.kind === "outcome_unknown") return cause;
    const message =
      `the guest has ${now / (KIB * KIB)} of ${wanted / (KIB * KIB)} MiB beyond the memory that it was started with, and made no progress for ` +
      `${STANDSTILL_MS / 1000} s${reasonOf(cause)}; the VM's definition is unchanged. A guest that is booting, paused or has no virtio-mem driver ` +
      "does not follow, and one that uses the memory cannot give it back; what it keeps of a growth counts until its next start: " +
      "retry, or stop the VM and change it then";
    return new SocleError("conflict", "GUEST_KEEPS_MEMORY", message, {
      cause,
      details: { metadata: { grown_bytes: String(now) } },
    });
  };

const keepsDevice = (cause: SocleError): SocleError =>
  new SocleError(
    "conflict",
    "GUEST_KEEPS_MEMORY",
    `the guest was asked to release a memory device that it had given back, and cannot grow until it has (${cause.message}). ` +
      "A guest that is booting, paused or has no hotplug driver does not release it: retry, or stop the VM and change it then",
    { cause },
  );

function keepsMemory(now: number, cause: SocleError | undefined): SocleError {
  if (cause?.kind === "outcome_unknown") return cause;
  const message =
    `the guest still has ${now / (KIB * KIB)} MiB: its balloon did not move for ${STANDSTILL_MS / 1000} s${reasonOf(cause)}, and the VM's definition is unchanged. ` +
    "A guest that is booting, paused, short of memory or has no balloon driver does not follow: retry, or stop the VM and change it then";
  return new SocleError("conflict", "GUEST_KEEPS_MEMORY", message, {
    cause,
    details: { metadata: { memory_bytes: String(now) } },
  });
}
