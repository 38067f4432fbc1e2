import { effectRules, type PlantedBug } from "./plant.ts";

/** Bugs in what the state directory keeps. "refused-executed" is a defect as it was in version 0.1.0. */
export const stateBugs: readonly PlantedBug[] = [
  {
    name: "refused-executed",
    what: "what a failed sync leaves in a journal is not cut off",
    edits: [
      {
        file: "state/journal/append-file.ts",
        find: "await this.#cut(isWritten ? this.#syncedBytes : this.#bytes, cause);",
        replace: "",
      },
    ],
    rules: [...effectRules, "a refused request stays refused"],
  },
  {
    name: "end-not-durable",
    what: "the end of an operation is shown before it is on the disk",
    edits: [
      {
        file: "state/operations/ends.ts",
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
        file: "state/operations/operation-table.ts",
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
        file: "state/records/watermark.ts",
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
        file: "state/records/watermark.ts",
        find: "if ((await textOf(this.#path)) !== this.#text) throw new FileLost(this.#path);",
        replace: "void FileLost;",
      },
    ],
    rules: effectRules,
  },
  {
    name: "raised-unread",
    what: "a copy of the state raises its watermark before it has read libvirt's",
    edits: [
      {
        file: "state/records/watermark.ts",
        find: "if (!this.#isCurrent()) return (await this.#publish?.()) ?? true;",
        replace: "",
      },
    ],
    rules: effectRules,
  },
  {
    name: "request-forgotten-by-compaction",
    what: "a compacted journal no longer knows the requests of operations that ended",
    edits: [
      {
        file: "state/journal/journal.ts",
        find: "const defaultCompactAboveBytes = 8 * 1024 * 1024;",
        replace: "const defaultCompactAboveBytes = 2 * 1024;",
      },
      {
        file: "state/operations/operation-table.ts",
        find: "this.#byRequest.set(`${operation.requestId} ${operation.caller}`, entry);",
        replace:
          "if (!isDone(operation)) this.#byRequest.set(`${operation.requestId} ${operation.caller}`, entry);",
      },
    ],
    rules: ["a repeated request has one answer", ...effectRules],
  },
  {
    name: "journal-begun-anew",
    what: "a start without the journal of operations begins a new one",
    edits: [
      {
        file: "state/journal/journal-file.ts",
        find: 'if (found === "nothing" && mustExist) return undefined;',
        replace: "void mustExist;",
      },
    ],
    rules: ["a repeated request has one answer", "what was acknowledged is kept", ...effectRules],
  },
  {
    name: "request-carried-out-twice",
    what: "a repeated request becomes another operation",
    edits: [
      {
        file: "state/operations/operation-table.ts",
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
        file: "state/operations/operations.ts",
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
        file: "state/journal/append-file.ts",
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
    name: "agent-epoch-repeated",
    what: "a start has the agent epoch of the one before",
    edits: [
      {
        file: "state/records/host-record.ts",
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
        file: "state/operations/operations.ts",
        find: "if (isDone(entry.recorded) || entry.recorded.decided !== undefined) return operation;",
        replace: "entry.recorded = { ...entry.recorded, ...entry.recorded.decided };",
      },
    ],
    rules: ["an end is for good"],
  },
];
