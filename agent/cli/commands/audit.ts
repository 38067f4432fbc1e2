import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  AuditKey,
  keyOfExport,
  parseCheckpoint,
  publicName,
  readHead,
  TenantExport,
  verifyExport,
  VerifyKey,
  verifyLog,
  type Checkpoint,
  type Entry,
  type Report,
} from "../../audit/index.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Moment } from "../moment.ts";
import { exitCodes, usageError, type ExitCode } from "../errors.ts";
import { printable } from "../format.ts";
import type { Command, Session } from "../session.ts";
import { renderTable, type Column } from "../table.ts";
import { codeOf, messageOf } from "../../kernel/thrown.ts";

type Options = Readonly<Record<string, unknown>>;

export const verifyAudit: Command = async (session, _args, options) => {
  if (typeof options.export === "string") return await verifyOne(session, options.export, options);
  if (typeof options.receipt === "string") return await verifyReceipt(session, options.receipt, options);
  const directory = await directoryOf(options);
  const key = await keyOf(directory, options);
  const anchors = await anchorsOf(options);
  const report = await readable(directory, () => verifyLog(directory, { key, anchors }));
  session.show({ ...report, key: key.fingerprint }, () => reportText(session, report, key));
  return report.problem === undefined ? exitCodes.ok : exitCodes.failed;
};

async function verifyOne(session: Session, path: string, options: Options): Promise<0 | 1> {
  const own = await readable(path, () => keyOfExport(path));
  const key = typeof options.key === "string" ? await readKey(options.key) : own;
  if (key === undefined) throw usageError(`${path} is not an export of an audit log`);
  const anchors = await anchorsOf(options);
  const report = await verifyExport(path, { key, anchors });
  const { problem, tenant, entries, first, last, marks, incomplete } = report;
  if (session.json) session.printJson({ ...report, key: key.fingerprint });
  else if (problem !== undefined)
    session.print(`${session.paint("red", "bad:")} ${path}:${problem.line}: ${printable(problem.what)}\n`);
  else
    session.print(
      `${session.paint("green", "good:")} ${entries} entries of ${printable(tenant)}, signed by ${key.fingerprint}\n` +
        (incomplete === undefined
          ? `${session.paint("green", "complete:")} entries ${first} to ${last} hold no other entries of ${printable(tenant)}, by its marks ${marks ?? ""}\n`
          : `${session.paint("red", "not known to be complete:")} ${incomplete}\n`),
    );
  if (options.key === undefined)
    session.note("the key is the export's own: compare its fingerprint with the host's, or give --key");
  return problem === undefined && incomplete === undefined ? exitCodes.ok : exitCodes.failed;
}

/** Checks the receipt of an operation that erased disks. */
async function verifyReceipt(session: Session, path: string, options: Options): Promise<0 | 1> {
  const key =
    typeof options.key === "string"
      ? await readKey(options.key)
      : await keyOf(await directoryOf(options), {});
  const [text, signature] = receiptIn(await readable(path, () => readFile(path, "utf8")));
  if (text === undefined || signature === undefined)
    throw usageError(`${path} has no receipt. Take it from: socle operations show ID --json`);
  const isGood = key.attests({ text, signature });
  if (session.json)
    session.printJson({ good: isGood, key: key.fingerprint, receipt: JSON.parse(text) as unknown });
  else if (isGood)
    session.print(`${session.paint("green", "good:")} signed by ${key.fingerprint}\n${text}\n`);
  else session.print(`${session.paint("red", "bad:")} ${key.fingerprint} did not sign this receipt\n`);
  return isGood ? exitCodes.ok : exitCodes.failed;
}

function receiptIn(json: string): [text?: string, signature?: string] {
  try {
    const { result } = JSON.parse(json) as { result?: Record<string, unknown> };
    const [text, signature] = [result?.["receipt"], result?.["receipt_signature"]];
    return typeof text === "string" && typeof signature === "string" ? [text, signature] : [];
  } catch {
    return [];
  }
}

