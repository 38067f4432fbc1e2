import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { SocleError } from "../../kernel/errors.ts";
import type { CreateVmRequest } from "../../gen/socle/v1/CreateVmRequest.ts";
import type { Operation__Output } from "../../gen/socle/v1/Operation.ts";
import type { RestoreDiskRequest } from "../../gen/socle/v1/RestoreDiskRequest.ts";
import type { VmSpec } from "../../gen/socle/v1/VmSpec.ts";
import type { Agent } from "../client.ts";
import { interrupted } from "../errors.ts";
import { follow } from "../follow.ts";
import type { Session } from "../session.ts";
import { openChain, verifyFile, type OpenSource } from "./backup-directory.ts";
import { ByteProgress } from "./byte-progress.ts";
import { chainOf, type StoredBackup, type StoredDisk } from "./manifest.ts";
import { isUnanswered, remark, requireSuccess, succeed } from "./operation.ts";
import type { Qcow2Chain } from "./qcow2-file.ts";
import { imageBytes, qcow2Image } from "../../kernel/qcow2/qcow2-image.ts";
import type { RestorePlan } from "./restore-plan.ts";

interface Options {
  readonly start?: boolean;
}

export interface Restored {
  readonly vmId: string;
  readonly name: string;
  readonly backup: StoredBackup;
  /** What the VM has not. */
  readonly notes: readonly string[];
}

/** For the deletion of the VM after an interrupt. */
const CLEANUP_MS = 30_000;
/** A message has at most 256 KiB. */
const CHUNK_BYTES = 128 * 1024;

/** Throws as CreateVm does for this VM. */
export async function requireCreatable(session: Session, { spec }: RestorePlan): Promise<void> {
  const agent = await session.agent();
  const ask = { spec, leaveStopped: true, validateOnly: true, requestId: randomUUID() };
  requireSuccess(agent, await agent.ask(agent.contract.vms.CreateVm, ask));
}

/** Makes a VM of a backup. A failure deletes it again. Nothing is sent before all files were read and compared. */
export async function restoreBackup(
  session: Session,
  plan: RestorePlan,
  options: Options,
): Promise<Restored> {
  const { spec, disks, notes, backup, files, openSource } = plan;
  const agent = await session.agent();
  await requireCreatable(session, plan);
  await verify(session, openSource, files);
  for (const note of notes) remark(session, note);
  const request = { spec, leaveStopped: true, requestId: randomUUID() };
  const begun = await agent.ask(agent.contract.vms.CreateVm, request).catch(async (thrown: unknown) => {
    if (isUnanswered(thrown)) await discard(session, request);
    throw thrown;
  });
  const { vmId } = begun;
  try {
    requireSuccess(agent, await follow(session, agent, begun, undefined));
    for (const [index, disk] of disks.entries()) {
      const moreDisks = disks.slice(index + 1).map((more) => more.disk);
      await restoreDisk(session, agent, plan, { vm: vmId, moreDisks }, disk);
    }
  } catch (thrown) {
    await discard(session, request);
    throw thrown;
  }
  if (options.start === true)
    await succeed(session, agent, ({ vms }) => vms.StartVm, { vm: vmId, placementEpoch: 0 });
  return { vmId, name: spec.name ?? "", backup, notes };
}

async function verify(session: Session, openSource: OpenSource, files: readonly StoredDisk[]): Promise<void> {
  const progress = new ByteProgress(
    session,
    "verify",
    files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  );
  let isDone = false;
  try {
    for (const file of files)
      await verifyFile(openSource, file, (bytes) => progress.add(bytes), session.interrupt);
    isDone = true;
  } finally {
    progress.end(isDone);
  }
}

/** The disk as one file, whose size is known before. */
interface Flat {
  readonly sizeBytes: number;
  /** Each call reads the files again. */
  readonly bytes: () => AsyncIterable<Buffer>;
}

async function flatten(chain: Qcow2Chain): Promise<Flat> {
  const map = await chain.map();
  return { sizeBytes: imageBytes(map), bytes: () => qcow2Image(map, (index) => chain.cluster(index)) };
}

