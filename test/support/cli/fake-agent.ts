import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import type { TestContext } from "node:test";
import type { status } from "@grpc/grpc-js";
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Contract } from "../../../agent/contract/load.ts";
import { runCli, type CliIo } from "../../../agent/cli/index.ts";
import type { EventServiceHandlers } from "../../../agent/gen/socle/v1/EventService.ts";
import type { GuestServiceHandlers } from "../../../agent/gen/socle/v1/GuestService.ts";
import type { HostServiceHandlers } from "../../../agent/gen/socle/v1/HostService.ts";
import type { ImageServiceHandlers } from "../../../agent/gen/socle/v1/ImageService.ts";
import type { OperationServiceHandlers } from "../../../agent/gen/socle/v1/OperationService.ts";
import type { ReservationServiceHandlers } from "../../../agent/gen/socle/v1/ReservationService.ts";
import type { NetworkServiceHandlers } from "../../../agent/gen/socle/v1/NetworkService.ts";
import type { ScreenServiceHandlers } from "../../../agent/gen/socle/v1/ScreenService.ts";
import type { BackupServiceHandlers } from "../../../agent/gen/socle/v1/BackupService.ts";
import type { SnapshotServiceHandlers } from "../../../agent/gen/socle/v1/SnapshotService.ts";
import type { StorageServiceHandlers } from "../../../agent/gen/socle/v1/StorageService.ts";
import type { TrustServiceHandlers } from "../../../agent/gen/socle/v1/TrustService.ts";
import type { VmServiceHandlers } from "../../../agent/gen/socle/v1/VmService.ts";

import { protos } from "../api/client.ts";
import { nowMs } from "./samples.ts";

export const protoDirectory = join(import.meta.dirname, "..", "..", "..", "proto");

/** The answers of a test's agent; methods without one are UNIMPLEMENTED. */
export interface FakeHandlers {
  readonly vms?: Partial<VmServiceHandlers>;
  readonly images?: Partial<ImageServiceHandlers>;
  readonly guests?: Partial<GuestServiceHandlers>;
  readonly host?: Partial<HostServiceHandlers>;
  readonly operations?: Partial<OperationServiceHandlers>;
  readonly events?: Partial<EventServiceHandlers>;
  readonly reservations?: Partial<ReservationServiceHandlers>;
  readonly trust?: Partial<TrustServiceHandlers>;
  readonly screens?: Partial<ScreenServiceHandlers>;
  readonly snapshots?: Partial<SnapshotServiceHandlers>;
  readonly backups?: Partial<BackupServiceHandlers>;
  readonly storage?: Partial<StorageServiceHandlers>;
  readonly networks?: Partial<NetworkServiceHandlers>;
}

/** Serves the handlers on its own unix socket; returns its path. Ends with the test. */
export async function fakeAgent(context: TestContext, handlers: FakeHandlers): Promise<string> {
  const server = new Server();
  const implemented = (given: object | undefined): UntypedServiceImplementation =>
    (given ?? {}) as UntypedServiceImplementation;
  server.addService(protos.vms, implemented(handlers.vms));
  server.addService(protos.images, implemented(handlers.images));
  server.addService(protos.guests, implemented(handlers.guests));
  server.addService(protos.host, implemented(handlers.host));
  server.addService(protos.operations, implemented(handlers.operations));
  server.addService(protos.events, implemented(handlers.events));
  server.addService(protos.reservations, implemented(handlers.reservations));
  server.addService(protos.trust, implemented(handlers.trust));
  server.addService(protos.screens, implemented(handlers.screens));
  server.addService(protos.snapshots, implemented(handlers.snapshots));
  server.addService(protos.backups, implemented(handlers.backups));
  server.addService(protos.storage, implemented(handlers.storage));
  server.addService(protos.networks, implemented(handlers.networks));
  const directory = await mkdtemp(join(tmpdir(), "socle-cli-"));
  const socket = join(directory, "agent.sock");
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
  context.after(async () => {
    server.forceShutdown();
    await rm(directory, { recursive: true, force: true });
  });
  return socket;
}

/** A gRPC error with google.rpc details, as the agent creates them. */
export function rpcError(
  contract: Contract,
  code: status,
  message: string,
  about: {
    readonly reason: string;
    readonly metadata?: Record<string, string>;
    readonly fields?: Record<string, string>;
    readonly retrySeconds?: number;
  },
): ServiceError {
  const metadata = new Metadata();
  metadata.set(
    "grpc-status-details-bin",
    contract.status.serialize(rpcStatus(contract, code, message, about)),
  );
  return Object.assign(new Error(message), { code, details: message, metadata });
}

export function rpcStatus(
  contract: Contract,
  code: status,
  message: string,
  about: Parameters<typeof rpcError>[3],
): { code: number; message: string; details: { type_url: string; value: Buffer }[] } {
  const any = (name: string, value: Buffer) => ({
    type_url: `type.googleapis.com/google.rpc.${name}`,
    value,
  });
  const { reason, metadata = {}, fields = {}, retrySeconds } = about;
  const fieldViolations = Object.entries(fields).map(([field, description]) => ({ field, description }));
  const details = [any("ErrorInfo", contract.errorInfo.serialize({ reason, domain: "socle", metadata }))];
  if (fieldViolations.length > 0) {
    details.push(any("BadRequest", contract.badRequest.serialize({ fieldViolations })));
  }
  if (retrySeconds !== undefined) {
    details.push(any("RetryInfo", contract.retryInfo.serialize({ retryDelay: { seconds: retrySeconds } })));
  }
  return { code, message, details };
}

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly socket?: string;
  readonly env?: Record<string, string>;
  readonly isTTY?: boolean;
  /** The terminal's columns. */
  readonly columns?: number;
  readonly isErrTTY?: boolean;
  readonly stdin?: CliIo["stdin"];
  readonly onStdout?: (text: string) => void;
}

/** Runs one command line and returns its output. */
export async function socle(line: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const out = collector(options.onStdout);
  if (options.columns !== undefined) Object.assign(out.stream, { columns: options.columns });
  const err = collector();
  const exitCode = await runCli(line, {
    stdout: out.stream,
    stderr: Object.assign(err.stream, { isTTY: options.isErrTTY ?? false }),
    stdin: options.stdin ?? new PassThrough().end(),
    env: { ...(options.socket === undefined ? {} : { SOCLE_SOCKET: options.socket }), ...options.env },
    isTTY: options.isTTY ?? false,
    startAgent: () => Promise.resolve(0),
    protoDirectory,
    version: "1.2.3",
    clock: { now: () => nowMs },
  });
  return { exitCode, stdout: out.text(), stderr: err.text() };
}

function collector(onText: (text: string) => void = () => undefined): {
  stream: Writable;
  text: () => string;
} {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      onText(chunk.toString());
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString() };
}
