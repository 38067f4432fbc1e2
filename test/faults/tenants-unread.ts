import { connect, constants, type ClientHttp2Session, type IncomingHttpHeaders } from "node:http2";
import { status } from "@grpc/grpc-js";
import { fromStatus } from "../../agent/cli/rpc-error.ts";
import { eventually } from "../support/wait.ts";
import type { Outcome } from "./attack-runner.ts";
import type { Act } from "./tenants-act.ts";
import { MIB, type Tenant, type TenantsStage } from "./tenants-stage.ts";

/** The limit of one caller's unread replies. */
const MOST_UNTAKEN_BYTES = 8 * MIB;
/** The size of all requested replies, so that a limit of twice the size is detected. */
const TIMES_THE_BOUND = 2;
/** The agent's limit of calls on one connection. */
const STREAMS_PER_CONNECTION = 64;
/** This tests the memory of replies, not the number of calls. */
const AT_ONCE = 16;

export const unreading: Act = {
  dimension: "memory",
  what: "replies that the caller does not read",
  attack: leavesUnread,
};

/** Requests more than one caller may leave unread, and reads no byte of it. */
async function leavesUnread(stage: TenantsStage, tenant: Tenant): Promise<Outcome> {
  const { vms } = stage.contract;
  const request = { pageSize: 1000 };
  const { bytes, ...whole } = await tenant.caller.ask(vms.ListVms, request);
  if (bytes === undefined) return { letThrough: `its own list gets ${status[whole.code]}` };
  const most = MOST_UNTAKEN_BYTES;
  const asked = Math.ceil((TIMES_THE_BOUND * most) / bytes.length);
  const body = vms.ListVms.requestSerialize(request);
  const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), body]);
  const sessions: ClientHttp2Session[] = [];
  const heads: (IncomingHttpHeaders | undefined)[] = [];
  try {
    for (let made = 0; made < asked; made += AT_ONCE) {
      if (made % STREAMS_PER_CONNECTION === 0) sessions.push(silent(stage, tenant));
      const session = sessions.at(-1);
      if (session === undefined) throw new Error("there is no connection");
      const some = Array.from({ length: AT_ONCE }, () => headOf(session, vms.ListVms.path, frame));
      heads.push(...(await Promise.all(some)));
    }
    const reasons = heads.map((head) => (head === undefined ? "no answer" : reasonOf(stage, head)));
    const held = reasons.filter((reason) => reason === "").length * bytes.length;
    const refused = reasons.filter((reason) => reason === "REPLIES_NOT_READ").length;
    const others = reasons.filter((reason) => reason !== "" && reason !== "REPLIES_NOT_READ");
    if (held > most + bytes.length) return { letThrough: `${held} bytes of replies are held` };
    if (others.length > 0) return { letThrough: `answered ${[...new Set(others)].join()}` };
    if (refused === 0) return { letThrough: `none of ${heads.length} lists is refused` };
  } finally {
    for (const session of sessions) session.destroy();
  }
  // Its memory is released with its connections.
  const isLetInAgain = async (): Promise<boolean> =>
    (await tenant.caller.ask(vms.ListVms, { pageSize: 1 })).code === status.OK;
  await eventually(isLetInAgain, { what: `${tenant.name} to be admitted again` });
  return "refused";
}

/** A connection that lets only the headers of a reply arrive. */
function silent({ address, authority }: TenantsStage, { caller }: Tenant): ClientHttp2Session {
  const { issued } = caller;
  if (issued === undefined) throw new Error("the operator's reads succeed");
  const session = connect(`https://${address}`, {
    ca: authority.certificatePem,
    cert: issued.certificatePem,
    key: issued.keyPem,
    checkServerIdentity: () => undefined,
    settings: { initialWindowSize: 0 },
  });
  session.on("error", () => undefined);
  return session;
}

/** They arrive although the reply is not read: the agent has built it by then. */
function headOf(
  session: ClientHttp2Session,
  path: string,
  frame: Buffer,
): Promise<IncomingHttpHeaders | undefined> {
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => undefined);
  return new Promise((resolve) => {
    stream.once("response", resolve);
    stream.once("close", () => resolve(undefined));
    stream.end(frame);
  });
}

/** Empty if a reply follows. */
function reasonOf({ contract }: TenantsStage, head: IncomingHttpHeaders): string {
  const code = head["grpc-status"];
  if (code === undefined) return "";
  const details = head["grpc-status-details-bin"];
  if (typeof details !== "string") return `status ${String(code)}`;
  return fromStatus(contract, contract.status.deserialize(Buffer.from(details, "base64"))).reason;
}
