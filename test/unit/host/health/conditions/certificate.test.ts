import assert from "node:assert/strict";
import test from "node:test";
import { configSchema } from "../../../../../agent/config/schema.ts";
import type { Reading } from "../../../../../agent/hardware/reading.ts";
import { certificateConditions } from "../../../../../agent/host/health/conditions/certificate.ts";
import { Health } from "../../../../../agent/host/health/health.ts";
import type { OwnCertificate } from "../../../../../agent/host/health/readers/certificate.ts";

const DAY = 86_400_000;
const startMs = Date.parse("2026-11-01T00:00:00Z");
/** Valid for ten days. */
const certificate = { notBeforeMs: startMs, notAfterMs: startMs + 10 * DAY };

/** The condition after a check of the certificate that many days after the start of the first one. */
function host(settings: { readonly certificateMinLifeRatio?: number } = {}) {
  const { CertificateExpiring } = certificateConditions({
    config: configSchema.parse({ health: settings }),
    offersKvm: () => undefined,
  });
  const health = new Health({
    rules: { CertificateExpiring },
    flapping: { flips: 3, withinMs: 1 },
    at: { wallMs: startMs, monotonicMs: 0 },
    onChange: () => undefined,
  });
  return (reading: Reading<OwnCertificate>, days: number): string => {
    const at = { wallMs: startMs + days * DAY, monotonicMs: days * DAY };
    health.judge("certificate", { last: () => reading } as never, at);
    const [found] = health.conditions;
    return `${found?.status} ${found?.effect} ${found?.reason}: ${found?.evidence}`;
  };
}

const read = (value: OwnCertificate) => ({ kind: "read", value }) as const;

test("a certificate that is not renewed degrades the host, and forbids new VMs once it has expired", () => {
  const look = host();
  assert.match(look(read(certificate), 5), /^false none Healthy: .*2026-11-11T00:00:00\.000Z/);
  assert.match(look(read(certificate), 7.4), /^false/);
  assert.match(
    look(read(certificate), 7.6),
    /^true degraded CertificateNotRenewed: the host's certificate ends 2026-11-11T00:00:00\.000Z, 24\.0% of its life is left/,
  );
  assert.match(
    look(read(certificate), 10.1),
    /^true no_schedule CertificateNotValid: .*; .*ended 2026-11-11/,
  );
  const next = { notBeforeMs: startMs + 10 * DAY, notAfterMs: startMs + 20 * DAY };
  assert.match(look(read(next), 10.2), /^false none Healthy/);
});

test("a certificate that is not valid yet is reported with its likely cause", () => {
  assert.match(
    host()(read(certificate), -1),
    /^true no_schedule CertificateNotValid: .*valid from 2026-11-01T00:00:00\.000Z: is its clock right\?/,
  );
});

test("the warning time is configurable; a host without a certificate has no such condition", () => {
  assert.match(host({ certificateMinLifeRatio: 0.6 })(read(certificate), 5), /^true degraded/);
  const none = { kind: "unsupported", reason: "there is no trust domain" } as const;
  assert.equal(host()(none, 5), "unknown none NotPresent: not present: there is no trust domain");
});

test("refused trust files and an expired revocation list degrade the host with their reason", () => {
  const { TrustRefused, RevocationsRolledBack, RevocationsExpired } = certificateConditions({
    config: configSchema.parse({}),
    offersKvm: () => undefined,
  });
  const health = new Health({
    rules: { TrustRefused, RevocationsRolledBack, RevocationsExpired },
    flapping: { flips: 3, withinMs: 1 },
    at: { wallMs: startMs, monotonicMs: 0 },
    onChange: () => undefined,
  });
  const look = (value: OwnCertificate, days: number): string[] => {
    const at = { wallMs: startMs + days * DAY, monotonicMs: days * DAY };
    health.judge("certificate", { last: () => read(value) } as never, at);
    return health.conditions.map(
      ({ type, status, reason, evidence }) => `${type} ${status} ${reason}: ${evidence}`,
    );
  };
  const [good, , fresh] = look({ ...certificate, revocationsUntilMs: startMs + DAY }, 0.5);
  assert.match(good ?? "", /^TrustRefused false/);
  assert.match(fresh ?? "", /^RevocationsExpired false .*good until 2026-11-02/);
  const worse = look(
    { ...certificate, revocationsUntilMs: startMs + DAY, problem: "ca.crl is foreign" },
    1.5,
  );
  assert.match(
    worse[0] ?? "",
    /^TrustRefused true TrustSetRefused: .*last good set stays in use: ca\.crl is foreign/,
  );
  assert.match(
    worse[2] ?? "",
    /^RevocationsExpired true RevocationListExpired: .*expired 2026-11-02.*stay in force/,
  );
  const older = look({ ...certificate, rolledBack: "the list is of May" }, 1.6);
  assert.equal(older[1], "RevocationsRolledBack true RevocationListOlder: the list is of May");
  const well = /TrustRefused false[^]*RolledBack false[^]*RevocationsExpired false/;
  assert.match(look(certificate, 2).join("\n"), well);
});
