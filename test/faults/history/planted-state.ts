import { effectRules, type PlantedBug } from "./plant.ts";

/** Bugs in the durability of the state directory. "refused-executed" is a defect of version 0.1.0. */
export const stateBugs: readonly PlantedBug[] = [
  {
    name: "refused-executed",
    what: "the bytes of a failed sync are not cut off a journal",
    edits: [
      {
        file: "state/journal/append-file.ts",
        find: "await this.#cut(isWritten ? this.#syncedBytes : this.#bytes, cause);",
        replace: "",
      },
    ],
    rules: [...effectRules, "a refused request has no effect"],
    seed: 89,
  },
  {
    name: "end-not-durable",
    what: "the end of an operation is shown before it is durable",
    edits: [
      {
        file: "state/operations/ends.ts",
        find: 'await this.#journal.append({ t: "end", id, ...whole }, "must");',
        replace: 'this.#journal.appendLazily({ t: "end", id, ...whole });',
      },
    ],
    rules: [...effectRules, "an outcome never changes"],
    seed: 14,
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
    rules: [...effectRules, "an outcome never changes"],
    seed: 9,
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
    seed: 77,
  },
  {
    name: "refused-unmarked",
    what: "a request is refused although an older copy of the state holds its record",
    edits: [
      {
        file: "composition/state.ts",
        find: "if (!(await watermark.raise()))",
        replace: "if (watermark.value < 0)",
      },
    ],
    rules: [...effectRules, "a refused request has no effect"],
    seed: 18,
  },
  {
    name: "copy-raised",
    what: "the watermark of a restored copy of the state is raised",
    edits: [
      {
        file: "state/records/watermark.ts",
        find: "if ((await textOf(this.#path)) !== this.#text) throw new FileLost(this.#path);",
        replace: "void FileLost;",
      },
    ],
    rules: effectRules,
    seed: 4,
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
    seed: 775,
  },
  {
    name: "request-forgotten-by-compaction",
    what: "a compacted journal loses the requests of ended operations",
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
    rules: ["a repeated request returns the same operation", ...effectRules],
    seed: 14,
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
    rules: [
      "a repeated request returns the same operation",
      "acknowledged operations are durable",
      ...effectRules,
    ],
    seed: 18,
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
    rules: ["a repeated request returns the same operation", ...effectRules],
    realSeed: 13,
  },
  {
    name: "acknowledged-early",
    what: "an operation is acknowledged before it is durable",
    edits: [
      {
        file: "state/operations/operations.ts",
        find: "      await entry.durable;\n",
        replace: "      entry.durable.catch(() => undefined);\n",
      },
    ],
    rules: ["acknowledged operations are durable", "a refused request has no effect", ...effectRules],
    seed: 13,
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
    rules: [
      "acknowledged operations are durable",
      "a repeated request returns the same operation",
      "an outcome never changes",
    ],
    seed: 10,
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
    rules: ["agent epochs increase", "acknowledged operations are durable"],
    seed: 10,
  },
  {
    name: "agent-epoch-repeated",
    what: "a start reuses the previous agent epoch",
    edits: [
      {
        file: "state/records/host-record.ts",
        find: "Math.max(before.agentEpoch, await countedWithoutRoom(path)) + 1;",
        replace: "Math.max(before.agentEpoch, await countedWithoutRoom(path), 1);",
      },
    ],
    rules: ["agent epochs increase"],
    seed: 2,
  },
  {
    name: "cancel-shows-end",
    what: "a cancel shows an end that is not durable yet",
    edits: [
      {
        file: "state/operations/operations.ts",
        find: "if (isDone(entry.recorded) || entry.recorded.decided !== undefined) return operation;",
        replace: "entry.recorded = { ...entry.recorded, ...entry.recorded.decided };",
      },
    ],
    rules: ["an outcome never changes"],
    seed: 131,
  },
];
