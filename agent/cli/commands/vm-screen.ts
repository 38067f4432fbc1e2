import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { access, constants } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import type { OpenScreenRequest } from "../../gen/socle/v1/OpenScreenRequest.ts";
import type { OpenScreenResponse__Output } from "../../gen/socle/v1/OpenScreenResponse.ts";
import { SocleError } from "../../kernel/errors.ts";
import { messageOf, succeeds } from "../../kernel/thrown.ts";
import { interrupted, usageError } from "../errors.ts";
import { printable } from "../format.ts";
import { isOwnPeer } from "../local-peer.ts";
import type { Command, Session } from "../session.ts";

interface Options {
  readonly port?: number;
  /** false: --no-viewer. */
  readonly viewer?: string | boolean;
}

type Screen = ClientDuplexStream<OpenScreenRequest, OpenScreenResponse__Output>;

const HOST = "127.0.0.1";
/** The first port of VNC's displays. */
const FIRST_PORT = 5900;

/** Each with the arguments for a port. */
const viewers: Readonly<Record<string, (port: number) => readonly string[]>> = {
  "remote-viewer": (port) => [`vnc://${HOST}:${port}`],
  vncviewer: (port) => [`${HOST}::${port}`],
  gvncviewer: (port) => [`${HOST}:${port - FIRST_PORT}`],
};

/**
 * Opens the screen, then serves it on a port of this machine to one viewer of this user, and ends with that. The screen is
 * open before the viewer starts: what refuses it is an error of this command.
 */
export const openScreen: Command<Options> = async (session, [vm = ""], options) => {
  const agent = await session.agent();
  const { ticket } = await agent.ask(agent.contract.screens.CreateScreenTicket, { vm });
  const stream = agent.open(agent.contract.screens.OpenScreen);
  stream.on("error", () => undefined);
  try {
    stream.write({ vm, ticket });
    const greeting = await firstData(stream);
    await serve(session, { vm, stream, greeting }, options);
  } catch (thrown) {
    throw agent.failure(thrown);
  } finally {
    stream.cancel();
  }
  return undefined;
};

async function firstData(stream: Screen): Promise<Buffer> {
  const first = await new Promise<OpenScreenResponse__Output>((resolve, reject) => {
    stream.once("data", resolve);
    stream.once("error", reject);
    stream.once("end", () =>
      reject(
        new SocleError("unavailable", "STREAM_ENDED", "the screen was closed; is the VM still running?"),
      ),
    );
  });
  stream.pause();
  return first.data;
}

async function serve(
  session: Session,
  { vm, stream, greeting }: { readonly vm: string; readonly stream: Screen; readonly greeting: Buffer },
  options: Options,
): Promise<void> {
  const server = createServer({ pauseOnConnect: true });
  const ended = new AbortController();
  let viewer: ChildProcess | undefined;
  try {
    const port = await listening(server, options.port ?? 0);
    const program = await viewerOf(session, options.viewer ?? true);
    const url = `vnc://${HOST}:${port}`;
    if (session.json) session.printJson({ vm, url, port, viewer: program?.name ?? null }, true);
    else if (program === undefined) session.print(`${url}\n`);
    if (!session.json)
      session.note(
        `Screen of ${printable(vm)} for one viewer of this user; it ends with the viewer or Ctrl-C.`,
      );
    viewer = program?.start(port);
    const over = [onceAborted(session.interrupt, ended.signal), screenEnd(stream)];
    if (viewer !== undefined) over.push(viewerEnd(viewer));
    const socket = await Promise.race([ownConnection(server, session), ...over]);
    if (!(socket instanceof Object)) return;
    server.close();
    await Promise.race([relay(stream, socket, greeting), ...over.slice(0, 2)]);
    socket.destroy();
  } finally {
    ended.abort();
    server.close();
    viewer?.kill();
  }
}

async function listening(server: Server, port: number): Promise<number> {
  try {
    server.listen(port, HOST);
    await once(server, "listening");
  } catch (thrown) {
    throw usageError(`--port ${port} cannot be used: ${messageOf(thrown)}`);
  }
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}

/** Other users of this machine can reach the port too: their connections are closed. */
function ownConnection(server: Server, session: Session): Promise<Socket> {
  return new Promise((resolve) => {
    server.on("connection", (socket) => {
      socket.on("error", () => undefined);
      void isOwnPeer(socket, session.io.env).then((isOwn) => {
        if (isOwn) {
          resolve(socket);
          return;
        }
        session.note("A connection of another user of this machine was refused.");
        socket.destroy();
      });
    });
  });
}

function relay(stream: Screen, socket: Socket, greeting: Buffer): Promise<void> {
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
    socket.on("data", (data) => {
      if (stream.write({ data })) return;
      socket.pause();
      stream.once("drain", () => socket.resume());
    });
    stream.on("data", ({ data }: OpenScreenResponse__Output) => {
      if (socket.write(data)) return;
      stream.pause();
      socket.once("drain", () => stream.resume());
    });
    socket.write(greeting);
    socket.resume();
    stream.resume();
  });
}

/** Resolves when the screen ends as it may: with the VM. Rejects with the agent's reason. */
const screenEnd = (stream: Screen): Promise<undefined> =>
  new Promise((resolve, reject) => {
    stream.once("end", () => resolve(undefined));
    stream.once("error", reject);
  });

const viewerEnd = (viewer: ChildProcess): Promise<undefined> =>
  new Promise((resolve, reject) => {
    viewer.once("exit", () => resolve(undefined));
    viewer.once("error", (error) => reject(usageError(`the viewer does not start: ${messageOf(error)}`)));
  });

const onceAborted = (interrupt: AbortSignal, ended: AbortSignal): Promise<undefined> =>
  new Promise((resolve, reject) => {
    const onAbort = (): void => reject(interrupted());
    if (interrupt.aborted) onAbort();
    interrupt.addEventListener("abort", onAbort, { once: true });
    ended.addEventListener("abort", () => {
      interrupt.removeEventListener("abort", onAbort);
      resolve(undefined);
    });
  });

interface Viewer {
  readonly name: string;
  start(port: number): ChildProcess;
}

/** Undefined: none is wanted, or none can be started. */
async function viewerOf({ io }: Session, wanted: string | boolean): Promise<Viewer | undefined> {
  if (wanted === false) return undefined;
  if (typeof wanted === "string") return viewerNamed(wanted);
  if ((io.env["DISPLAY"] ?? io.env["WAYLAND_DISPLAY"] ?? "") === "") return undefined;
  for (const name of Object.keys(viewers))
    for (const directory of (io.env["PATH"] ?? "").split(":"))
      if (await succeeds(access(join(directory, name), constants.X_OK))) return viewerNamed(name);
  return undefined;
}

function viewerNamed(program: string): Viewer {
  const name = program.split("/").at(-1) ?? program;
  const argumentsFor = viewers[name] ?? viewers["vncviewer"];
  return {
    name,
    start: (port) => spawn(program, argumentsFor?.(port) ?? [], { stdio: ["ignore", "ignore", "inherit"] }),
  };
}