async function restoreDisk(
  session: Session,
  agent: Agent,
  { manifest, openSource, passphrase }: RestorePlan,
  of: Pick<RestoreDiskRequest, "vm" | "moreDisks">,
  stored: StoredDisk,
): Promise<void> {
  const { disk } = stored;
  const chain = await openChain(openSource, chainOf(manifest, stored), passphrase);
  try {
    const { sizeBytes, bytes } = await flatten(chain);
    const hash = createHash("sha256");
    await counted(session, `read ${disk}`, sizeBytes, async (progress) => {
      for await (const chunk of progress.count(bytes())) {
        if (session.interrupt.aborted) throw interrupted();
        hash.update(chunk);
      }
    });
    const request = { requestId: randomUUID(), ...of, disk, sha256: hash.digest("hex"), sizeBytes };
    await counted(session, `send ${disk}`, sizeBytes, async (progress) => {
      await upload(session, agent, request, progress.count(bytes()));
    });
  } finally {
    await chain.close();
  }
}

async function counted(
  session: Session,
  what: string,
  total: number,
  work: (progress: ByteProgress) => Promise<void>,
): Promise<void> {
  const progress = new ByteProgress(session, what, total);
  let isDone = false;
  try {
    await work(progress);
    isDone = true;
  } finally {
    progress.end(isDone);
  }
}

/** Sends the bytes and waits for the end of the operation, which may come before it has read them all. */
async function upload(
  session: Session,
  agent: Agent,
  request: RestoreDiskRequest,
  bytes: AsyncIterable<Buffer>,
): Promise<void> {
  const stream = agent.open(agent.contract.backups.RestoreDisk);
  const stop = (): void => stream.cancel();
  session.interrupt.addEventListener("abort", stop, { once: true });
  try {
    const answers: AsyncIterator<Operation__Output> = stream[Symbol.asyncIterator]();
    stream.write(request);
    const begun = await answers.next();
    if (begun.done === true)
      throw new SocleError("unavailable", "STREAM_ENDED", "the agent ended the upload");
    const unread = new Promise<never>((_resolve, reject) => {
      void send(stream, bytes).catch(reject);
    });
    requireSuccess(agent, await Promise.race([ended(agent, begun.value), unread]));
  } catch (thrown) {
    throw agent.failure(thrown);
  } finally {
    session.interrupt.removeEventListener("abort", stop);
    stream.on("error", () => undefined);
    stream.cancel();
  }
}

/** Without lines of its own: the bytes are shown. */
async function ended(agent: Agent, begun: Operation__Output): Promise<Operation__Output> {
  if (begun.done) return begun;
  const { WatchOperations } = agent.contract.operations;
  for await (const operation of agent.watch(WatchOperations, { operationId: begun.operationId }))
    if (operation.done) return operation;
  throw new SocleError("unavailable", "STREAM_ENDED", "the agent ended the connection");
}

/** Throws only if a file cannot be read: where the stream fails, the operation has the error to report. */
async function send(
  stream: ClientDuplexStream<RestoreDiskRequest, Operation__Output>,
  bytes: AsyncIterable<Buffer>,
): Promise<void> {
  for await (const chunk of bytes)
    for (let at = 0; at < chunk.length; at += CHUNK_BYTES) {
      if (stream.destroyed) return;
      const content = chunk.subarray(at, at + CHUNK_BYTES);
      if (!stream.write({ content })) await once(stream, "drain").catch(() => undefined);
    }
  stream.end();
}

/** Deletes the VM that the request makes, also after an interrupt. */
async function discard(
  session: Session,
  request: CreateVmRequest & { readonly spec: VmSpec },
): Promise<void> {
  const aside = session.aside(AbortSignal.timeout(CLEANUP_MS));
  try {
    const agent = await aside.agent();
    const { operations, vms } = agent.contract;
    // A refusal now shows that it was never accepted.
    const begun = await agent.ask(vms.CreateVm, request).catch((thrown: unknown) => {
      if (isUnanswered(thrown)) throw thrown;
    });
    if (begun === undefined) return;
    const { operationId, vmId } = begun;
    // Its creation may not have ended: a VM that appears later would stay.
    if (!begun.done) {
      await agent.ask(operations.CancelOperation, { operationId }).catch(() => undefined);
      await ended(agent, await agent.ask(operations.GetOperation, { operationId }));
    }
    await succeed(aside, agent, () => vms.DeleteVm, { vm: vmId });
  } catch (thrown) {
    if (thrown instanceof SocleError && thrown.kind === "not_found") return;
    const { vmId, name } = request.spec;
    remark(session, `VM ${name} may be left: socle vm rm ${vmId}`);
  } finally {
    await aside.close();
  }
}
