import { Semaphore } from "../../kernel/concurrency/semaphore.ts";
import { aborted } from "../../kernel/concurrency/deadline.ts";
import type { Clock } from "../../kernel/clock.ts";
import { defined } from "../../kernel/defined.ts";
import { toSocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import { connectListAllDomains, ConnectListAllDomainsFlags, type Libvirt } from "../../libvirt/index.ts";
import type { NewEvent } from "../../state/events/event.ts";
import { isDone, type Operation } from "../../state/operations/operation.ts";
import type { Operations } from "../../state/operations/operations.ts";
import type { HostBoot } from "../../state/records/host-record.ts";
import type { Domains } from "../hypervisor/domains.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import type { Vm } from "../model/vm.ts";
import type { VmTable } from "../observation/vm-table.ts";
import { AGENT, failureOf, type OwnStarts } from "./own-starts.ts";
import { isSeenForBackup } from "./backup-qemu.ts";
import { foundOff } from "./paused-qemu.ts";

export interface AutostartOptions {
  readonly bootId: string;
  /** The boot of the host that the state directory knows. */
  readonly record: { readonly boot: HostBoot | undefined; setBoot(boot: HostBoot): Promise<void> };
  readonly operations: Pick<Operations, "list" | "admittedFor" | "untilPermitted">;
  readonly starts: Pick<OwnStarts, "start">;
  readonly libvirt: Pick<Libvirt, "call">;
  readonly domains: Pick<Domains, "setAutostart">;
  readonly table: Pick<VmTable, "all" | "get" | "untilComplete">;
  readonly publish: (event: NewEvent) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The tenant of the provider's VMs. */
const PROVIDER = "";
const STARTED_AT_ONCE = 8;
/** A pool or a network may come up after libvirt. */
const ATTEMPTS = 3;
const AGAIN_MS = 10_000;
const RECORD_AGAIN_MS = 5000;
/** Kinds of errors that may be over soon after a boot. */
const PASSING: ReadonlySet<string> = new Set(["unavailable", "exhausted", "timeout"]);

/**
 * Starts the VMs with autostart, once after each boot of the host. The state directory has the boot and the newest
 * operation before it: a VM that another caller has changed since then is left alone, also after restarts of the agent.
 * libvirt's own autostart, which would skip the checks of a start, is switched off for these VMs.
 */
export class Autostart implements Service {
  readonly name = "autostart";
  readonly #options: AutostartOptions;
  readonly #permits = new Semaphore(STARTED_AT_ONCE);
  #failures = 0;

  constructor(options: AutostartOptions) {
    this.#options = options;
  }

  /** VMs that did not start, since the agent's start. */
  get failures(): number {
    return this.#failures;
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    // Before the API accepts an operation, so that each later one belongs to this boot.
    const noted = this.#noteBoot();
    let isNoted = await this.#recorded(noted);
    ready();
    try {
      await this.#options.table.untilComplete(signal);
      await this.#options.operations.untilPermitted(signal);
      while (!isNoted) {
        await this.#options.clock.sleep(RECORD_AGAIN_MS, signal);
        isNoted = await this.#recorded(noted);
      }
      signal.throwIfAborted();
      await this.#takeOver();
      // Read here: the lease may have shown meanwhile that the state directory was rolled back.
      const boot = this.#options.record.boot;
      if (boot?.autostarted !== true) await this.#startAll(boot ?? noted, signal);
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
    await aborted(signal);
  }

  /** The boot of the host; a new state directory does not know whether its VMs were started in this one. */
  #noteBoot(): HostBoot {
    const { bootId, record, operations } = this.#options;
    if (record.boot?.id === bootId) return record.boot;
    const newestOperation = operations.list({ limit: 1 })[0]?.id;
    return defined({ id: bootId, newestOperation, autostarted: record.boot === undefined || undefined });
  }

  async #recorded(boot: HostBoot): Promise<boolean> {
    const { record, log } = this.#options;
    if (record.boot?.id === boot.id) return true;
    try {
      await record.setBoot(boot);
      return true;
    } catch (thrown) {
      log.warn(
        { err: toSocleError(thrown) },
        "the host's boot cannot be recorded: no VM is started before that",
      );
      return false;
    }
  }

  /** Switches libvirt's own autostart off, which version 0.1.0 used. A failure is only logged: the next start retries. */
  async #takeOver(): Promise<void> {
    const { libvirt, domains, table, log } = this.#options;
    try {
      const flags = ConnectListAllDomainsFlags.AUTOSTART;
      const { domains: listed } = await libvirt.call(connectListAllDomains, { needResults: true, flags });
      for (const { uuid } of listed) {
        if (!isOurs(table.get(uuid))) continue;
        await domains.setAutostart(uuid, false);
        log.info({ vm: uuid }, "the agent starts this VM with the host from now on, libvirt does not");
      }
    } catch (thrown) {
      log.warn({ err: toSocleError(thrown) }, "libvirt's own autostart of VMs could not be switched off");
    }
  }

  async #startAll(boot: HostBoot, signal: AbortSignal): Promise<void> {
    const { table, record, log } = this.#options;
    const vms = table.all().filter(isOurs).toSorted(inOrder);
    const startOf = (tenant: string): Promise<void> =>
      this.#startInOrder(
        vms.filter((vm) => vm.tenant === tenant),
        boot,
        signal,
      );
    await startOf(PROVIDER);
    // A tenant's delays and slow starts hold up only its own VMs.
    const tenants = new Set(vms.map(({ tenant }) => tenant).filter((tenant) => tenant !== PROVIDER));
    await Promise.all(Array.from(tenants, startOf));
    signal.throwIfAborted();
    await record.setBoot({ ...boot, autostarted: true }).catch((thrown: unknown) => {
      // The next agent of this boot repeats the requests, which finds their operations.
      log.warn({ err: toSocleError(thrown) }, "the end of autostart cannot be recorded");
    });
  }

  async #startInOrder(vms: readonly Vm[], boot: HostBoot, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    let priority: number | undefined;
    let begun: Promise<void>[] = [];
    for (const vm of vms) {
      const { startPriority = 0, startDelaySeconds = 0 } = vm.spec ?? {};
      if (startPriority !== priority || startDelaySeconds > 0) {
        await Promise.all(begun);
        begun = [];
        priority = startPriority;
      }
      if (startDelaySeconds > 0 && this.#isWanted(vm.id, boot))
        await clock.sleep(startDelaySeconds * 1000, signal);
      signal.throwIfAborted();
      begun.push(this.#permits.run(vm.tenant, () => this.#start(vm, boot, signal)));
    }
    await Promise.all(begun);
  }

  /** Never rejects. */
  async #start(vm: Vm, boot: HostBoot, signal: AbortSignal): Promise<void> {
    const { starts, clock, publish, log } = this.#options;
    const isWanted = (): boolean => this.#isWanted(vm.id, boot);
    const identity = vm.instance ?? vm.id;
    for (let attempt = 1; ; attempt += 1) {
      let failed: ReturnType<typeof failureOf>;
      let isPassing: boolean;
      try {
        if (!isWanted()) return;
        const requestId = `autostart-${boot.id}-${identity}-${attempt}`;
        const end = await starts.start({ vm, requestId, cause: "autostart", isWanted }, signal);
        if (end === undefined || end.state === "succeeded" || end.state === "cancelled") return;
        failed = failureOf({ operation: end });
        isPassing = end.error !== undefined && PASSING.has(end.error.kind);
      } catch (thrown) {
        if (signal.aborted) return;
        const { kind, reason } = toSocleError(thrown);
        failed = failureOf({ thrown });
        isPassing = PASSING.has(kind) || reason === "OPERATION_UNSETTLED";
      }
      if (isPassing && attempt < ATTEMPTS) {
        await clock.sleep(AGAIN_MS, signal).catch(() => undefined);
        if (signal.aborted) return;
        continue;
      }
      this.#failures += 1;
      log.warn({ vm: vm.id, name: vm.name, ...failed }, "the VM did not start with the host");
      publish({ kind: "vm_autostart_failed", vmId: vm.id, vmName: vm.name, vmState: vm.state, ...failed });
      return;
    }
  }

  /** It is off, and no other caller has changed it, or is about to, since the host's boot. */
  #isWanted(id: string, { newestOperation = "" }: HostBoot): boolean {
    const { table, operations } = this.#options;
    const vm = table.get(id);
    const admitted = operations.admittedFor(id);
    if (!isOurs(vm) || (isActive(vm) && !isForWork(vm, admitted))) return false;
    return admitted.every(
      ({ id: operation, caller, kind }) =>
        operation <= newestOperation || caller === AGENT || LEAVES_OFF.has(kind),
    );
  }
}

const isOurs = (vm: Vm | undefined): vm is Vm =>
  vm?.managed === true && vm.spec?.autostart === true && vm.rescue === undefined;

/**
 * Its QEMU runs only for work on its disks: the start waits for its end. In the QEMU of an open backup the guest is started.
 */
const isForWork = (vm: Vm, admitted: readonly Operation[]): boolean =>
  isSeenForBackup(vm) || (vm.state === "paused" && admitted.some((each) => foundOff(each) && !isDone(each)));

/** They do not decide whether a VM runs. */
const LEAVES_OFF: ReadonlySet<string> = new Set(["BEGIN_BACKUP", "FINISH_BACKUP"]);

/** The highest priority first. */
const inOrder = (a: Vm, b: Vm): number =>
  (b.spec?.startPriority ?? 0) - (a.spec?.startPriority ?? 0) || (a.name < b.name ? -1 : 1);
