import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { XdrReader, XdrWriter, type Codec } from "../../../agent/libvirt/rpc/xdr.ts";
import type { EventProcedure, Procedure } from "../../../agent/libvirt/rpc/procedure.ts";
import { remoteError } from "../../../agent/libvirt/rpc/errors.ts";
import * as p from "../../../agent/libvirt/protocol/index.ts";

export const REMOTE = 0x20008086;
export const KEEPALIVE = 0x6b656570;
const PING = 1;
const PONG = 2;

export interface Words {
  readonly program?: number;
  readonly version?: number;
  readonly procedure: number;
  readonly type: number;
  readonly serial?: number;
  readonly status?: number;
  /** Overrides the true length. */
  readonly length?: number;
}

/** A frame written by hand, independently of the code under test. */
export function frame(words: Words, body: Uint8Array = new Uint8Array(0)): Buffer {
  const head = Buffer.alloc(28);
  head.writeUInt32BE(words.length ?? 28 + body.byteLength, 0);
  head.writeUInt32BE(words.program ?? REMOTE, 4);
  head.writeUInt32BE(words.version ?? 1, 8);
  head.writeInt32BE(words.procedure, 12);
  head.writeInt32BE(words.type, 16);
  head.writeUInt32BE(words.serial ?? 0, 20);
  head.writeInt32BE(words.status ?? 0, 24);
  return Buffer.concat([head, body]);
}

export function encoded<T>(codec: Codec<T>, value: T): Buffer {
  const writer = new XdrWriter();
  codec.encode(writer, value);
  return writer.take();
}

export function errorBody(code: number, message: string, int1 = 0): Buffer {
  const absent = { dom: null, str1: null, str2: null, str3: null, net: null };
  return encoded(remoteError, { code, domain: 10, message, level: 2, int1, int2: 0, ...absent });
}

/** One message of the client. */
export class Received {
  readonly client: Client;
  readonly program: number;
  readonly procedure: number;
  readonly type: number;
  readonly serial: number;
  readonly status: number;
  readonly body: Buffer;

  constructor(client: Client, bytes: Buffer) {
    this.client = client;
    this.program = bytes.readUInt32BE(4);
    this.procedure = bytes.readInt32BE(12);
    this.type = bytes.readInt32BE(16);
    this.serial = bytes.readUInt32BE(20);
    this.status = bytes.readInt32BE(24);
    this.body = bytes.subarray(28);
  }

  args<A>(procedure: Procedure<A, unknown>): A {
    return procedure.args.decode(new XdrReader(this.body));
  }

  reply(body: Uint8Array = new Uint8Array(0), status = 0): void {
    this.client.send(this.replyFrame(body, status));
  }

  replyFrame(body: Uint8Array = new Uint8Array(0), status = 0): Buffer {
    return frame({ ...this.#header(), type: 1, status }, body);
  }

  fail(code: number, message = `error ${code}`): void {
    this.reply(errorBody(code, message), 1);
  }

  /** A message of the stream that this call opened. */
  stream(status: number, body: Uint8Array = new Uint8Array(0), type = 3): void {
    this.client.send(frame({ ...this.#header(), type, status }, body));
  }

  #header(): { program: number; procedure: number; serial: number } {
    return { program: this.program, procedure: this.procedure, serial: this.serial };
  }
}

export class Client {
  readonly socket: Socket;
  readonly received: Received[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  event<T>(event: EventProcedure<T>, body: T): void {
    this.send(frame({ procedure: event.number, type: 2 }, encoded(event.body, body)));
  }

  /** The requested events, by procedure number. */
  callsOf(number: number): Received[] {
    return this.received.filter(({ procedure, program }) => procedure === number && program === REMOTE);
  }
}

type Handler = (message: Received) => void;

/**
 * A daemon for behaviour that a real one cannot be made to show. It opens sessions as libvirt does; handlers
 * answer everything else, by procedure number, and calls without a handler are ignored.
 */
export class FakeDaemon {
  readonly socketPath: string;
  readonly clients: Client[] = [];
  readonly #server: Server;
  readonly #handlers = new Map<number, Handler>();
  /** Answers calls without a handler; by default they are not answered. */
  otherwise: Handler | undefined;
  /** Whether it answers keepalive pings, as a live daemon does. */
  answersPings = false;
  #callbackId = 0;

  private constructor(socketPath: string) {
    this.socketPath = socketPath;
    this.#server = createServer((socket) => this.#serve(socket));
    this.on(p.authList, (call) => call.reply(encoded(p.authList.result, { types: [] })));
    this.on(p.connectOpen, (call) => call.reply());
    this.on(p.connectGetVersion, (call) =>
      call.reply(encoded(p.connectGetVersion.result, { hvVer: 10_000_000 })),
    );
    this.on(p.connectSupportsFeature, (call) => {
      call.reply(encoded(p.connectSupportsFeature.result, { supported: true }));
    });
    this.libVersion(11_003_000);
    for (const register of [
      p.connectDomainEventCallbackRegisterAny,
      p.connectNetworkEventRegisterAny,
      p.connectStoragePoolEventRegisterAny,
      p.connectNodeDeviceEventRegisterAny,
      p.connectSecretEventRegisterAny,
    ]) {
      this.on(register, (call) => {
        this.#callbackId += 1;
        call.reply(encoded(register.result, { callbackId: this.#callbackId }));
      });
    }
  }

  /** `owner` ends it: a test or a bench. */
  static async start(
    owner: { after(cleanup: () => Promise<void>): void },
    options: { socketPath?: string } = {},
  ): Promise<FakeDaemon> {
    const directory = await mkdtemp(join(tmpdir(), "socle-fake-"));
    const daemon = new FakeDaemon(options.socketPath ?? join(directory, "libvirt-sock"));
    owner.after(async () => {
      daemon.dropAll();
      daemon.#server.close();
      await rm(directory, { recursive: true, force: true });
    });
    await daemon.listen();
    return daemon;
  }

  async listen(): Promise<void> {
    this.#server.listen(this.socketPath);
    await once(this.#server, "listening");
  }

  /** Refuses new clients; the socket is removed. */
  async refuseClients(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.dropAll();
    await closed;
  }

  get uri(): string {
    return `qemu:///system?socket=${this.socketPath}`;
  }

  on(procedure: { readonly number: number }, handler: Handler): void {
    this.#handlers.set(procedure.number, handler);
  }

  libVersion(libVer: number): void {
    this.on(p.connectGetLibVersion, (call) => call.reply(encoded(p.connectGetLibVersion.result, { libVer })));
  }

  /** Clients whose connection is open. */
  get open(): Client[] {
    return this.clients.filter(({ socket }) => !socket.destroyed);
  }

  dropAll(): void {
    for (const { socket } of this.clients) socket.destroy();
  }

  #serve(socket: Socket): void {
    const client = new Client(socket);
    this.clients.push(client);
    let pending = Buffer.alloc(0);
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 4 && pending.length >= pending.readUInt32BE(0)) {
        const length = pending.readUInt32BE(0);
        const message = new Received(client, Buffer.from(pending.subarray(0, length)));
        pending = pending.subarray(length);
        client.received.push(message);
        if (message.program === KEEPALIVE && message.procedure === PING && this.answersPings)
          client.send(frame({ program: KEEPALIVE, procedure: PONG, type: 2 }));
        if (message.program === REMOTE) (this.#handlers.get(message.procedure) ?? this.otherwise)?.(message);
      }
    });
  }
}