function reportText(session: Session, report: Report, key: VerifyKey): string {
  const { first, last, signedThrough, checkpoints, tornBytes, problem } = report;
  const lines = [];
  if (problem !== undefined) {
    const place = problem.line === 0 ? problem.file : `${problem.file}:${problem.line}`;
    lines.push(`${session.paint("red", "bad:")} ${printable(problem.what)} (${place})`);
    lines.push(`entries ${first} to ${problem.sequence - 1} are good`);
  } else if (last === 0) lines.push("the log is empty");
  else {
    lines.push(`${session.paint("green", "good:")} entries ${first} to ${last}, ${checkpoints} checkpoints`);
    // The newest checkpoint is behind the last entry that it vouches for.
    const unsigned = last - signedThrough - 1;
    if (unsigned > 0) lines.push(`the newest ${unsigned} are not signed yet`);
    if (tornBytes > 0)
      lines.push(`one more is being written, or was cut short when the agent died (${tornBytes} bytes)`);
  }
  lines.push(`key ${key.fingerprint}`);
  return `${lines.join("\n")}\n`;
}

const isSaid = ({ caller }: Entry): boolean => (caller?.ticket ?? caller?.breakGlass) !== undefined;

export const showAudit: Command = async (session, _args, options) => {
  const directory = await directoryOf(options);
  const key = await keyOf(directory, options);
  const limit = options.limit as number;
  const isWanted = filterOf(session, options);
  let found: Entry[] = [];
  const report = await readable(directory, () =>
    verifyLog(directory, {
      key,
      onEntry({ entry }) {
        if (entry.act === "checkpoint" || !isWanted(entry)) return;
        found.push(entry);
        if (found.length >= 2 * limit) found = found.slice(-limit);
      },
    }),
  );
  found = found.slice(-limit);
  if (session.json) for (const entry of found) session.printJson(entry, true);
  else if (found.length === 0) session.print("no entries\n");
  else
    session.print(
      renderTable(
        [
          ...columns,
          ...(found.some((entry) => askedText(entry) !== "") ? [asked] : []),
          ...(found.some(isSaid) ? [why] : []),
        ],
        found,
        session.paint,
      ),
    );
  return verdictOn(session, report);
};

const columns: Column<Entry>[] = [
  { title: "ENTRY", cell: ({ sequence }) => String(sequence), align: "right" },
  { title: "TIME", cell: ({ time }) => time },
  { title: "WHO", cell: ({ caller }) => caller?.person ?? caller?.name ?? "-" },
  { title: "WHAT", cell: ({ act, method }) => method?.split("/").at(-1) ?? act },
  { title: "VM", cell: ({ vm, arguments: args }) => vm ?? String(args?.["spec.name"] ?? "-") },
  { title: "TENANT", cell: ({ tenant }) => tenant ?? "-" },
  {
    title: "OUTCOME",
    cell: ({ outcome, of, times }) =>
      `${outcome ?? "-"}${of === undefined ? "" : ` (${of})`}${times === undefined ? "" : ` x${times}`}`,
    paint: (text, { outcome }, paint) =>
      outcome === "allowed" || outcome === "done" || outcome === undefined ? text : paint("red", text),
  },
  { title: "REASON", cell: ({ reason }) => reason ?? "" },
];

/** The arguments besides the VM: on or off, the condition, force. */
const asked: Column<Entry> = { title: "ASKED", cell: askedText };

function askedText({ arguments: args = {} }: Entry): string {
  return Object.entries(args)
    .filter(([name]) => name !== "spec.name")
    .map(
      ([name, value]) =>
        `${name}=${String(value).replace(/^LIFECYCLE_STATE_(.*)/, (_, state: string) => state.toLowerCase())}`,
    )
    .join(" ");
}

const why: Column<Entry> = {
  title: "WHY",
  cell: ({ caller }) => caller?.breakGlass ?? caller?.ticket ?? "-",
};

