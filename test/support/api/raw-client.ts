import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { connect } from "node:net";
import type { TestContext } from "node:test";

/** A message as gRPC frames it. */
export function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** A client that speaks HTTP/2 to the agent's socket, and controls its own windows. */
export class RawClient {
  readonly session: ClientHttp2Session;

  /** `windowBytes`: the bytes that it accepts of each stream's reply. */
  constructor(t: TestContext, socketPath: string, windowBytes: number) {
    this.session = connectHttp2("http://localhost", {
      createConnection: () => connect(socketPath),
      settings: { initialWindowSize: windowBytes },
    });
    this.session.on("error", () => undefined);
    t.after(() => this.session.destroy());
  }

  begin(path: string, message: Buffer): ClientHttp2Stream {
    const stream = this.session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => undefined);
    stream.end(framed(message));
    return stream;
  }

  /** The status of the call, in the headers of a reply without a body, or in the trailers. */
  async status(path: string, message: Buffer): Promise<number> {
    const stream = this.begin(path, message);
    return await new Promise((resolve, reject) => {
      const look = (headers: Record<string, unknown>): void => {
        if (headers["grpc-status"] !== undefined) resolve(Number(headers["grpc-status"]));
      };
      stream.on("response", look).on("trailers", look);
      stream.once("close", () => reject(new Error("the call ended without a status")));
      stream.resume();
    });
  }
}
