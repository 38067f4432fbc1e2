import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { SocleError } from "../../kernel/errors.ts";
import { codeOf } from "../../kernel/thrown.ts";
import type { Operation__Output } from "../../gen/socle/v1/Operation.ts";
import type { UploadImageRequest } from "../../gen/socle/v1/UploadImageRequest.ts";
import { usageError } from "../errors.ts";
import { conclude, follow, type MutationOptions } from "../follow.ts";
import { formatBytes } from "../format.ts";
import type { Session } from "../session.ts";

/** A message has at most 256 KiB. */
const CHUNK_BYTES = 128 * 1024;

/** Sends a file as an image, and follows its operation to the end. Without a digest, the file's is computed before. */
export async function uploadImage(
  session: Session,
  options: MutationOptions,
  file: string,
  request: Omit<UploadImageRequest, "requestId" | "sizeBytes" | "content">,
): Promise<void> {
  if (options.wait === false) throw usageError("--no-wait is for URLs: a file is sent by this command");
  const sizeBytes = await sizeOf(file);
  const sha256 = request.sha256 || (await digestOf(session, file, sizeBytes));
  const agent = await session.agent();
  const stream = agent.open(agent.contract.images.UploadImage);
  const stop = (): void => stream.cancel();
  session.interrupt.addEventListener("abort", stop, { once: true });
  try {
    const answers: AsyncIterator<Operation__Output> = stream[Symbol.asyncIterator]();
    const { requestId = randomUUID(), timeout } = options;
    stream.write({ ...request, sha256, requestId, sizeBytes });
    const begun = await answers.next();
    if (begun.done === true)
      throw new SocleError("unavailable", "STREAM_ENDED", "the agent ended the upload");
    const unread = new Promise<never>((_resolve, reject) => {
      void send(stream, file).catch(reject);
    });
    const ended = await Promise.race([follow(session, agent, begun.value, timeout), unread]);
    conclude(session, agent, ended, request.name);
  } catch (thrown) {
    throw agent.failure(thrown);
  } finally {
    session.interrupt.removeEventListener("abort", stop);
    stream.on("error", () => undefined);
    stream.cancel();
  }
}

/** Throws only if the file cannot be read: where the stream fails, the operation has the error to report. */
async function send(
  stream: ClientDuplexStream<UploadImageRequest, Operation__Output>,
  file: string,
): Promise<void> {
  try {
    for await (const content of createReadStream(file, { highWaterMark: CHUNK_BYTES })) {
      if (stream.destroyed) return;
      if (!stream.write({ content: content as Buffer })) await once(stream, "drain").catch(() => undefined);
    }
  } catch (cause) {
    throw unreadable(file, codeOf(cause) ?? "", cause);
  }
  stream.end();
}

async function sizeOf(file: string): Promise<number> {
  const found = await stat(file).catch((cause: unknown) => {
    throw unreadable(
      file,
      codeOf(cause) === "ENOENT" ? "there is no such file" : (codeOf(cause) ?? ""),
      cause,
    );
  });
  if (found.isFile()) return found.size;
  throw new SocleError("invalid", "FILE_UNREADABLE", `${file} is no file`);
}

const unreadable = (file: string, why: string, cause: unknown): SocleError =>
  new SocleError("invalid", "FILE_UNREADABLE", `${file} cannot be read: ${why}`, { cause });

async function digestOf(session: Session, file: string, sizeBytes: number): Promise<string> {
  session.note(`  computing the SHA-256 of ${formatBytes(sizeBytes)}`);
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  } catch (cause) {
    throw unreadable(file, codeOf(cause) ?? "", cause);
  }
  return hash.digest("hex");
}
