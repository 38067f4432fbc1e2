import { createHash, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "../kernel/zod.ts";
import { Backoff } from "../kernel/concurrency/backoff.ts";
import type { Config } from "../config/schema.ts";
import type { Clock } from "../kernel/clock.ts";
import { readCredential, type Environment } from "../kernel/credentials.ts";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { makeDirectory } from "../kernel/make-directory.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import type { Certification__Output } from "../gen/socle/v1/Certification.ts";
import type { EnrollmentServiceDefinition } from "../gen/socle/v1/EnrollmentService.ts";
import { replaceFile } from "../state/journal/durable-file.ts";
import {
  authorityKeyOf,
  newHostKey,
  parseToken,
  proofOf,
  type Material,
  type PeerRules,
  type Trust,
  type TrustTexts,
} from "../trust/index.ts";
import { askAuthority, authorityAt } from "./authority-link.ts";
import { defined } from "../kernel/defined.ts";
import { codeOf } from "../kernel/thrown.ts";

interface EnrollmentOptions {
  /** The trust directory, and this host's domain. */
  readonly config: Pick<Config["trust"], "directory" | "domain" | "enrollAt">;
  readonly environment: Environment;
  readonly trust: Trust;
  readonly service: EnrollmentServiceDefinition;
  readonly identity: () => { readonly id: string; readonly hostname: string };
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The authority of the certificate in use, for its renewal. It is written before the certificates: after a crash in
 * between, the place of the authority in use applies.
 */
interface Place {
  readonly address: string;
  /** `authorityKeyOf` the authority; null in records of version 0.1.0. */
  readonly authority: string | null;
}
const recordSchema = z.union([
  z.strictObject({ version: z.literal(1), address: z.string() }).transform(({ address }) => {
    return [{ address, authority: null }];
  }),
  z
    .strictObject({
      version: z.literal(2),
      places: z.array(z.strictObject({ address: z.string(), authority: z.string().nullable() })).max(2),
    })
    .transform(({ places }) => places),
]);
const recordFile = "enrollment.json";
const LOOK_MS = 60_000;
const retry = { baseMs: 10_000, capMs: 600_000 };

/**
 * Obtains this host's certificate, on request or by a token from systemd, and renews it at half of its life, spread per
 * host. Failures are retried; guests and metrics do not depend on it.
 */
export class Enrollment implements Service {
  readonly name = "enrollment";
  readonly #options: EnrollmentOptions;
  readonly #log: Logger;
  #failure: SocleError | undefined;
  /** The place of the authority in use and, during another enrollment, the one before it. */
  #places: readonly Place[] = [];

  constructor(options: EnrollmentOptions) {
    this.#options = options;
    this.#log = options.log.child({ component: "enrollment" });
  }

  /** Why the last renewal failed; undefined if none did. */
  get failure(): SocleError | undefined {
    return this.#failure;
  }

  /** Wall clock; undefined when there is nothing to renew. */
  get renewsAtMs(): number | undefined {
    const { trust, identity } = this.#options;
    if (trust.material === undefined || this.#place === undefined) return undefined;
    return renewalMs(trust.material, identity().id);
  }

  get #place(): Place | undefined {
    const roots = this.#options.trust.material?.roots ?? [];
    return this.#places.find(
      ({ authority }) => authority === null || roots.some((root) => authorityKeyOf(root) === authority),
    );
  }

  /** The address for renewals; undefined where certificates are installed from outside. */
  get renewsFrom(): string | undefined {
    return this.#place?.address;
  }

  /**
   * `fingerprint`: of the authority, lower-case hexadecimal SHA-256; required on an enrolled host, since it replaces the
   * trusted authority; null: from the token. Throws `conflict` TRUST_OFF without a trust domain and
   * ALREADY_ENROLLED without a fingerprint, `invalid` TOKEN_INVALID, `denied` AUTHORITY_UNKNOWN, ENROLLMENT_REFUSED or as
   * `peerOf`, `unavailable` AUTHORITY_UNREACHABLE, `internal` CERTIFICATE_UNFIT for an answer that does not fit.
   */
  async enroll(
    address: string,
    tokenText: string,
    fingerprint: string | null,
    signal: AbortSignal,
  ): Promise<Material> {
    const { service, identity, trust, clock } = this.#options;
    const domain = this.#domain();
    const token = parseToken(tokenText);
    await trust.reload();
    if (fingerprint === null && trust.isEnrolled) throw alreadyEnrolled();
    if (fingerprint !== null && fingerprint !== token.authority) throw anotherAuthority(fingerprint);
    const authoritiesPem = await authorityAt(address, token.authority);
    const { id: hostId, hostname } = identity();
    const key = await newHostKey(hostname);
    const request = { token: token.text, hostId, hostname, certificateRequest: key.request };
    const authority = new X509Certificate(authoritiesPem);
    const roots = [authority];
    const rules = (): PeerRules => ({ domain, roots, revoked: trust.material?.revoked ?? new Set() });
    const { certification } = await askAuthority(
      { address, authoritiesPem, rules, clock },
      service.Enroll,
      request,
      signal,
    );
    const expected = { identity: `spiffe://${domain}/agent/${hostId}`, authority: token.authority };
    const before = this.#place === undefined ? [] : [this.#place];
    const place = { address, authority: authorityKeyOf(authority) };
    await this.#record([place, ...before]);
    let material: Material;
    try {
      material = await trust.enroll(textsOf(certification, key.keyPem), expected);
    } catch (thrown) {
      await this.#record(before).catch(() => undefined);
      throw thrown;
    }
    // The certificate is in use: the earlier place no longer matters, and may stay if it cannot be removed.
    await this.#record([place]).catch(() => undefined);
    this.#log.info({ identity: material.identity.uri, authority: token.authority }, "this host is enrolled");
    return material;
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { clock } = this.#options;
    const backoff = new Backoff(retry);
    this.#places = await this.#recorded();
    ready();
    while (!signal.aborted) {
      const isDone = (await this.#enrollIfNew(signal)) && (await this.#renewIfDue(signal));
      if (isDone) backoff.reset();
      await clock.sleep(isDone ? LOOK_MS : 1000 + backoff.nextMs(), signal).catch(() => undefined);
    }
  }

  /** Whether nothing is left to do. Failures are logged. */
  async #enrollIfNew(signal: AbortSignal): Promise<boolean> {
    const { config, environment, identity, trust } = this.#options;
    if (config.enrollAt === null || trust.problem?.reason !== "NOT_ENROLLED") return true;
    try {
      const token = await readCredential(environment, "socle-enrollment-token");
      if (token === undefined) return true;
      // The certificate's identity is known once libvirt, or the configuration, has reported this host's id.
      if (identity().id === "") return false;
      await this.enroll(config.enrollAt, token.toString(), null, signal);
    } catch (thrown) {
      if (signal.aborted) return true;
      const { reason, message } = toSocleError(thrown);
      this.#log.warn({ reason }, `this host could not enroll: ${message}; retrying`);
      return false;
    }
    return true;
  }

  /** As `#enrollIfNew`. */
  async #renewIfDue(signal: AbortSignal): Promise<boolean> {
    const { trust, clock } = this.#options;
    const { material } = trust;
    const dueMs = this.renewsAtMs;
    if (material === undefined || dueMs === undefined) return true;
    if (clock.now() < dueMs && trust.rolledBack === undefined) return true;
    try {
      await this.#renew(this.renewsFrom ?? "", material, signal);
      this.#failure = undefined;
      return trust.rolledBack === undefined;
    } catch (thrown) {
      if (signal.aborted) return true;
      this.#failure = toSocleError(thrown);
      const until = new Date(material.notAfterMs).toISOString();
      const { reason, message } = this.#failure;
      this.#log.warn({ reason, until }, `the certificate was not renewed: ${message}; retrying`);
      return false;
    }
  }

  async #renew(address: string, before: Material, signal: AbortSignal): Promise<void> {
    const { service, identity, trust, clock } = this.#options;
    const key = await newHostKey(identity().hostname);
    const { certification } = await askAuthority(
      { address, authoritiesPem: before.tls.ca, rules: () => trust.material ?? before, clock },
      service.Renew,
      {
        certificate: new X509Certificate(before.tls.cert).raw,
        certificateRequest: key.request,
        proof: proofOf(before.tls.key, key.request),
      },
      signal,
    );
    await trust.renew(textsOf(certification, key.keyPem));
  }

  async #record(places: readonly Place[]): Promise<void> {
    await makeDirectory(this.#options.config.directory, 0o700);
    await replaceFile(this.#path(recordFile), Buffer.from(`${JSON.stringify({ version: 2, places })}\n`));
    this.#places = places;
  }

  async #recorded(): Promise<readonly Place[]> {
    try {
      return recordSchema.parse(JSON.parse(await readFile(this.#path(recordFile), "utf8")));
    } catch (thrown) {
      if (codeOf(thrown) === "ENOENT") return [];
      this.#log.error(
        { err: thrown },
        `${recordFile} is damaged: certificates are not renewed; enroll this host again`,
      );
      return [];
    }
  }

  #domain(): string {
    const { domain } = this.#options.config;
    if (domain !== null) return domain;
    const message =
      "this host has no trust domain: set trust.domain in its configuration, and restart the agent";
    throw new SocleError("conflict", "TRUST_OFF", message);
  }

  #path(name: string): string {
    return join(this.#options.config.directory, name);
  }
}

