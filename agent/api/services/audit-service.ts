import { matches, textMatcher, type AuditLog } from "../../audit/index.ts";
import { SocleError } from "../../kernel/errors.ts";
import { pageBytes } from "../../kernel/text/message-bytes.ts";
import type { AuditServiceHandlers } from "../../gen/socle/v1/AuditService.ts";
import type { ListAuditEntriesRequest__Output } from "../../gen/socle/v1/ListAuditEntriesRequest.ts";
import type { ListAuditEntriesResponse } from "../../gen/socle/v1/ListAuditEntriesResponse.ts";
import { fromTimestamp } from "../convert/time.ts";
import type { Methods } from "./handler.ts";
import type { Caller } from "../auth/identity.ts";
import { afterIdOf, pageSize, pageToken } from "../limits/paging.ts";

export type AuditReader = Pick<AuditLog, "page" | "checkpoint" | "state">;

export const auditService = (audit: AuditReader): Methods<AuditServiceHandlers> => ({
  ListAuditEntries: (request, { caller }) => listEntries(audit, withTenant(request, caller)),
  SignCheckpoint: () => audit.checkpoint(),
});

/** Restricts a tenant's caller to its own entries. */
function withTenant(
  request: ListAuditEntriesRequest__Output,
  { tenant }: Caller,
): ListAuditEntriesRequest__Output {
  if (tenant === undefined) return request;
  if (request.tenant === "" || request.tenant === tenant) return { ...request, tenant };
  throw new SocleError("denied", "TENANT_DENIED", `your certificate is restricted to the tenant ${tenant}`);
}

async function listEntries(
  audit: AuditReader,
  request: ListAuditEntriesRequest__Output,
): Promise<ListAuditEntriesResponse> {
  const { pageToken: token, pageSize: asked, ...query } = request;
  const after = Number(afterIdOf(token, query) ?? request.afterSequence);
  const through = audit.state.sequence;
  const limit = pageSize(asked);
  const { tenant, vm, since, until } = query;
  const filter = {
    tenant,
    vm,
    sinceMs: since === null ? -Infinity : fromTimestamp(since),
    untilMs: until === null ? Infinity : fromTimestamp(until),
  };
  const { entries, read, oldest } = await audit.page({
    after,
    through,
    limit,
    bytes: pageBytes,
    mayBeWanted: textMatcher(filter),
    isWanted: (entry) => matches(entry, filter),
  });
  return {
    entries: entries.map(({ previous, ...entry }) => ({ ...entry, previousHash: previous })),
    nextPageToken: read < through ? pageToken(String(read), query) : "",
    oldestSequence: oldest,
    newestSequence: through,
  };
}