export const exportAudit: Command = async (session, _args, options) => {
  const directory = await directoryOf(options);
  const key = await keyOf(directory, options);
  const { since, ...others } = options;
  const isLate = filterOf(session, { since });
  const isWanted = filterOf(session, others);
  const tenant = String(options.tenant);
  // A copy of the log is without the private key, and then without this proof.
  const own = await readable(directory, () => AuditKey.find(directory));
  const proof = own?.public.fingerprint === key.fingerprint ? own.proofOf(tenant) : undefined;
  const out = new TenantExport(tenant, { key, proof }, (line) => session.print(`${line}\n`));
  let hasBegun = false;
  const report = await readable(directory, () =>
    verifyLog(directory, {
      key,
      onEntry(followed, before) {
        hasBegun ||= isLate(followed.entry);
        if (hasBegun) out.add(before, followed, isWanted(followed.entry));
      },
    }),
  );
  out.finish();
  if (out.unsigned > 0)
    session.note(`${out.unsigned} entries are left out because they are not signed yet; retry in a second`);
  return verdictOn(session, report);
};

export const printCheckpoint: Command = async (session, _args, options) => {
  const directory = await directoryOf(options);
  const head = await readable(directory, () => readHead(directory));
  if (head === undefined)
    throw new SocleError("not_found", "AUDIT_NO_CHECKPOINT", `there is no checkpoint in ${directory} yet`);
  session.printJson(head, true);
  return exitCodes.ok;
};

/** The exit code; notes where the log stops being trustworthy. */
function verdictOn(session: Session, { problem }: Report): ExitCode {
  if (problem === undefined) return exitCodes.ok;
  session.note(`${session.paintNote("red", "not to be trusted further:")} ${printable(problem.what)}`);
  return exitCodes.failed;
}

function filterOf(session: Session, { since, who, vm, tenant, denied }: Options): (entry: Entry) => boolean {
  const from = since as Moment | undefined;
  const sinceMs = from === undefined ? 0 : "atMs" in from ? from.atMs : session.nowMs() - from.agoMs;
  return (entry) => {
    const { caller, arguments: args, outcome } = entry;
    if (Date.parse(entry.time) < sinceMs) return false;
    if (typeof who === "string" && ![caller?.name, caller?.person].some((name) => name?.includes(who)))
      return false;
    if (typeof vm === "string" && entry.vm !== vm && args?.["spec.name"] !== vm) return false;
    if (typeof tenant === "string" && entry.tenant !== tenant) return false;
    return denied !== true || outcome === "denied" || outcome === "refused";
  };
}

async function directoryOf({ directory, config }: Options): Promise<string> {
  if (typeof directory === "string") return directory;
  const { loadConfig } = await import("../../config/load.ts");
  return join((await loadConfig(String(config))).config.state.directory, "audit");
}

const keyOf = async (directory: string, { key }: Options): Promise<VerifyKey> =>
  await readKey(typeof key === "string" ? key : join(directory, publicName));

const readKey = async (path: string): Promise<VerifyKey> =>
  VerifyKey.fromPem(await readable(path, () => readFile(path, "utf8")));

const anchorsOf = async ({ checkpoint }: Options): Promise<Checkpoint[]> =>
  typeof checkpoint === "string" ? await readCheckpoints(checkpoint) : [];

/** One per line, as `socle audit checkpoint` prints them. */
async function readCheckpoints(path: string): Promise<Checkpoint[]> {
  const text = await readable(path, () => readFile(path, "utf8"));
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const found = lines.map((line) => {
    try {
      return parseCheckpoint(JSON.parse(line));
    } catch {
      return undefined;
    }
  });
  if (found.length === 0 || found.includes(undefined))
    throw usageError(`${path} holds a line that is not a checkpoint`);
  return found.filter((checkpoint) => checkpoint !== undefined);
}

/** Turns file system errors into messages for an operator. */
async function readable<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof SocleError) throw cause;
    const code = codeOf(cause);
    const why = messageOf(cause);
    if (code === "EACCES") {
      const message = `this user may not read ${path}: ${why}; run it as root`;
      throw new SocleError("denied", "AUDIT_DENIED", message, { cause });
    }
    const kind = code === "ENOENT" ? "not_found" : "internal";
    throw new SocleError(kind, "AUDIT_UNREADABLE", `${path} cannot be read: ${why}`, { cause });
  }
}
