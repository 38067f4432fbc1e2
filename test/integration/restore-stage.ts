import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { RestoreDiskRequest } from "../../agent/gen/socle/v1/RestoreDiskRequest.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import type { SocleHost } from "../support/socle-host.ts";

export const MIB = 2 ** 20;

export interface Restoration {
  readonly disk?: string;
  readonly moreDisks?: readonly string[];
  readonly sha256?: string;
  readonly sizeBytes?: number;
  readonly requestId?: string;
  /** Called once these many bytes are sent; the stream stays open. */
  readonly pauseAt?: { readonly bytes: number; readonly act: (begun: Operation__Output) => Promise<void> };
}

/** Sends a file to a disk. The operation once it has ended, or as it began if the stream was cut. */
export async function restoreDisk(
  host: Pick<SocleHost, "client" | "end">,
  vm: string,
  bytes: Buffer,
  {
    sha256 = createHash("sha256").update(bytes).digest("hex"),
    sizeBytes = bytes.length,
    requestId = randomUUID(),
    disk = "root",
    moreDisks = [],
    pauseAt,
  }: Restoration = {},
): Promise<Operation__Output> {
  const { client } = host;
  const stream = client.open(client.contract.backups.RestoreDisk);
  stream.on("error", () => undefined);
  try {
    const answers: AsyncIterator<Operation__Output> = stream[Symbol.asyncIterator]();
    stream.write({ requestId, vm, disk, sha256, sizeBytes, moreDisks: [...moreDisks] });
    const begun = await answers.next();
    if (begun.done === true) throw new Error("no answer");
    const { value } = begun;
    const paused = send(stream, bytes, pauseAt && { ...pauseAt, act: () => pauseAt.act(value) });
    if (pauseAt === undefined) return await host.end(value);
    await paused;
    return value;
  } catch (thrown) {
    throw client.failure(thrown);
  } finally {
    stream.cancel();
  }
}

/** An agent that has refused the bytes reads no more of them. */
async function send(
  stream: ClientDuplexStream<RestoreDiskRequest, Operation__Output>,
  bytes: Buffer,
  pauseAt: { readonly bytes: number; readonly act: () => Promise<void> } | undefined,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += 128 * 1024) {
    if (pauseAt !== undefined && at >= pauseAt.bytes) {
      await pauseAt.act();
      return;
    }
    if (stream.destroyed) return;
    if (!stream.write({ content: bytes.subarray(at, at + 128 * 1024) }))
      await once(stream, "drain").catch(() => undefined);
  }
  stream.end();
}

/** A VM with one disk of its own. */
export const oneDisk = (name: string, capacityBytes = 16 * MIB): VmSpec => ({
  name,
  vcpus: 1,
  memoryBytes: 32 * MIB,
  accelerator: "ACCELERATOR_TCG",
  disks: [
    {
      name: "root",
      newVolume: {
        pool: "images",
        capacityBytes,
      },
    },
  ],
});
