import { randomUUID } from "node:crypto";
import type { Clock } from "../../kernel/clock.ts";
import { toSocleError, type SocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import { DomainCreateFlags, domainCreateXml, domainDestroyFlags } from "../../libvirt/index.ts";
import { buildDomain, noDevices } from "../../libvirt/xml/index.ts";
import type { LibvirtCalls } from "./certainty.ts";
import type { KvmVerdicts } from "./kvm-witness.ts";

interface KvmProbeOptions {
  readonly libvirt: LibvirtCalls;
  readonly verdicts: KvmVerdicts;
  readonly architecture: string;
  readonly clock: Clock;
  readonly log: Logger;
}

const NAME_PREFIX = "socle-kvm-probe-";
const MEMORY_BYTES = 16 * 1024 * 1024;
const AT_MOST_EVERY_MS = 60_000;
const START_TIMEOUT_MS = 30_000;

/**
 * Distinguishes a KVM that cannot start any guest from a guest that cannot be started. If a start under KVM fails and
 * QEMU itself gave up, a minimal guest (no disk, no network, never run) is started and discarded. If that fails too,
 * the cause is KVM, and libvirt's message is the evidence.
 */
export class KvmProbe {
  readonly #options: KvmProbeOptions;
  #lastMs: number | undefined;

  constructor(options: KvmProbeOptions) {
    this.#options = options;
  }

  /** Checks KVM after a failed start under KVM. Never throws; does nothing for other failures or too soon after a check. */
  async suspect(vmId: string, failure: SocleError): Promise<void> {
    const { verdicts, clock, log } = this.#options;
    if (failure.kind !== "internal") return;
    if (this.#lastMs !== undefined && clock.monotonicMs() - this.#lastMs < AT_MOST_EVERY_MS) return;
    this.#lastMs = clock.monotonicMs();
    try {
      await this.#startNothing();
    } catch (thrown) {
      const error = toSocleError(thrown);
      log.warn({ vm: vmId, err: error }, "a minimal guest cannot be started under KVM either");
      if (error.kind !== "internal") return;
      verdicts.reportKvmStartFailure({
        vmId,
        evidence: `a minimal guest could not be started under KVM either: ${error.message}`,
      });
    }
  }

  async #startNothing(): Promise<void> {
    const { libvirt, architecture } = this.#options;
    const uuid = randomUUID();
    const name = `${NAME_PREFIX}${uuid.slice(0, 8)}`;
    const xml = buildDomain({
      type: "kvm",
      name,
      uuid,
      memoryBytes: MEMORY_BYTES,
      vcpus: { max: 1, current: 1 },
      cpu: { mode: "host-model" },
      os: { type: "hvm", arch: architecture, machine: architecture === "x86_64" ? "q35" : "virt" },
      devices: {
        ...noDevices,
        controllers: [{ type: "usb", model: "none" }],
        memoryBalloon: { model: "none" },
      },
    });
    // AUTODESTROY: if the agent dies, the guest ends with the connection.
    const flags = DomainCreateFlags.START_PAUSED | DomainCreateFlags.START_AUTODESTROY;
    await libvirt.call(domainCreateXml, { xmlDesc: xml, flags }, { timeoutMs: START_TIMEOUT_MS });
    await libvirt.call(domainDestroyFlags, { dom: { name, uuid, id: -1 }, flags: 0 });
  }
}
