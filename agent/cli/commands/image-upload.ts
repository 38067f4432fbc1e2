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
    // The operation's own error is the one to report: the sending may fail first.
    void send(stream, file).catch(() => undefined);
    conclude(session, agent, await follow(session, agent, begun.value, timeout), request.name);
  } catch (thrown) {
    throw agent.failure(thrown);
  } finally {
    session.interrupt.removeEventListener("abort", stop);
    stream.on("error", () => undefined);
    stream.cancel();
  }
}

async function send(
  stream: ClientDuplexStream<UploadImageRequest, Operation__Output>,
  file: string,
): Promise<void> {
  for await (const content of createReadStream(file, { highWaterMark: CHUNK_BYTES })) {
    if (stream.destroyed) return;
    if (!stream.write({ content: content as Buffer })) await once(stream, "drain");
  }
  stream.end();
}

async function sizeOf(file: string): Promise<number> {
  const found = await stat(file).catch((cause: unknown) => {
    const why = codeOf(cause) === "ENOENT" ? "there is no such file" : (codeOf(cause) ?? "");
    throw new SocleError("invalid", "FILE_UNREADABLE", `${file} cannot be read: ${why}`, { cause });
  });
  if (found.isFile()) return found.size;
  throw new SocleError("invalid", "FILE_UNREADABLE", `${file} is no file`);
}

async function digestOf(session: Session, file: string, sizeBytes: number): Promise<string> {
  session.note(`  computing the SHA-256 of ${formatBytes(sizeBytes)}`);
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
