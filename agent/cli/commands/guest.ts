import { readFile } from "node:fs/promises";
import { messageOf } from "../../kernel/thrown.ts";
import type { GuestInfo__Output } from "../../gen/socle/v1/GuestInfo.ts";
import { exitCodes, interrupted, usageError } from "../errors.ts";
import { formatAge, formatBytes, formatTime, printable, toDuration, toMs } from "../format.ts";
import { renderFields } from "../table.ts";
import type { Command, Session } from "../session.ts";

/** Above the agent's own deadline for a guest. */
const ANSWER_MS = 60_000;
const MOST_INPUT_BYTES = 64 * 1024;
const EXEC_MS = 30_000;

export const guestInfo: Command = async (session, [vm = ""]) => {
  const agent = await session.agent();
  const info = await agent.ask(agent.contract.guests.GetGuestInfo, { vm }, { timeoutMs: ANSWER_MS });
  session.show(info, () => renderFields(fieldsOf(info, session.nowMs()), session.paint));
  return undefined;
};

function fieldsOf(info: GuestInfo__Output, nowMs: number): [string, string][] {
  const ahead = (toMs(info.time) ?? nowMs) - nowMs;
  const size = (bytes: number | undefined): string => (bytes === undefined ? "?" : formatBytes(bytes));
  const fields: [string, string][] = [
    ["hostname", info.hostname],
    ["system", info.osName || info.osId],
    ["kernel", info.kernel],
    ["timezone", info.timezone],
    [
      "time",
      info.time === null
        ? ""
        : `${formatTime(info.time)}${Math.abs(ahead) > 2000 ? "  differs from the host's" : ""}`,
    ],
    ["agent", info.agentVersion],
    ...info.interfaces.map(({ name, mac, addresses }): [string, string] => [
      "interface",
      `${name}  ${mac}  ${addresses.join(" ")}`,
    ]),
    ...info.filesystems.map(({ mountPoint, type, usedBytes, totalBytes }): [string, string] => [
      "file system",
      `${mountPoint}  ${type}  ${size(usedBytes)} of ${size(totalBytes)}`,
    ]),
    ...info.users.map(({ name, loginAt }): [string, string] => [
      "user",
      `${name}  ${loginAt === null ? "" : `since ${formatAge(loginAt, nowMs)}`}`,
    ]),
  ];
  return fields.map(([name, value]) => [name, printable(value)]);
}

export const guestPassword: Command = async (session, [vm = "", user = ""], options) => {
  const { stdin } = session.io;
  const password =
    stdin.isTTY === true
      ? await prompted(session, `New password of ${printable(user)} in ${printable(vm)}: `)
      : await firstLine(session);
  if (password === "") throw usageError("the password is empty: type it, or pass it on stdin");
  const agent = await session.agent();
  const request = { vm, user, password, hashed: options["hashed"] === true };
  await agent.ask(agent.contract.guests.SetGuestPassword, request, { timeoutMs: ANSWER_MS });
  session.show({}, () => `password of ${printable(user)} in ${printable(vm)}: set\n`);
  return undefined;
};

export const guestSshKeys: Command = async (session, [vm = "", user = ""], options) => {
  const { keyFile: files = [], replace = false } = options as { keyFile?: string[]; replace?: boolean };
  if (files.length === 0 && !replace)
    throw usageError("name the keys with --key-file, or remove all with --replace");
  const texts = await Promise.all(files.map((file) => keyText(session, file)));
  const keys = texts
    .flatMap((text) => text.split("\n").map((line) => line.trim()))
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (keys.length === 0 && files.length > 0) throw usageError(`${files.join(", ")}: no key in it`);
  const agent = await session.agent();
  const request = { vm, user, keys, replace };
  await agent.ask(agent.contract.guests.SetGuestSshKeys, request, { timeoutMs: ANSWER_MS });
  const how = replace ? "set" : "added";
  session.show({}, () => `${keys.length} keys of ${printable(user)} in ${printable(vm)}: ${how}\n`);
  return undefined;
};

export const guestFreeze: Command = async (session, [vm = ""], options) => {
  const { for: forMs } = options as { for?: number };
  const timeout = forMs === undefined ? null : toDuration(forMs);
  const agent = await session.agent();
  const answer = await agent.ask(
    agent.contract.guests.FreezeFilesystems,
    { vm, timeout },
    { timeoutMs: ANSWER_MS },
  );
  session.show(answer, () => {
    const until = formatTime(answer.frozenUntil);
    return `${answer.filesystems} file systems frozen until ${until}; thaw them with: socle guest thaw ${printable(vm)}\n`;
  });
  return undefined;
};

export const guestThaw: Command = async (session, [vm = ""]) => {
  const agent = await session.agent();
  const answer = await agent.ask(agent.contract.guests.ThawFilesystems, { vm }, { timeoutMs: ANSWER_MS });
  session.show(answer, () => `${answer.filesystems} file systems thawed\n`);
  return undefined;
};

