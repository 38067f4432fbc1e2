/**
 * The hardware helper. socle-hardware.service runs it with rights that the agent lacks. It serves only the queries
 * of `Answers`, over the socket that systemd passes. A separate file without libraries, so that the code with those
 * rights stays short enough to review.
 */
import { createServer, type Socket } from "node:net";
import { Answers } from "./answers.ts";
import { errorCode } from "../reading.ts";
import { systemRoots } from "../roots.ts";
import { messageOf } from "../../kernel/thrown.ts";

/** sd_listen_fds(3). */
const SOCKET_FD = 3;
const MAX_CONNECTIONS = 8;
const MAX_QUESTION_BYTES = 64;
const QUESTION_TIMEOUT_MS = 5000;
/** Exit when idle this long: systemd starts the helper again for the next query. */
const IDLE_MS = 10 * 60_000;

// By default, this signal makes Node open its debugger.
process.on("SIGUSR1", () => undefined);

const answers = new Answers(systemRoots);
const server = createServer(serve);
server.maxConnections = MAX_CONNECTIONS;
server.listen({ fd: SOCKET_FD });
const idle = setTimeout(() => process.exit(0), IDLE_MS);

function serve(socket: Socket): void {
  idle.refresh();
  const gone = new AbortController();
  let question = "";
  const timer = setTimeout(() => socket.destroy(), QUESTION_TIMEOUT_MS);
  const take = (piece: string): void => {
    question += piece;
    const end = question.indexOf("\n");
    if (end < 0 && question.length <= MAX_QUESTION_BYTES) return;
    clearTimeout(timer);
    socket.off("data", take);
    void reply(socket, question.slice(0, end < 0 ? MAX_QUESTION_BYTES : end), gone.signal);
  };
  socket.setEncoding("utf8").on("data", take);
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    clearTimeout(timer);
    gone.abort();
  });
}

async function reply(socket: Socket, question: string, signal: AbortSignal): Promise<void> {
  let document: object;
  try {
    document = { answer: (await answers.answer(question, signal).output).stdout };
  } catch (cause) {
    const message = messageOf(cause);
    const reason = cause instanceof Error && "reason" in cause ? String(cause.reason) : "NOT_READ";
    document = { error: { reason, message, code: errorCode(cause) } };
    // The agent reports failed reads. Log unknown queries, which only another client would send.
    if (reason === "QUESTION_UNKNOWN") process.stderr.write(`refused: ${JSON.stringify(question)}\n`);
  }
  if (!socket.destroyed) socket.end(JSON.stringify(document));
}
