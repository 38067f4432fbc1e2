import type { Snapshot__Output } from "../../gen/socle/v1/Snapshot.ts";
import { confirm } from "../confirm.ts";
import { usageError } from "../errors.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import { enumWord, formatBytes, formatTime, printable } from "../format.ts";
import type { Command, Session } from "../session.ts";
import { renderFields, renderTable, type Column } from "../table.ts";

type Options = MutationOptions & { readonly dryRun?: boolean };
type CreateOptions = Options & {
  readonly description?: string;
  readonly quiesce?: boolean;
  readonly memory?: boolean;
};
type RevertOptions = Options & {
  readonly force?: boolean;
  readonly yes?: boolean;
  readonly discardMemory?: boolean;
};

export const createSnapshot: Command = (session, [vm = "", name = ""], options: CreateOptions) => {
  const { description = "", quiesce = false, memory = false, dryRun: validateOnly = false } = options;
  const request = { vm, name, description, quiesce, memory, validateOnly };
  return mutate(session, options, ({ snapshots }) => snapshots.CreateSnapshot, request);
};

export const deleteSnapshot: Command = (session, [vm = "", snapshot = ""], options: Options) => {
  const { dryRun: validateOnly = false } = options;
  return mutate(session, options, ({ snapshots }) => snapshots.DeleteSnapshot, {
    vm,
    snapshot,
    validateOnly,
  });
};

export const revertSnapshot: Command = async (session, [vm = "", snapshot = ""], options: RevertOptions) => {
  const { force = false, yes = false, discardMemory = false, dryRun: validateOnly = false } = options;
  const etag = yes || validateOnly ? "" : await confirmed(session, vm, snapshot);
  const request = { vm, snapshot, force, discardMemory, validateOnly, etag };
  return await mutate(session, options, ({ snapshots }) => snapshots.RevertSnapshot, request);
};

/** The etag of the VM that the person saw. */
async function confirmed(session: Session, name: string, snapshot: string): Promise<string> {
  if (session.json || session.io.stdin.isTTY !== true)
    throw usageError(
      `VM ${name} was not reverted: there is no prompt; add --yes to revert it, or --dry-run to see what would be done`,
    );
  const agent = await session.agent();
  const vm = await agent.ask(agent.contract.vms.GetVm, { vm: name });
  const what = `${printable(vm.name)} to ${printable(snapshot)} and lose what it wrote since its newest snapshot`;
  await confirm(session, `Revert ${what}? [y/N] `);
  return vm.etag;
}

export const listSnapshots: Command = async (session, [vm = ""]) => {
  const agent = await session.agent();
  const answer = await agent.ask(agent.contract.snapshots.ListSnapshots, { vm });
  if (session.json) session.printJson(answer);
  else if (answer.snapshots.length === 0) session.print("no snapshots\n");
  else session.print(renderTable(columns, treeOf(answer.snapshots), session.paint));
  return undefined;
};

interface Row {
  readonly depth: number;
  readonly snapshot: Snapshot__Output;
}

/** Each snapshot below its parent. */
function treeOf(snapshots: readonly Snapshot__Output[]): Row[] {
  const under = (parent: string, depth: number): Row[] =>
    snapshots.flatMap((snapshot) =>
      snapshot.parentId === parent && depth <= snapshots.length
        ? [{ depth, snapshot }, ...under(snapshot.id, depth + 1)]
        : [],
    );
  return under("", 0);
}

const memoryOf = ({ memoryBytes }: Snapshot__Output): string =>
  memoryBytes === 0 ? "no" : formatBytes(memoryBytes);

const columns: Column<Row>[] = [
  {
    title: "SNAPSHOT",
    cell: ({ depth, snapshot }) => `${"  ".repeat(depth)}${printable(snapshot.name)}`,
  },
  { title: "ID", cell: ({ snapshot }) => snapshot.id },
  { title: "CREATED", cell: ({ snapshot }) => formatTime(snapshot.createdAt) },
  { title: "STATE", cell: ({ snapshot }) => enumWord(snapshot.state, "SNAPSHOT_STATE") },
  { title: "QUIESCED", cell: ({ snapshot }) => (snapshot.quiesced ? "yes" : "no") },
  { title: "MEMORY", cell: ({ snapshot }) => memoryOf(snapshot) },
  { title: "PRESENT", cell: ({ snapshot }) => (snapshot.current ? "based on it" : "") },
  { title: "DESCRIPTION", cell: ({ snapshot }) => printable(snapshot.description), spare: true },
];

export const showSnapshot: Command = async (session, [vm = "", snapshot = ""]) => {
  const agent = await session.agent();
  const found = await agent.ask(agent.contract.snapshots.GetSnapshot, { vm, snapshot });
  const fields: [string, string][] = [
    ["name", printable(found.name)],
    ["id", found.id],
    ["description", printable(found.description)],
    ["parent", found.parentId],
    ["created", formatTime(found.createdAt)],
    ["state", enumWord(found.state, "SNAPSHOT_STATE")],
    ["quiesced", found.quiesced ? "yes" : "no"],
    ["memory", memoryOf(found)],
    ["present disks", found.current ? "based on it" : "based on another"],
    ["disks", found.disks.map((disk) => printable(disk)).join(", ")],
  ];
  session.show(found, () => renderFields(fields, session.paint));
  return undefined;
};
