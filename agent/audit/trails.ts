import type { Clock } from "../kernel/clock.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import { isDone, type Operation } from "../state/operations/operation.ts";
import { subjectOf } from "../state/operations/subject.ts";
import type { Operations } from "../state/operations/operations.ts";
import { fingerprintOf, type Trust } from "../trust/index.ts";
import type { Forwarder } from "./forwarder.ts";
import type { AuditLog } from "./log.ts";
import { defined } from "../kernel/defined.ts";

// Acts without a call.

/** The end of each operation. `tenantOf`: the VM's tenant; "" for none, or a missing VM. */
export function operationTrail(
  audit: Pick<AuditLog, "note">,
  operations: Pick<Operations, "watch">,
  tenantOf: (vmId: string) => string,
): Service {
  return {
    name: "operation-trail",
    async run(signal, ready) {
      const changes = operations.watch(signal);
      // From before the end: a deleted VM is absent then.
      const tenants = new Map<string, string>();
      ready();
      for await (const change of changes) {
        if (change.kind === "overflow") {
          audit.note({ act: "operation_ended", outcome: "failed", reason: "OPERATIONS_OVERFLOW" });
          continue;
        }
        const { id, vmId } = change.value;
        const tenant = tenantOf(vmId) || tenants.get(id) || change.value.tenant;
        if (isDone(change.value)) {
          tenants.delete(id);
          audit.note(endOf(change.value, tenant));
        } else if (tenant !== undefined) tenants.set(id, tenant);
      }
    },
  };
}

const endOf = (operation: Operation, tenant: string | undefined): Parameters<AuditLog["note"]>[0] => {
  const { id, kind, caller, behalf, requestId, state, error, result } = operation;
  const { vmId, imageId: image, volume } = subjectOf(operation);
  const { receipt_sha256: receipt } = result;
  return defined({
    act: "operation_ended",
    requestId,
    vm: vmId === "" ? undefined : vmId,
    tenant,
    outcome: state === "succeeded" ? "done" : state === "cancelled" ? "cancelled" : "failed",
    reason: error?.reason,
    operation: id,
    details: defined<Record<string, string>>({ kind, by: caller, ...behalf, receipt, image, volume }),
  });
};

/** Each certificate that this host begins to use, and each refused set of files. */
export const certificateTrail = (audit: Pick<AuditLog, "note">, trust: Trust): Service => ({
  name: "certificate-trail",
  async run(signal, ready) {
    let inUse: string | undefined;
    let problem: string | undefined;
    const look = (): void => {
      const { material } = trust;
      const authorities = material?.roots.map(fingerprintOf).join(" ") ?? "";
      if (material !== undefined && `${material.serial} ${authorities}` !== inUse) {
        inUse = `${material.serial} ${authorities}`;
        const until = new Date(material.notAfterMs).toISOString();
        const details = { identity: material.identity.uri, serial: material.serial, until, authorities };
        audit.note({ act: "certificate_changed", outcome: "done", details });
      }
      const reason = trust.problem?.reason;
      if (reason !== undefined && reason !== problem)
        audit.note({ act: "certificate_changed", outcome: "failed", reason });
      problem = reason;
    };
    const changes = trust.subscribe(signal);
    look();
    ready();
    for await (const _change of changes) look();
  },
});

/** The log's faults; absent: none. */
export interface AuditTrouble {
  /** Why it could not be read: its other faults are unknown then. */
  readonly unreadable?: string;
  readonly damaged?: string;
  readonly behind?: string;
}

const lookMs = 5000;
/** Lag after which a sink is reported. */
const behindSeconds = 300;

/** Checks the log and its sinks, and reports their faults. */
export const auditHealth = (
  audit: Pick<AuditLog, "state">,
  forwarders: readonly Pick<Forwarder, "state">[],
  report: (trouble: AuditTrouble) => void,
  clock: Clock,
): Service => ({
  name: "audit-health",
  async run(signal, ready) {
    ready();
    for (;;) {
      const { damage, unreadable } = audit.state;
      const behind = forwarders.flatMap(({ state }) =>
        state !== undefined && state.lagSeconds > behindSeconds
          ? [`${state.name} lacks ${state.lagEntries} entries, for ${Math.round(state.lagSeconds)} s`]
          : [],
      );
      report(
        defined({
          unreadable,
          damaged: damage,
          behind: behind.length === 0 ? undefined : behind.join("; "),
        }),
      );
      try {
        await clock.sleep(lookMs, signal);
      } catch {
        return;
      }
    }
  },
});
