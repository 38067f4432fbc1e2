import type { Operation__Output } from "../../gen/socle/v1/Operation.ts";
import { withOptions } from "../errors.ts";
import { conclude, follow } from "../follow.ts";
import { enumWord, formatAge, formatDuration, printable, toMs } from "../format.ts";
import type { Paint } from "../io.ts";
import { fromStatus } from "../rpc-error.ts";
import type { Command } from "../session.ts";
import { transferText } from "../transfer.ts";
import { renderFields, renderTable, type Column } from "../table.ts";

export const listOperations: Command = async (session, _args, options) => {
  const agent = await session.agent();
  const vm = options.vm as string | undefined;
  // Operations have VM ids; people know VM names.
  const vmId = vm === undefined ? "" : (await agent.ask(agent.contract.vms.GetVm, { vm })).vmId;
  const limit = options.limit as number;
  const operations: Operation__Output[] = [];
  for (let pageToken = ""; ;) {
    const page = await agent.ask(agent.contract.operations.ListOperations, {
      pageSize: limit - operations.length,
      pageToken,
      vmId,
      onlyRunning: options.running === true,
    });
    operations.push(...page.operations);
    pageToken = page.nextPageToken;
    if (pageToken === "" || operations.length >= limit) break;
  }
  if (session.json) session.printJson({ operations });
  else if (operations.length === 0) session.print("no operations\n");
  else session.print(renderTable(operationColumns(operations, session.nowMs()), operations, session.paint));
};

export const operationColumns = (
  operations: readonly Operation__Output[],
  nowMs: number,
): Column<Operation__Output>[] => [
  ...columns(nowMs),
  ...(operations.some(({ person, ticket, breakGlass }) => person + ticket + breakGlass !== "")
    ? whoAndWhy
    : []),
];

/** A field that callers may leave out. */
const whoAndWhy: Column<Operation__Output>[] = [
  { title: "WHO", cell: ({ person }) => person || "-" },
  { title: "WHY", cell: ({ ticket, breakGlass }) => breakGlass || ticket || "-" },
];

const columns = (nowMs: number): Column<Operation__Output>[] => [
  { title: "OPERATION", cell: ({ operationId }) => operationId },
  { title: "KIND", cell: ({ kind }) => kind },
  {
    title: "STATE",
    cell: ({ state }) => enumWord(state, "STATE"),
    paint: (text, { state }, paint) => paint(stateColour(state), text),
  },
  { title: "STEP", cell: ({ steps }) => steps.at(-1)?.name ?? "-" },
  { title: "PROGRESS", cell: ({ progress }) => `${Math.round(progress * 100)}%`, align: "right" },
  { title: "AGE", cell: ({ createdAt }) => formatAge(createdAt, nowMs), align: "right" },
  { title: "TOOK", cell: took, align: "right" },
  { title: "VM", cell: subjectOf },
];

/** What it changes: a VM by its id, an image, or a volume. */
const subjectOf = ({ vmId, imageId, volume }: Operation__Output): string =>
  printable(vmId || (imageId === "" ? `volume ${volume}` : `image ${imageId}`));

function stateColour(state: Operation__Output["state"]): "green" | "red" | "yellow" {
  if (state === "STATE_SUCCEEDED") return "green";
  return state === "STATE_FAILED" ? "red" : "yellow";
}

function took({ createdAt, endedAt }: Operation__Output): string {
  const endedMs = toMs(endedAt);
  return endedMs === undefined ? "-" : formatDuration(endedMs - (toMs(createdAt) ?? endedMs));
}

export const showOperation: Command = async (session, args) => {
  const agent = await session.agent();
  const operation = await agent.ask(agent.contract.operations.GetOperation, { operationId: args[0] ?? "" });
  if (session.json) {
    session.printJson(operation);
    return undefined;
  }
  const error = operation.error === null ? undefined : fromStatus(agent.contract, operation.error);
  session.print(
    renderOperation(
      operation,
      error && `${error.reason}: ${withOptions(error.message)}`,
      session.paint,
      session.nowMs(),
    ),
  );
  return undefined;
};

