import { status } from "@grpc/grpc-js";
import type { Issued } from "../scheduler/authority.ts";
import { callTo, flags, frame, frames, headerBlock, message, preface } from "./attack-frames.ts";
import { connected } from "./attack-connection.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Try } from "./attack-runner.ts";
import type { TLSSocket } from "node:tls";
import { setTimeout as pause } from "node:timers/promises";

const LIST_VMS = "/socle.v1.VmService/ListVms";
/** The bytes that one caller may leave unread, plus one reply. */
export const MOST_HELD_BYTES = 9 * 2 ** 20;
/** SETTINGS_INITIAL_WINDOW_SIZE of 0: the agent may send no byte of a reply. */
const noWindow = Buffer.from([0, 4, 0, 0, 0, 0]);

/** Callers that do not read their replies, and requests that are not messages of the contract. */
export function unread(stage: Stage, by: Issued): Try[] {
  return [
    { what: "replies into an empty flow-control window", attack: () => holdsAnswers(stage, by) },
    ...[Buffer.from([0x0f]), Buffer.from([0x12, 0xff, 0xff, 0xff]), Buffer.alloc(64, 0xff)].map(
      (bytes, at) => ({
        what: `a request that is not a message, number ${at + 1}`,
        attack: () => isInvalid(stage, by, bytes),
      }),
    ),
  ];
}

async function isInvalid(stage: Stage, by: Issued, bytes: Buffer): Promise<Outcome> {
  const caller = stage.callerOf(by);
  try {
    const { code } = await caller.call("/socle.v1.VmService/GetVm", bytes, { timeoutMs: 10_000 });
    return code === status.INVALID_ARGUMENT ? "refused" : { letThrough: `answered ${status[code]}` };
  } finally {
    caller.close();
  }
}

/** Fills every call permit on several connections and reads no reply. */
async function holdsAnswers(stage: Stage, by: Issued): Promise<Outcome> {
  const sockets = await Promise.all(Array.from({ length: 8 }, () => silent(stage, by)));
  try {
    for (const socket of sockets)
      for (let at = 0; at < 64; at += 1) {
        const stream = 1 + 2 * at;
        socket.write(frame(frames.headers, flags.endHeaders, stream, headerBlock(callTo(LIST_VMS))));
        socket.write(frame(frames.data, flags.endStream, stream, message(Buffer.alloc(0))));
      }
    await pause(1000);
    const bytes = await heldBytes(stage);
    return bytes <= MOST_HELD_BYTES ? "inert" : { letThrough: `${bytes} bytes of replies are held` };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/** A connection that grants no flow-control window for replies. */
async function silent(stage: Stage, by: Issued): Promise<TLSSocket> {
  const socket = await connected(stage, by);
  socket.resume();
  socket.write(Buffer.concat([preface, frame(frames.settings, 0, 0, noWindow)]));
  return socket;
}

export async function heldBytes({ host }: Stage): Promise<number> {
  const text = await (await fetch(`http://${host.agent.metricsAddress}/metrics`)).text();
  const [, bytes] = /^socle_api_replies_unread_bytes (\S+)$/m.exec(text) ?? [];
  if (bytes === undefined) throw new Error("there is no socle_api_replies_unread_bytes");
  return Number(bytes);
}
