import { readDmi } from "../../hardware/system/dmi.ts";
import { identifyMachine, type MachineIdentity } from "../../hardware/system/identity.ts";
import { valueOf, type Reading } from "../../hardware/reading.ts";
import type { Roots } from "../../hardware/roots.ts";
import { readMachineId, readOperatingSystem, type OperatingSystem } from "../../hardware/system/system.ts";
import { defined } from "../../kernel/defined.ts";
import { chooseHostId } from "./host-id.ts";
import type { HostIdentity } from "../host.ts";
import type { Versions } from "../inventory/libvirt-facts.ts";

/** The host's identity, collected from several sources as they answer. */
export class Identity {
  readonly #roots: Roots;
  readonly #fixed: Pick<HostIdentity, "agentVersion" | "agentStartedAtMs" | "labels">;
  #id = "";
  #machine: MachineIdentity = { vendor: "", model: "", serial: "" };
  #system: Reading<OperatingSystem> = { kind: "failed", reason: "not read yet" };
  #versions: Versions | undefined;
  #probeFailure: string | undefined;
  /** Rebuilt after a change. */
  #value: HostIdentity | undefined;

  constructor(roots: Roots, fixed: Pick<HostIdentity, "agentVersion" | "agentStartedAtMs" | "labels">) {
    this.#roots = roots;
    this.#fixed = fixed;
  }

  /** The same object until a change. */
  get value(): HostIdentity {
    return (this.#value ??= this.#gathered());
  }

  #gathered(): HostIdentity {
    const system = valueOf(this.#system);
    return defined({
      ...this.#fixed,
      ...this.#machine,
      id: this.#id,
      hostname: system?.hostname ?? "",
      os: system?.os ?? "",
      kernel: system?.kernel ?? "",
      bootId: system?.bootId ?? "",
      bootedAtMs: system?.bootedAtMs,
      libvirtVersion: this.#versions?.libvirt,
      hypervisorVersion: this.#versions?.hypervisor,
    });
  }

  /** Missing parts, with the reason. */
  get reasons(): readonly string[] {
    return [
      ...(this.#system.kind === "read" ? [] : [`operating system: ${this.#system.reason}`]),
      ...(this.#probeFailure === undefined ? [] : [`identity: ${this.#probeFailure}`]),
    ];
  }

  /** From the kernel's files, without delay. */
  async readSystem(): Promise<void> {
    const [system, dmi] = await Promise.all([readOperatingSystem(this.#roots), readDmi(this.#roots)]);
    this.#system = system;
    const firmware = valueOf(dmi);
    this.#machine = {
      vendor: firmware?.systemVendor ?? "",
      model: firmware?.productName ?? "",
      serial: firmware?.productSerial ?? "",
    };
    this.#value = undefined;
  }

  /** From systeminformation, which takes up to 10 s. */
  async probeMachine(command: readonly [string, ...string[]], signal: AbortSignal): Promise<void> {
    const { identity, incompleteReason } = await identifyMachine(command, this.#roots, { signal });
    this.#machine = identity;
    this.#probeFailure = incompleteReason;
    this.#value = undefined;
  }

  /**
   * Set once for the host's life, since other systems take a new id for a new host. Precedence: the configured id, the
   * stored id, then ids from libvirt (undefined: unreachable) or the machine.
   */
  async decideId(
    configured: string | undefined,
    before: string | undefined,
    libvirtUuid: string | undefined,
  ): Promise<string> {
    this.#id = configured ?? before ?? (await this.#chooseId(libvirtUuid));
    this.#value = undefined;
    return this.#id;
  }

  /** Undefined while libvirt is unreachable: keeps the known values. */
  setVersions(versions: Versions | undefined): void {
    this.#versions = versions ?? this.#versions;
    this.#value = undefined;
  }

  async #chooseId(libvirtUuid: string | undefined): Promise<string> {
    const [dmi, machineId] = await Promise.all([readDmi(this.#roots), readMachineId(this.#roots)]);
    return chooseHostId({
      libvirtUuid,
      hasFirmwareTables: dmi.kind === "read",
      machineId: valueOf(machineId),
    });
  }
}
