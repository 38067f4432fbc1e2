import { effectRules, type PlantedBug } from "./plant.ts";

/** Bugs in effects on VMs and in permissions. The first three are defects of version 0.1.0. */
export const effectBugs: readonly PlantedBug[] = [
  {
    name: "unsettled-replayed",
    what: "an interrupted operation is repeated after later ones, and later ones overtake it",
    edits: [
      {
        file: "state/operations/operations.ts",
        find: "if (open !== undefined) throw unsettled(open);",
        replace: "",
      },
      {
        file: "state/operations/operations.ts",
        find: "if (older !== undefined) throw unsettled(older);",
        replace: "",
      },
      {
        file: "vm/operations/runner.ts",
        find: "requireSameVm(run, standing);\n      requireNewest(run, standing);",
        replace: "",
      },
      {
        file: "vm/operations/runner.ts",
        find: "if (origin !== undefined) requireSameVm(run, origin);",
        replace: "",
      },
      {
        file: "vm/operations/runner.ts",
        find: "endState !== undefined && isComplete(run, standing)",
        replace: "endState !== undefined && run.resumed === undefined",
      },
      {
        file: "vm/operations/guest-run.ts",
        find: "if (!resumed) return await mark(context, run);",
        replace: 'if (!resumed) return await mark(context, run);\n  if (resumed) return "marked";',
      },
      {
        file: "vm/operations/guest-run.ts",
        find: 'if (guestRun === "marked") return isMarkedBy(run, standing);',
        replace: "if (run !== undefined) return standing !== undefined || guestRun !== undefined;",
      },
      { file: "vm/operations/recovery.ts", find: "if (await vms.endAgain(operation)) return;", replace: "" },
    ],
    rules: [...effectRules, "an outcome never changes"],
    seed: 48,
  },
  {
    name: "epoch-by-any-scheduler",
    what: "a scheduler of one tenant raises the control epoch",
    edits: [
      {
        file: "api/auth/control-epoch.ts",
        find: 'changes && caller.role === "scheduler" && caller.tenant === undefined;',
        replace: 'changes && caller.role === "scheduler";',
      },
    ],
    rules: ["only permitted changes raise the control epoch"],
    seed: 5,
  },
  {
    name: "epoch-by-reads",
    what: "a read raises the control epoch",
    edits: [
      {
        file: "api/auth/control-epoch.ts",
        find: 'changes && caller.role === "scheduler" && caller.tenant === undefined;',
        replace: 'caller.role === "scheduler" && caller.tenant === undefined;',
      },
      {
        file: "api/calls.ts",
        find: "          : run(decoded, live);\n",
        replace: "          : this.#enforceEpoch(live, fenced).then(() => run(decoded, live));\n",
      },
    ],
    rules: ["only permitted changes raise the control epoch"],
    seed: 21,
    realSeed: 52,
  },
  {
    name: "epoch-step-unbounded",
    what: "a change raises the control epoch by any step",
    edits: [
      {
        file: "state/records/control-epochs.ts",
        find: "if (epoch - highest <= maxControlEpochStep) return;",
        replace: "if (epoch >= highest) return;",
      },
    ],
    rules: ["only permitted changes raise the control epoch"],
    seed: 40,
  },
  {
    name: "epoch-unaudited",
    what: "the control epoch is raised without an audit entry",
    edits: [
      {
        file: "state/records/control-epochs.ts",
        find: "await this.#audit({ from, to: epoch, by });",
        replace: "void this.#audit;",
      },
    ],
    rules: ["each raise of the control epoch is audited"],
    seed: 3,
    realSeed: 25,
  },
  {
    name: "place-left-early",
    what: "a call's permit is released before its reply is delivered",
    edits: [
      {
        file: "api/calls.ts",
        find: "const leave = this.#options.admission.enter(live.account, kind);",
        replace: "this.#options.admission.enter(live.account, kind)(); const leave = () => undefined;",
      },
    ],
    rules: ["a call holds its permit until its reply is delivered"],
  },
  {
    name: "lease-unread",
    what: "changes are accepted before the watermark in libvirt's lease is read",
    edits: [
      {
        file: "vm/hypervisor/hypervisor-lease.ts",
        find: '} else if (error.reason === "LIBVIRT_NO_SUPPORT") {',
        replace: "} else if (error.reason.length > 0) {",
      },
    ],
    rules: effectRules,
    seed: 18,
  },
  {
    name: "forced-no-more",
    what: "an ended or cancelled forced stop cuts a waiting stop short",
    edits: [
      { file: "vm/operations/stop-escalation.ts", find: "if (!isWanted()) return;", replace: "" },
      {
        file: "vm/operations/stop-escalation.ts",
        find: "waiting.forced.push(isWanted);",
        replace: "waiting.forced.push(() => true);",
      },
    ],
    rules: effectRules,
    seed: 165,
  },
  {
    name: "read-backwards",
    what: "a read of a VM replaces the newer state of an event",
    edits: [
      {
        file: "vm/observation/observer.ts",
        find: "if (this.#touchedAt.get(domain.uuid) !== before || this.#takenAt.get(domain.uuid) !== taken) return;",
        replace: "void [before, taken];",
      },
    ],
    rules: ["reads are monotonic"],
    seed: 183,
  },
  {
    name: "undo-of-anothers-disk",
    what: "a failed creation removes volumes that it did not create",
    edits: [
      {
        file: "vm/operations/create.ts",
        find: "made: new Set(isClaimed ? removals(spec, run, instance).keys() : []),",
        replace: "made: new Set(removals(spec, run, instance).keys()),",
      },
    ],
    rules: effectRules,
    seed: 127,
  },
  {
    name: "half-made-left",
    what: "a failed creation does not roll back",
    edits: [
      {
        file: "vm/operations/create.ts",
        find: "throw await rollBack(context, spec, run, making, error);",
        replace: "throw error;",
      },
    ],
    rules: ["a failed creation leaves nothing", "a deleted VM leaves nothing"],
    seed: 13,
  },
  {
    name: "stamp-ignored",
    what: "an operation of a rolled back state directory is repeated: neither the lease nor a stamp is checked",
    edits: [
      {
        file: "vm/operations/recovery.ts",
        find: "if (watermark?.isOutdated(id) === true) {",
        replace: "if (watermark === undefined) {",
      },
      { file: "composition/state.ts", find: "isOutdated: (id) => watermark.isOutdated(id),", replace: "" },
      { file: "vm/operations/runner.ts", find: "      requireNewest(run, standing);\n", replace: "" },
    ],
    rules: [...effectRules, "an outcome never changes"],
    seed: 4,
  },
  {
    name: "etag-skipped",
    what: "a delete that continues after a restart does not compare its etag",
    edits: [
      {
        file: "vm/operations/delete.ts",
        find: "requireUnchanged(intent.etag, table.get(vmId), hasBegun(run));",
        replace: "if (!resumed) requireUnchanged(intent.etag, table.get(vmId), hasBegun(run));",
      },
    ],
    rules: ["an etag is enforced"],
    seed: 38,
  },
  {
    name: "rollback-unseen",
    what: "a creation of a rolled back state directory is repeated after its VM was deleted",
    edits: [
      {
        file: "vm/operations/recovery.ts",
        find: "if (watermark?.isOutdated(id) === true) {",
        replace: "if (watermark === undefined) {",
      },
      { file: "composition/state.ts", find: "isOutdated: (id) => watermark.isOutdated(id),", replace: "" },
    ],
    rules: effectRules,
    seed: 4,
  },
  {
    name: "two-at-once",
    what: "operations of one VM do not wait for each other",
    edits: [
      {
        file: "vm/operations/runner.ts",
        find: "this.#lock.run(vmId, untilEnded, signal, order)",
        replace: "this.#lock.run(`${vmId} ${Math.random()}`, untilEnded, signal, order)",
      },
      {
        file: "state/operations/operations.ts",
        find: "if (older !== undefined) throw unsettled(older);",
        replace: "",
      },
    ],
    rules: effectRules,
    seed: 5,
  },
  {
    name: "tenant-unchecked",
    what: "a caller of one tenant changes another's VMs",
    edits: [
      {
        file: "api/services/tenancy.ts",
        find: "if (isOwn(vm)) return true;",
        replace: "if (vm.managed) return true;",
      },
    ],
    rules: ["tenants are isolated"],
    realSeed: 3,
  },
  {
    name: "stop-lies",
    what: "a stop that the guest ignored succeeds",
    edits: [
      {
        file: "vm/operations/stop.ts",
        find: "    requireForce();\n",
        replace: 'if (!force && !cut.isWanted()) return { state: "stopped", stopped_by: "guest" };',
      },
    ],
    rules: ["an outcome is true"],
    seed: 24,
  },
  {
    name: "deleted-and-failed",
    what: "a deletion fails if libvirt does not answer after the domain's removal",
    edits: [
      {
        file: "vm/operations/delete.ts",
        find: 'thrown.reason !== "VM_RUNNING" ?',
        replace: "thrown.reason === '' ?",
      },
    ],
    rules: ["a failed deletion leaves the VM"],
    seed: 34,
  },
  {
    name: "later-run-stopped",
    what: "a forced stop with a lost reply is repeated on a run that another client started since",
    edits: [
      {
        file: "vm/operations/stop.ts",
        find: "domains.destroy(vmId, { isOver, requireWanted: requireForce })",
        replace: "domains.destroy(vmId, { requireWanted: requireForce })",
      },
    ],
    rules: effectRules,
    seed: 71,
  },
  {
    name: "written-disk-taken-back",
    what: "a creation with a lost reply to its start removes the disk that its guest has used",
    edits: [
      {
        file: "vm/operations/create.ts",
        find: 'if (toSocleError(thrown).reason !== "EFFECT_NOT_OBSERVED") throw thrown;',
        replace: "if (thrown !== undefined) throw thrown;",
      },
    ],
    rules: effectRules,
  },
  {
    name: "cancelled-after-plug",
    what: "a deletion is cancelled after its first effect",
    edits: [{ file: "vm/operations/delete.ts", find: "    step.commit();\n", replace: "" }],
    rules: ["a cancelled deletion has no effect"],
    seed: 6,
  },
  {
    name: "cancelled-half-done",
    what: "a deletion that was interrupted after its first effect is cancelled when it continues",
    edits: [
      {
        file: "vm/operations/delete.ts",
        find: "if (isGone || hasBegun(run)) step.goOn();",
        replace: "if (isGone) step.goOn();",
      },
    ],
    rules: ["a cancelled deletion has no effect"],
    seed: 51,
  },
  {
    name: "erased-under-guest",
    what: "a deletion continues when another client starts the VM while its disk is overwritten",
    edits: [
      {
        file: "vm/operations/delete.ts",
        find: "if (hasDomain) await keepOff(context, intent, run);",
        replace: "void [hasDomain, keepOff];",
      },
    ],
    rules: effectRules,
    seed: 52,
  },
  {
    name: "fence-left",
    what: "a start does not take the control epoch from libvirt's lease",
    edits: [
      {
        file: "composition/hypervisor.ts",
        find: "      await followFence(state, before, log);\n",
        replace: "      void followFence;\n",
      },
    ],
    rules: ["a replaced scheduler changes nothing"],
    seed: 68,
  },
];
