import type { Clock } from "../kernel/clock.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import { isDone, type Operation } from "../state/operations/operation.ts";
import type { Operations } from "../state/operations/operations.ts";
import { fingerprintOf, type Trust } from "../trust/index.ts";
import type { Forwarder } from "./forwarder.ts";
import type { AuditLog } from "./log.ts";
import { defined } from "../kernel/defined.ts";

// Acts that no call tells of.

/** The end of each operation. `tenantOf`: whose VM that is; "" for one that is nobody's, or not there. */
export function operationTrail(
  audit: Pick<AuditLog, "note">,
  operations: Pick<Operations, "watch">,
  tenantOf: (vmId: string) => string,
): Service {
  return {
    name: "operation-trail",
    async run(signal, ready) {
      const changes = operations.watch(signal);
      // From before the end: a VM that was deleted is not there then.
      const tenants = new Map<string, string>();
      ready();
      for await (const change of changes) {
        if (change.kind === "overflow") {
          audit.note({ act: "operation_ended", outcome: "failed", reason: "OPERATIONS_OVERFLOW" });
          continue;
        }
        const { id, vmId } = change.value;
        const tenant = tenantOf(vmId) || tenants.get(id);
        if (isDone(change.value)) {
          tenants.delete(id);
          audit.note(endOf(change.value, tenant));
        } else if (tenant !== undefined) tenants.set(id, tenant);
      }
    },
  };
}

const endOf = (operation: Operation, tenant: string | undefined): Parameters<AuditLog["note"]>[0] => {
  const { id, kind, vmId, caller, behalf, requestId, state, error, result } = operation;
  const receipt = result["receipt_sha256"];
  return defined({
    act: "operation_ended",
    requestId,
    vm: vmId === "" ? undefined : vmId,
    tenant,
    outcome: state === "succeeded" ? "done" : state === "cancelled" ? "cancelled" : "failed",
    reason: error?.reason,
    operation: id,
    details: { kind, by: caller, ...behalf, ...(receipt === undefined ? {} : { receipt }) },
  });
};

/** Each certificate that this host proves itself with from then on, and each set of files that was refused. */
export function certificateTrail(audit: Pick<AuditLog, "note">, trust: Trust): Service {
  return {
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
  };
}

/** What is wrong with the log, each in words; absent: nothing. */
export interface AuditTrouble {
  /** Why it could not be read, so that nothing else is known of it. */
  readonly unreadable?: string;
  readonly damaged?: string;
  readonly behind?: string;
}

const lookMs = 5000;
/** A sink that is behind for so long is told of. */
const behindSeconds = 300;

/** Looks at the log and at those it is told to, and reports what is wrong with them. */
export function auditHealth(
  audit: Pick<AuditLog, "state">,
  forwarders: readonly Pick<Forwarder, "state">[],
  report: (trouble: AuditTrouble) => void,
  clock: Clock,
): Service {
  return {
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
  };
}