/** Advice for an operation that shows no end. */
function withoutEndHint(
  { operationId, state, endDecided }: Operation__Output,
  error: string | undefined,
): [string, string][] {
  if (state !== "STATE_OUTCOME_UNKNOWN") return [];
  if (endDecided)
    return [
      ["end", "decided; it shows once libvirt or the state directory records it"],
      ["meanwhile", "other changes of this VM are accepted"],
      ["to do", "wait; if it lasts, socle doctor shows what cannot record it. Do not settle it"],
    ];
  if (error?.startsWith("SWITCH_NOT_SHOWN:") === true)
    return [
      ["meanwhile", "other changes of this VM are refused (OPERATION_UNSETTLED)"],
      ["to do", "wait until libvirt answers; socle doctor shows why it does not. Do not settle it"],
    ];
  const toDo = /^(MOVE|MERGE)_IN_DOUBT:/.test(error ?? "")
    ? "decide as the error says. Do not settle it as done"
    : `wait; or look at the VM and run: socle operations settle ${operationId} --as done|not-done`;
  return [
    ["meanwhile", "other changes of this VM are refused (OPERATION_UNSETTLED)"],
    ["to do", toDo],
  ];
}

/** One operation with its steps. */
function renderOperation(
  operation: Operation__Output,
  error: string | undefined,
  paint: Paint,
  nowMs: number,
): string {
  const fields: [string, string][] = [
    ["operation", operation.operationId],
    ["request id", printable(operation.requestId)],
    ["kind", operation.kind],
    ["vm", operation.vmId],
    ["image", operation.imageId],
    ["volume", printable(operation.volume)],
    ["instance", printable(operation.instance)],
    ["caller", printable(operation.caller)],
    ["person", printable(operation.person)],
    ["ticket", printable(operation.ticket)],
    ["break-glass", printable(operation.breakGlass)],
    ["state", paint(stateColour(operation.state), enumWord(operation.state, "STATE"))],
    ["cancelled by", printable(operation.cancelledBy)],
    ["begun", `${formatAge(operation.createdAt, nowMs)} ago`],
    ["took", took(operation)],
    ["copied", transferText(operation)],
    ["error", error === undefined ? "" : paint("red", printable(error))],
    ...withoutEndHint(operation, error),
    ...Object.entries(operation.result).map(([key, value]): [string, string] => [
      printable(key),
      printable(value),
    ]),
  ];
  if (operation.steps.length === 0) return renderFields(fields, paint);
  const steps = renderTable(
    [
      { title: "STEP", cell: ({ name }) => name },
      { title: "OUTCOME", cell: ({ outcome }) => outcome || "under way" },
      {
        title: "TOOK",
        cell: ({ startedAt, endedAt }) =>
          formatDuration((toMs(endedAt) ?? nowMs) - (toMs(startedAt) ?? nowMs)),
        align: "right",
      },
    ],
    operation.steps,
    paint,
  );
  return `${renderFields(fields, paint)}\n${steps}`;
}

export const waitOperation: Command = async (session, args, options) => {
  const agent = await session.agent();
  const begun = await agent.ask(agent.contract.operations.GetOperation, { operationId: args[0] ?? "" });
  conclude(session, agent, await follow(session, agent, begun, options.timeout as number | undefined));
};

export const settleOperation: Command = async (session, args, options) => {
  const agent = await session.agent();
  const operation = await agent.ask(agent.contract.operations.SettleOperation, {
    operationId: args[0] ?? "",
    outcome: options.as === "done" ? "OUTCOME_DONE" : "OUTCOME_NOT_DONE",
  });
  if (session.json) session.printJson(operation);
  else session.print(`${operation.kind} ${subjectOf(operation)}: ${enumWord(operation.state, "STATE")}\n`);
};

export const cancelOperation: Command = async (session, args, options) => {
  const agent = await session.agent();
  const cancelling = await agent.ask(agent.contract.operations.CancelOperation, {
    operationId: args[0] ?? "",
  });
  const ended =
    options.wait === false
      ? cancelling
      : await follow(session, agent, cancelling, options.timeout as number | undefined);
  session.show(ended, () => `${ended.kind} ${subjectOf(ended)}: ${enumWord(ended.state, "STATE")}\n`);
};
