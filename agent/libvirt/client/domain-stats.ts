import type { Procedure } from "../rpc/procedure.ts";
import { array, parameterLists, readAs, struct, type ParameterLists, type Value } from "../rpc/xdr.ts";
import { connectGetAllDomainStats, domain, type Domain } from "../protocol/index.ts";

/** REMOTE_CONNECT_GET_ALL_DOMAIN_STATS_MAX and REMOTE_DOMAIN_LIST_MAX of remote_protocol.x. */
const limits = { parameters: 262_144, domains: 16_384 };

/** The statistics of one domain. Valid during the callback only: the next record overwrites the lists. */
export interface DomainStatsLists {
  readonly dom: Domain;
  readonly params: ParameterLists;
}

/**
 * connectGetAllDomainStats, which passes each record to `take` as soon as it is read and keeps only what `take`
 * returns. The records of a thousand domains are many megabytes.
 */
export function allDomainStatsAs<T>(
  take: (record: DomainStatsLists) => T,
): Procedure<Value<typeof connectGetAllDomainStats.args>, { retStats: T[] }> {
  const record = struct({ dom: domain, params: parameterLists(limits.parameters) });
  const result = struct({ retStats: array(readAs(record, take), limits.domains) });
  return { ...connectGetAllDomainStats, result };
}
