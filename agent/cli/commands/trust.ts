import { text as readAll } from "node:stream/consumers";
import { readFile } from "node:fs/promises";
import type { TrustState__Output } from "../../gen/socle/v1/TrustState.ts";
import { usageError } from "../errors.ts";
import { formatTime, printable } from "../format.ts";
import type { Command, Session } from "../session.ts";
import { SocleError } from "../../kernel/errors.ts";
import { defined } from "../../kernel/defined.ts";
import { messageOf } from "../../kernel/thrown.ts";

export const enroll: Command = async (session, _args, options) => {
  const token = await tokenOf(session, options);
  const agent = await session.agent();
  const address = String(options.scheduler);
  // The agent calls the scheduler in turn: twice its own deadline for that.
  const { authorityFingerprint } = options;
  const state = await agent.ask(
    agent.contract.trust.EnrollHost,
    defined({
      address,
      token,
      authorityFingerprint: typeof authorityFingerprint === "string" ? authorityFingerprint : undefined,
    }),
    { timeoutMs: 60_000 },
  );
  if (session.json) session.printJson(state);
  else session.print(`enrolled as ${printable(state.identity)}, until ${formatTime(state.notAfter)}\n`);
};

export const showTrust: Command = async (session) => {
  const agent = await session.agent();
  const state = await agent.ask(agent.contract.trust.GetTrust, {});
  session.show(state, () => trustText(state));
};

function trustText(state: TrustState__Output): string {
  if (state.trustDomain === "") return withoutTls(state);
  const lines = [`trust domain  ${state.trustDomain}`];
  if (state.identity === "") lines.push("identity      none yet");
  else {
    lines.push(`identity      ${state.identity}`, `serial        ${state.serial}`);
    lines.push(`valid         ${formatTime(state.notBefore)} to ${formatTime(state.notAfter)}`);
    lines.push(`renewal       ${state.renewsAt === null ? "not the agent's" : formatTime(state.renewsAt)}`);
    for (const fingerprint of state.authorityFingerprints) lines.push(`authority     ${fingerprint}`);
    const due =
      state.revocationsExpireAt === null ? "" : `, good until ${formatTime(state.revocationsExpireAt)}`;
    lines.push(`revoked       ${state.revoked} certificates on the list${due}`);
  }
  if (state.problem !== "") lines.push(`problem       ${state.problem}`);
  return lines.map((line) => `${printable(line)}\n`).join("");
}

const withoutTls = ({ insecureListen }: TrustState__Output): string =>
  insecureListen === ""
    ? "no trust domain is configured: no TLS, only the unix socket\n"
    : `no trust domain is configured: no TLS, the unix socket and ${printable(insecureListen)} ` +
      "(trust.insecureLoopback), where every process of this machine acts as a scheduler\n";

async function tokenOf(session: Session, options: Record<string, unknown>): Promise<string> {
  const { tokenFile } = options;
  if (typeof tokenFile !== "string") throw usageError("give --token-file");
  if (tokenFile === "-") return (await readAll(session.io.stdin)).trim();
  try {
    return (await readFile(tokenFile, "utf8")).trim();
  } catch (cause) {
    const why = messageOf(cause);
    throw new SocleError("invalid", "TOKEN_UNREADABLE", `the token cannot be read: ${why}`, { cause });
  }
}