export const guestTrim: Command = async (session, [vm = ""]) => {
  const agent = await session.agent();
  const answer = await agent.ask(agent.contract.guests.TrimGuest, { vm }, { timeoutMs: ANSWER_MS });
  session.show(answer, () =>
    answer.filesystems.length === 0
      ? "nothing to trim\n"
      : answer.filesystems
          .map(({ mountPoint, trimmedBytes }) => `${printable(mountPoint)}: ${formatBytes(trimmedBytes)}\n`)
          .join(""),
  );
  return undefined;
};

export const guestSyncTime: Command = async (session, [vm = ""]) => {
  const agent = await session.agent();
  await agent.ask(agent.contract.guests.SyncGuestTime, { vm }, { timeoutMs: ANSWER_MS });
  session.show({}, () => `clock of ${printable(vm)}: set to the host's\n`);
  return undefined;
};

/** Exits 1 if the program did not exit with 0. */
export const guestExec: Command = async (session, given, options) => {
  // commander passes the last argument of a command as a list.
  const [vm = "", path = "", args = []] = given as readonly unknown[] as [string?, string?, string[]?];
  const { env = [], input, wait = EXEC_MS } = options as { env?: string[]; input?: boolean; wait?: number };
  const agent = await session.agent();
  const request = {
    vm,
    path,
    arguments: args,
    environment: env,
    input: input === true ? await wholeInput(session) : Buffer.alloc(0),
    timeout: toDuration(wait),
  };
  const timeoutMs = wait + ANSWER_MS;
  const ended = await agent.ask(agent.contract.guests.ExecInGuest, request, { timeoutMs });
  if (session.json) {
    session.printJson({ ...ended, output: textOf(ended.output), errorOutput: textOf(ended.errorOutput) });
  } else {
    const { stdout, stderr, isTTY } = session.io;
    stdout.write(isTTY ? shown(ended.output) : ended.output);
    stderr.write(stderr.isTTY === true ? shown(ended.errorOutput) : ended.errorOutput);
    if (ended.truncated) session.note("socle: the output is truncated");
  }
  if (ended.exitCode === 0) return undefined;
  const how =
    ended.exitCode === undefined ? `ended by signal ${ended.signal ?? "?"}` : `exited with ${ended.exitCode}`;
  session.note(`socle: ${printable(path)} ${how}`);
  return exitCodes.failed;
};

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");

/** A guest's output on a terminal, which it must not control. */
const shown = (bytes: Uint8Array): string =>
  textOf(bytes)
    .split("\n")
    .map((line) => line.replace(/\r$/, "").split("\t").map(printable).join("\t"))
    .join("\n");

async function keyText(session: Session, file: string): Promise<string> {
  if (file === "-") return (await wholeInput(session)).toString("utf8");
  try {
    return await readFile(file, "utf8");
  } catch (thrown) {
    throw usageError(`--key-file ${file} cannot be read: ${messageOf(thrown)}`);
  }
}

async function wholeInput({ io, interrupt }: Session): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const end = (): void => void io.stdin.destroy();
  interrupt.addEventListener("abort", end, { once: true });
  try {
    for await (const chunk of io.stdin as AsyncIterable<Buffer | string>) {
      const piece = Buffer.from(chunk as string);
      bytes += piece.length;
      if (bytes > MOST_INPUT_BYTES) throw usageError("stdin has more than 64 KiB");
      chunks.push(piece);
    }
  } catch (thrown) {
    throw interrupt.aborted ? interrupted() : thrown;
  } finally {
    interrupt.removeEventListener("abort", end);
  }
  if (interrupt.aborted) throw interrupted();
  return Buffer.concat(chunks);
}

const firstLine = async (session: Session): Promise<string> =>
  (await wholeInput(session)).toString("utf8").split(/\r?\n/, 1)[0] ?? "";

/** A line from the terminal, without its echo. */
async function prompted({ io, interrupt }: Session, question: string): Promise<string> {
  const { stdin, stderr } = io;
  stderr.write(question);
  stdin.setRawMode?.(true);
  try {
    return await new Promise<string>((resolve, reject) => {
      let typed = "";
      const stop = (): void => reject(interrupted());
      interrupt.addEventListener("abort", stop, { once: true });
      stdin.on("data", (keys: Buffer) => {
        for (const key of keys.toString("utf8")) {
          if (key === "\r" || key === "\n") resolve(typed);
          else if (key === "\u0003" || key === "\u0004") stop();
          else if (key === "\u007f" || key === "\b") typed = typed.slice(0, -1);
          else typed += key;
        }
      });
      stdin.once("end", stop);
    });
  } finally {
    stdin.removeAllListeners("data").removeAllListeners("end").pause();
    stdin.setRawMode?.(false);
    stderr.write("\n");
  }
}
