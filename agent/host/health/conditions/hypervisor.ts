import type { Config } from "../../../config/schema.ts";
import type { Kvm } from "../../../hardware/cpu/kvm.ts";
import type { Reading } from "../../../hardware/reading.ts";
import { bad, good, type Verdict } from "../trigger.ts";
import {
  staleAfter,
  streak,
  watchingReading,
  type ConditionContext,
  type ConditionTable,
} from "./condition.ts";

export const INVENTORY_PERIOD_SECONDS = 60;

export const hypervisorConditions = ({ config, offersKvm }: ConditionContext) =>
  ({
    LibvirtUnresponsive: {
      probe: {
        reason: "ProbeFailed",
        effect: "no_schedule",
        enter: streak(config.health.libvirtProbeFailures, 0),
        leave: streak(3, config.health.libvirtGoodSeconds),
        staleAfterMs: staleAfter(
          config.health.libvirtProbeSeconds + config.health.libvirtProbeTimeoutSeconds,
        ),
      },
    },
    KvmUnavailable: {
      device: watchingReading(
        "kvm",
        { reason: "DeviceCannotBeOpened", effect: "no_schedule", leave: { probes: 2, forMs: 0 } },
        (kvm, _, seen) => {
          const wasUsable = seen.has("kvm", "usable");
          const verdict = kvmVerdict(kvm, config.vm.accelerator, offersKvm(), wasUsable);
          if (verdict.kind === "good" && (kvm.kind === "read" || offersKvm() === true))
            seen.add("kvm", "usable");
          return verdict;
        },
      ),
      /** An openable device proves little: only a running guest proves that KVM works. */
      guest: {
        reason: "GuestFailedOnKvm",
        effect: "no_schedule",
        leave: { probes: 2, forMs: 0 },
        offUntilReported: true,
        endsOnAcknowledge: true,
      },
      /** Running guests do not disprove it: only a later start does. */
      start: {
        reason: "StartFailsOnKvm",
        effect: "no_schedule",
        offUntilReported: true,
        endsOnAcknowledge: true,
      },
    },
    VmStartFailures: {
      starts: { reason: "VmStartsFail", effect: "no_schedule", offUntilReported: true },
    },
    /** Degraded only: the host can run other VMs. */
    VmUnreadable: {
      metadata: { reason: "DomainUnreadable", effect: "degraded", offUntilReported: true },
    },
    StoragePool: {
      pool: {
        reason: "PoolUnavailable",
        effect: "no_schedule",
        // Pool changes cause bursts of readings, which count as one.
        enter: streak(config.health.poolFailures, config.health.poolFailures > 1 ? 20 : 0),
        leave: streak(2, config.health.poolGoodSeconds),
        staleAfterMs: staleAfter(INVENTORY_PERIOD_SECONDS),
      },
    },
    /** Degraded only: nothing opens such a file, and other VMs can run. */
    VolumeSuspicious: {
      header: {
        reason: "OtherFormatFound",
        effect: "degraded",
        staleAfterMs: staleAfter(INVENTORY_PERIOD_SECONDS),
      },
    },
  }) satisfies ConditionTable;

/**
 * `offered`: whether libvirt reports that QEMU can use KVM. It counts if the agent itself may not open the device
 * (it needs the group kvm, which QEMU has). `wasUsable`: since boot.
 */
export function kvmVerdict(
  kvm: Reading<Kvm>,
  accelerator: Config["vm"]["accelerator"],
  offered: boolean | undefined,
  wasUsable: boolean,
): Verdict {
  if (accelerator === "tcg") return good("not needed: guests are emulated by configuration");
  switch (kvm.kind) {
    case "read":
      return good("/dev/kvm opens");
    case "unsupported":
      if (accelerator === "kvm") return bad(`kvm is configured: ${kvm.reason}`);
      if (wasUsable) return bad("/dev/kvm is gone, but was usable since boot");
      return good("there is no /dev/kvm: guests are emulated");
    case "failed":
      if (kvm.code !== "EACCES" && kvm.code !== "EPERM") return bad(kvm.reason);
      if (offered === true) return good("libvirt offers KVM (the agent itself is not in group kvm)");
      return {
        kind: offered === false ? "bad" : "unknown",
        evidence: `${kvm.reason}; add the agent's user to group kvm`,
      };
  }
}
