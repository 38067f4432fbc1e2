/** A bug that the checker must find: replacements in a copy of the agent. */
export interface PlantedBug {
  readonly name: string;
  /** What it does, for the report. */
  readonly what: string;
  readonly edits: readonly Edit[];
  /** Rules by which it may be found. */
  readonly rules: readonly string[];
  /** Of a real history that shows it, where real histories do. */
  readonly realSeed?: number;
}

export interface Edit {
  /** Below agent/. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly find: string;
  readonly replace: string;
}

const effectRules = ["every effect has its operation", "one operation at a time, each once"];

/** The first four are defects as they were in version 0.1.0. */
export const plantedBugs: readonly PlantedBug[] = [
  {
    name: "unsettled-replayed",
    what: "an interrupted operation is done again whatever came after it, and later ones overtake it",
    edits: [
      {
        file: "state/operations.ts",
        find: "if (open !== undefined) throw unsettled(open);",
        replace: "",
      },
      {
        file: "state/operations.ts",
        find: "if (older !== undefined) throw unsettled(older);",
        replace: "",
      },
      {
        file: "vm/works.ts",
        find: "requireSameVm(run, standing);\n      requireNewest(run, standing);",
        replace: "",
      },
      { file: "vm/works.ts", find: "if (origin !== undefined) requireSameVm(run, origin);", replace: "" },
      {
        file: "vm/works.ts",
        find: "if (isComplete(run, standing)",
        replace: "if (run.resumed === undefined",
      },
      {
        file: "vm/guest-run.ts",
        find: "if (!resumed) return await mark(context, run);",
        replace: 'if (!resumed) return await mark(context, run);\n  if (resumed) return "marked";',
      },
      {
        file: "vm/guest-run.ts",
        find: 'return guestRun === "marked" ? isMarkedBy(run, standing) : standing?.runNumber === guestRun.number;',
        replace: "return standing !== undefined || guestRun !== undefined;",
      },
      { file: "vm/settler.ts", find: "if (await vms.endAgain(operation)) return;", replace: "" },
    ],
    rules: [...effectRules, "an end is for good"],
  },
  {
    name: "refused-executed",
    what: "what a failed sync leaves in a journal is not cut off",
    edits: [
      {
        file: "state/append-file.ts",
        find: "await this.#cut(isWritten ? this.#syncedBytes : this.#bytes, cause);",
        replace: "",
      },
    ],
    rules: [...effectRules, "a refused request stays refused"],
  },
  {
    name: "epoch-by-any-scheduler",
    what: "a scheduler of one tenant raises the control epoch",
    edits: [
      {
        file: "api/control-epoch.ts",
        find: 'changes && caller.role === "scheduler" && caller.tenant === undefined;',
        replace: 'changes && caller.role === "scheduler";',
      },
    ],
    rules: ["the control epoch is raised by those who may"],
    realSeed: 25,
  },
  {
    name: "place-left-early",
    what: "a call's admission place is given on before its answer is delivered",
    edits: [
      {
        file: "api/calls.ts",
        find: "live.holds(this.#admission.enter(live.caller.name, kind));",
        replace: "this.#admission.enter(live.caller.name, kind)();",
      },
    ],
    rules: ["a call has its place until its answer has left"],
  },
  {
    name: "end-not-durable",
    what: "the end of an operation is shown before it is on the disk",
    edits: [
      {
        file: "state/operation-ends.ts",
        find: 'await this.#journal.append({ t: "end", id, ...whole }, "must");',
        replace: 'this.#journal.appendLazily({ t: "end", id, ...whole });',
      },
    ],
    rules: [...effectRules, "an end is for good"],
  },
  {
    name: "decided-shown",
    what: "a restart shows an end that libvirt has no record of",
    edits: [
      {
        file: "state/operation-table.ts",
        find: 't === "decided" ? { ...entry.recorded, decided: end } : withEnd(entry.recorded, end);',
        replace: "t.length > 0 ? withEnd(entry.recorded, end) : entry.recorded;",
      },
    ],
    rules: [...effectRules, "an end is for good"],
  },
  {
    name: "mark-not-written",
    what: "an end is shown whose watermark the state directory refused",
    edits: [
      {
        file: "state/watermark.ts",
        find: "if (failure !== undefined) throw failure;",
        replace: "void failure;",
      },
    ],
    rules: effectRules,
  },
  {
    name: "refused-unmarked",
    what: "a request is refused whose record an older copy of the state holds unnoticed",
    edits: [
      {
        file: "composition/state.ts",
        find: "if (!(await watermark.raise()))",
        replace: "if (watermark.value < 0)",
      },
    ],
    rules: [...effectRules, "a refused request stays refused"],
  },
  {
    name: "copy-raised",
    what: "the watermark of a copy that is put in the place of the state is raised",
    edits: [
      {
        file: "state/watermark.ts",
        find: "if ((await textOf(this.#path)) !== this.#text) throw new FileLost(this.#path);",
        replace: "void FileLost;",
      },
    ],
    rules: effectRules,
  },
  {
    name: "lease-unread",
    what: "changes are taken before libvirt says how far its agent had come",
    edits: [
      {
        file: "vm/hypervisor-lease.ts",
        find: '} else if (error.reason === "LIBVIRT_NO_SUPPORT") {',
        replace: "} else if (error.reason.length > 0) {",
      },
    ],
    rules: effectRules,
  },
  {
    name: "forced-no-more",
    what: "a stop is cut short by a forced one that has ended or was cancelled",
    edits: [
      { file: "vm/stop-escalation.ts", find: "if (!isWanted()) return;", replace: "" },
      {
        file: "vm/stop-escalation.ts",
        find: "waiting.forced.push(isWanted);",
        replace: "waiting.forced.push(() => true);",
      },
    ],
    rules: effectRules,
  },
  {
    name: "request-forgotten-by-compaction",
    what: "a compacted journal no longer knows the requests of operations that ended",
    edits: [
      {
        file: "state/journal.ts",
        find: "const defaultCompactAboveBytes = 8 * 1024 * 1024;",
        replace: "const defaultCompactAboveBytes = 2 * 1024;",
      },
      {
        file: "state/operation-table.ts",
        find: "this.#byRequest.set(`${operation.requestId} ${operation.caller}`, entry);",
        replace:
          "if (!isDone(operation)) this.#byRequest.set(`${operation.requestId} ${operation.caller}`, entry);",
      },
    ],
    rules: ["a repeated request has one answer", ...effectRules],
  },
  {
    name: "request-carried-out-twice",
    what: "a repeated request becomes another operation",
    edits: [
      {
        file: "state/operation-table.ts",
        find: "return this.#byRequest.get(`${requestId} ${caller}`);",
        replace: "return requestId === caller ? this.#byRequest.get(caller) : undefined;",
      },
    ],
    rules: ["a repeated request has one answer", ...effectRules],
    realSeed: 13,
  },
  {
    name: "acknowledged-early",
    what: "an operation is acknowledged before it is on the disk",
    edits: [
      {
        file: "state/operations.ts",
        find: "      await entry.durable;\n",
        replace: "      entry.durable.catch(() => undefined);\n",
      },
    ],
    rules: ["what was acknowledged is kept", "a refused request stays refused", ...effectRules],
  },
  {
    name: "journal-not-synced",
    what: "appends to journals are not synced",
    edits: [
      {
        file: "state/append-file.ts",
        find: "        await this.#file.datasync();\n        await this.requireSame();",
        replace: "        await this.requireSame();",
      },
    ],
    rules: ["what was acknowledged is kept", "a repeated request has one answer", "an end is for good"],
  },
  {
    name: "directory-not-synced",
    what: "the names of new directories are not synced",
    edits: [
      {
        file: "kernel/make-directory.ts",
        find: "await parent?.sync();",
        replace: "",
      },
    ],
    rules: ["agent epochs rise", "what was acknowledged is kept"],
  },
  {
    name: "read-backwards",
    what: "a read of a VM that an event overtook replaces what is newer",
    edits: [
      {
        file: "vm/observer.ts",
        find: "if (this.#touchedAt.get(domain.uuid) !== before || this.#takenAt.get(domain.uuid) !== taken) return;",
        replace: "void [before, taken];",
      },
    ],
    rules: ["reads go forward"],
  },
  {
    name: "undo-of-anothers-disk",
    what: "a creation that fails removes volumes that it did not make",
    edits: [
      {
        file: "vm/create-work.ts",
        find: "made: new Set(isClaimed ? removals(spec, run, instance).keys() : []),",
        replace: "made: new Set(removals(spec, run, instance).keys()),",
      },
    ],
    rules: effectRules,
  },
  {
    name: "half-made-left",
    what: "a creation that fails leaves what it made",
    edits: [
      {
        file: "vm/create-work.ts",
        find: "throw await takeBack(context, spec, run, making, error);",
        replace: "throw error;",
      },
    ],
    rules: ["a failed creation leaves nothing", "nothing is left of a VM that is gone"],
  },
  {
    name: "stamp-ignored",
    what: "an operation of a state directory that was rolled back is done again: neither the lease nor a stamp is asked",
    edits: [
      {
        file: "vm/settler.ts",
        find: "if (watermark?.isOutdated(id) === true) {",
        replace: "if (watermark === undefined) {",
      },
      { file: "composition/state.ts", find: "isOutdated: (id) => watermark.isOutdated(id),", replace: "" },
      { file: "vm/works.ts", find: "      requireNewest(run, standing);\n", replace: "" },
    ],
    rules: [...effectRules, "an end is for good"],
  },
  {
    name: "etag-skipped",
    what: "a delete that goes on after a restart does not compare its etag",
    edits: [
      {
        file: "vm/delete-work.ts",
        find: "requireUnchanged(intent.etag, table.get(vmId), hasBegun(run));",
        replace: "if (!resumed) requireUnchanged(intent.etag, table.get(vmId), hasBegun(run));",
      },
    ],
    rules: ["an etag holds"],
  },
  {
    name: "rollback-unseen",
    what: "a creation of a state directory that was rolled back is done again after its VM was deleted",
    edits: [
      {
        file: "vm/settler.ts",
        find: "if (watermark?.isOutdated(id) === true) {",
        replace: "if (watermark === undefined) {",
      },
      { file: "composition/state.ts", find: "isOutdated: (id) => watermark.isOutdated(id),", replace: "" },
    ],
    rules: effectRules,
  },
  {
    name: "two-at-once",
    what: "operations of one VM do not wait for each other",
    edits: [
      {
        file: "vm/works.ts",
        find: "this.#lock.run(vmId, untilEnded, signal, order)",
        replace: "this.#lock.run(`${vmId} ${Math.random()}`, untilEnded, signal, order)",
      },
      {
        file: "state/operations.ts",
        find: "if (older !== undefined) throw unsettled(older);",
        replace: "",
      },
    ],
    rules: effectRules,
  },
  {
    name: "tenant-unchecked",
    what: "a caller of one tenant changes another's VMs",
    edits: [
      {
        file: "api/tenancy.ts",
        find: "if (vm === undefined || isOwn(vm)) return request;",
        replace: "if (vm !== undefined || isOwn(vm)) return request;",
      },
    ],
    rules: ["tenants are apart"],
    realSeed: 3,
  },
  {
    name: "agent-epoch-repeated",
    what: "a start has the agent epoch of the one before",
    edits: [
      {
        file: "state/host-record.ts",
        find: "Math.max(before.agentEpoch, await countedWithoutRoom(path)) + 1;",
        replace: "Math.max(before.agentEpoch, await countedWithoutRoom(path), 1);",
      },
    ],
    rules: ["agent epochs rise"],
  },
  {
    name: "cancel-shows-end",
    what: "a cancel shows an end that is not on the disk yet",
    edits: [
      {
        file: "state/operations.ts",
        find: "if (isDone(entry.recorded) || entry.recorded.decided !== undefined) return operation;",
        replace: "entry.recorded = { ...entry.recorded, ...entry.recorded.decided };",
      },
    ],
    rules: ["an end is for good"],
  },
  {
    name: "stop-lies",
    what: "a stop that the guest did not follow succeeds",
    edits: [
      {
        file: "vm/power-works.ts",
        find: "    requireForce();\n",
        replace: 'if (!force && !cut.isWanted()) return { state: "stopped", stopped_by: "guest" };',
      },
    ],
    rules: ["an end is true"],
  },
  {
    name: "deleted-and-failed",
    what: "a deletion fails where libvirt cannot be asked after the domain is gone",
    edits: [
      {
        file: "vm/delete-work.ts",
        find: 'thrown.reason !== "VM_RUNNING" ?',
        replace: "thrown.reason === '' ?",
      },
    ],
    rules: ["a failed deletion leaves the VM"],
  },
];
