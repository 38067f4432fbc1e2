import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { eventually } from "../support/wait.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme } from "./attack-runner.ts";

/** The duration of an attack while others are answered; the agent's deadline for silent connections is 10 s. */
export const LASTS_MS = 25_000;
const CONNECTIONS = 5000;
/** This process's descriptors; each connection takes one, and other work takes some. */
const MOST_SOCKETS = 15_000;
const AGAIN_MS = 200;
const ANSWER_WITHIN_MS = 20_000;

export interface Held {
  readonly count: number;
  readonly lastsMs: number;
  readonly open: () => Socket;
  readonly drip: (socket: Socket, at: number) => void;
  /** Runs repeatedly while the connections are open; a success of the attacker ends it. */
  readonly meanwhile?: () => Promise<Outcome>;
}

/** Silent connections on every listener: the operator still connects over the socket, and the log stays short. */
export function halfOpen(stage: Stage, scale: number): Promise<Theme> {
  const count = Math.round(CONNECTIONS * scale);
  const lastsMs = Math.max(1000, LASTS_MS * scale);
  const { socketPath } = stage.host.agent;
  const toSocket = (): Socket => connect(socketPath);
  const toTcp = (): Socket => connect({ host: "127.0.0.1", port: stage.port });
  let turn = 0;
  const toBoth = (): Socket => ((turn += 1) % 2 === 0 ? toSocket() : toTcp());
  const listeners: readonly (readonly [where: string, open: () => Socket])[] = [
    ["the socket", toSocket],
    ["TCP", toTcp],
    ["both at once", toBoth],
  ];
  const tries = listeners.map(([where, open]) => ({
    what: `${count} half-open connections to ${where}, while the operator calls`,
    attack: () => letsOperatorIn(stage, { count, lastsMs, open, drip: () => undefined }),
  }));
  return Promise.resolve({ name: "halfOpen", tries });
}

async function letsOperatorIn(stage: Stage, held: Held): Promise<Outcome> {
  const { agent } = stage.host;
  const startMs = performance.now();
  const seen = agent.log.length;
  const outcome = await holds(stage, { ...held, meanwhile: () => operatorIsAnswered(stage) });
  const seconds = Math.ceil((performance.now() - startMs) / 1000);
  const lines = agent.log.slice(seen).filter(({ msg }) => msg.startsWith("a connection was refused"));
  const reasons = new Set(lines.map(({ reason }) => reason));
  // One line a second for each reason of each of the two listeners.
  const most = 2 * reasons.size * (seconds + 1);
  if (lines.length > most) return { letThrough: `${lines.length} lines of log in ${seconds} s` };
  return outcome;
}

/** Over a new connection, which may need a retry among so many others. */
async function operatorIsAnswered(stage: Stage): Promise<Outcome> {
  const answered = async (): Promise<boolean> => {
    const operator = stage.onSocket();
    try {
      const { path } = stage.contract.host.GetHost;
      return (await operator.call(path, Buffer.alloc(0), { timeoutMs: ANSWER_WITHIN_MS })).code === status.OK;
    } finally {
      operator.close();
    }
  };
  return await eventually(answered, {
    what: "a reply to the operator",
    timeoutMs: ANSWER_WITHIN_MS,
  }).then(
    () => "refused" as const,
    (thrown: unknown) => ({ letThrough: `the operator is refused: ${String(thrown)}` }),
  );
}

/** Opens many connections and keeps them open for a while, with a few bytes on each now and then. */
export async function holds(
  stage: Stage,
  { count, lastsMs, open, drip, meanwhile = () => Promise.resolve("refused") }: Held,
): Promise<Outcome> {
  const sockets = new Set<Socket>();
  let closed = 0;
  const endMs = performance.now() + lastsMs;
  const add = (): void => {
    const socket = open();
    socket.on("error", () => undefined);
    socket.once("close", () => {
      closed += 1;
      sockets.delete(socket);
      // Closed connections are opened again.
      if (performance.now() < endMs) setTimeout(() => performance.now() < endMs && add(), AGAIN_MS);
    });
    socket.resume();
    sockets.add(socket);
  };
  const most = Math.min(count, MOST_SOCKETS);
  for (let made = 0; made < most; made += 1) {
    add();
    // As fast as this process can without delaying its own legitimate client.
    if (made % 100 === 99) await pause(5);
  }
  let found = await meanwhile();
  for (let at = 0; performance.now() < endMs && typeof found === "string"; at += 1) {
    for (const socket of sockets) if (!socket.connecting && socket.writable) drip(socket, at);
    await pause(500);
    found = await meanwhile();
  }
  for (const socket of sockets) socket.destroy();
  stage.run.log(`${most} connections, of which ${closed} were ended`);
  if (typeof found !== "string") return found;
  return closed > 0 ? "refused" : "inert";
}
