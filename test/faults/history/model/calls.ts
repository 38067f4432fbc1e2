/** All calls of the model, and the delivery of their results and errors to a client. */
import { libvirtError } from "../../../../agent/libvirt/rpc/errors.ts";
import { connectGetAllDomainStats, type Procedure } from "../../../../agent/libvirt/index.ts";
import { XdrReader, XdrWriter } from "../../../../agent/libvirt/rpc/xdr.ts";
import { deviceCalls } from "./devices.ts";
import { domainCalls } from "./domains.ts";
import { objectCalls } from "./objects.ts";
import { saveCalls } from "./saves.ts";
import { statisticsCalls } from "./statistics.ts";
import { storageCalls } from "./storage.ts";
import { Refusal, type Entry } from "./world.ts";

const entries = new Map<string, Entry>(
  [...domainCalls, ...deviceCalls, ...saveCalls, ...statisticsCalls, ...storageCalls, ...objectCalls].map(
    (entry) => [entry.procedure.name, entry],
  ),
);

/** Every call of the model, by libvirt's name. */
export const modelledProcedures: readonly string[] = [...entries.keys()];

/** Calls with separate workers: `@priority: high` in remote_protocol.x. */
export const isPriority = ({ procedure }: Entry): boolean =>
  procedure.onlyReads && !passesQueue.has(procedure.name);
const passesQueue: ReadonlySet<string> = new Set(["DOMAIN_GET_METADATA"]);

export function entryOf({ name }: Procedure<never, never> | Procedure<unknown, unknown>): Entry {
  const entry = entries.get(name);
  if (entry === undefined) throw new Error(`the model of libvirt has no ${name}: add it, and its try`);
  return entry;
}

export function errorOf(thrown: unknown, procedure: string): ReturnType<typeof libvirtError> {
  if (!(thrown instanceof Refusal)) throw thrown;
  const { code, errno: int1, message } = thrown;
  const nothing = { level: 2, dom: null, str1: null, str2: null, str3: null, int2: 0, net: null };
  return libvirtError({ code, domain: 10, message, int1, ...nothing }, procedure);
}

const writer = new XdrWriter();

/** A caller may decode a result from the wire into its own type. */
export function asDecoded(procedure: Procedure<unknown, unknown>, result: unknown): unknown {
  if (procedure.name !== connectGetAllDomainStats.name) return result;
  writer.truncate(0);
  connectGetAllDomainStats.result.encode(writer, result as never);
  return procedure.result.decode(new XdrReader(writer.take()));
}