/** Wall clock. Half of the life plus up to a tenth, by the first 32 bits of SHA-256 of the host's id. */
export function renewalMs({ notBeforeMs, notAfterMs }: Material, hostId: string): number {
  const share = createHash("sha256").update(hostId).digest().readUInt32BE(0) / 2 ** 32;
  return notBeforeMs + (notAfterMs - notBeforeMs) * (0.5 + 0.1 * share);
}

/** The authority's answer, with the key, which the authority does not have. */
function textsOf(certification: Certification__Output | null, keyPem: string): TrustTexts {
  const { certificateChain = "", authorities = "", revocationLists = "" } = certification ?? {};
  return defined({
    certificatePem: certificateChain,
    keyPem,
    authoritiesPem: authorities,
    revocationsPem: revocationLists === "" ? undefined : revocationLists,
  });
}

function alreadyEnrolled(): SocleError {
  const message =
    "this host is enrolled: another enrollment replaces its trusted authority. To do that, name the new " +
    "authority: socle enroll --authority-fingerprint SHA256";
  return new SocleError("conflict", "ALREADY_ENROLLED", message);
}

function anotherAuthority(fingerprint: string): SocleError {
  const message = `the token is of another authority than ${fingerprint}: ask that authority for a token`;
  return new SocleError("denied", "AUTHORITY_UNKNOWN", message);
}
