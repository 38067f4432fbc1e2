import type { AuditLog } from "../audit/index.ts";
import type { PersonVerifier } from "../api/auth/people.ts";
import { People } from "../trust/index.ts";
import type { Basis } from "./basis.ts";
import type { Hypervisor } from "./hypervisor.ts";
import type { State } from "./state.ts";

/** Identifies the person behind a caller. Its keys are not read yet. */
export function buildPeople({ config, clock, log }: Basis, { record }: State): People {
  const { keys, issuer, audience, maxAgeMinutes } = config.people;
  // The rules need keys, and those need an issuer and an audience (config/rules.ts).
  const rules = () => ({
    issuer: issuer ?? "",
    audiences: [audience, record.hostId].filter((name) => typeof name === "string"),
    maxAgeMs: maxAgeMinutes * 60_000,
  });
  return new People({ keys, rules, now: () => clock.now(), log: log.child({ component: "people" }) });
}

/** Reads the identity provider's keys. A replaced key can impersonate anyone, so the audit log records a change. */
export async function readPeopleKeys(people: People, audit: Pick<AuditLog, "note">): Promise<void> {
  const { changedTo, problem } = await people.reload();
  if (problem !== undefined) audit.note({ act: "identity_keys_changed", outcome: "failed", reason: problem });
  if (changedTo !== undefined)
    audit.note({ act: "identity_keys_changed", outcome: "done", details: { fingerprint: changedTo } });
}

export const personVerifier = (
  { config }: Basis,
  { events }: Pick<State, "events">,
  { people, host }: { people: People; host: Pick<Hypervisor["host"], "reports"> },
): PersonVerifier => ({
  rules: config.people,
  verify: (token) => people.verify(token),
  brokeGlass(use) {
    events.append({ kind: "break_glass", details: { ...use } });
    host.reports.reportBreakGlass(use);
  },
});
