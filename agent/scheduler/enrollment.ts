import { createHash, X509Certificate } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { Backoff } from "../kernel/backoff.ts";
import type { Config } from "../config/schema.ts";
import type { Clock } from "../kernel/clock.ts";
import { readCredential, type Environment } from "../kernel/credentials.ts";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import type { Service } from "../kernel/service.ts";
import type { Certification__Output } from "../gen/socle/v1/Certification.ts";
import type { EnrollmentServiceDefinition } from "../gen/socle/v1/EnrollmentService.ts";
import { replaceFile } from "../state/durable-file.ts";
import { files, newHostKey, parseToken, proofOf, type Material, type Trust } from "../trust/index.ts";
import { askAuthority, authorityAt } from "./authority-link.ts";

export interface EnrollmentOptions {
  /** The trust directory, and the domain that this host is to be of. */
  readonly config: Pick<Config["trust"], "directory" | "domain" | "enrollAt">;
  readonly environment: Environment;
  readonly trust: Trust;
  readonly service: EnrollmentServiceDefinition;
  readonly identity: () => { readonly id: string; readonly hostname: string };
  readonly clock: Clock;
  readonly log: Logger;
}

/** Where the certificate in use came from, for its renewal: beside it. */
const recordSchema = z.strictObject({ version: z.literal(1), address: z.string() });
const recordFile = "enrollment.json";
const LOOK_MS = 60_000;
const retry = { baseMs: 10_000, capMs: 600_000 };

/**
 * Gets this host its certificate (told to, or by itself with a token of systemd's), and the next one in good time: at half of its life, each host a little later by its own
 * share. While that fails it is tried again and again; guests and metrics do not hang on it.
 */
export class Enrollment implements Service {
  readonly name = "enrollment";
  readonly #options: EnrollmentOptions;
  readonly #log: Logger;
  #failure: SocleError | undefined;
  /** Of the authority that the certificate in use is from; undefined where somebody else puts certificates there. */
  #address: string | undefined;

  constructor(options: EnrollmentOptions) {
    this.#options = options;
    this.#log = options.log.child({ component: "enrollment" });
  }

  /** Why the last renewal failed; undefined when none did. */
  get failure(): SocleError | undefined {
    return this.#failure;
  }

  /** Wall clock; undefined where nothing is to be renewed. */
  get renewsAtMs(): number | undefined {
    const { trust, identity } = this.#options;
    if (trust.material === undefined || this.#address === undefined) return undefined;
    return renewalMs(trust.material, identity().id);
  }

  /**
   * Throws `conflict` TRUST_OFF without a trust domain, `invalid` TOKEN_INVALID, `denied` AUTHORITY_UNKNOWN or
   * ENROLLMENT_REFUSED, `unavailable` AUTHORITY_UNREACHABLE, `internal` CERTIFICATE_UNFIT for an answer that does not fit.
   */
  async enroll(address: string, tokenText: string, signal: AbortSignal): Promise<Material> {
    const { service, identity } = this.#options;
    const domain = this.#domain();
    const token = parseToken(tokenText);
    const authoritiesPem = await authorityAt(address, token.authority);
    const { id: hostId, hostname } = identity();
    const key = await newHostKey(hostname);
    const request = { token: token.text, hostId, hostname, certificateRequest: key.request };
    const { certification } = await askAuthority(
      { address, authoritiesPem, domain },
      service.Enroll,
      request,
      signal,
    );
    const material = await this.#install(certification, key.keyPem);
    await replaceFile(this.#path(recordFile), Buffer.from(`${JSON.stringify({ version: 1, address })}\n`));
    this.#address = address;
    this.#log.info({ identity: material.identity.uri, authority: token.authority }, "this host is enrolled");
    return material;
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { clock } = this.#options;
    const backoff = new Backoff(retry);
    this.#address = await this.#recordedAddress();
    ready();
    while (!signal.aborted) {
      const isDone = (await this.#enrollIfNew(signal)) && (await this.#renewIfDue(signal));
      if (isDone) backoff.reset();
      await clock.sleep(isDone ? LOOK_MS : 1000 + backoff.nextMs(), signal).catch(() => undefined);
    }
  }

  /** Whether there is nothing to do now. What goes wrong is logged. */
  async #enrollIfNew(signal: AbortSignal): Promise<boolean> {
    const { config, environment, identity, trust } = this.#options;
    if (config.enrollAt === null || trust.problem?.reason !== "NOT_ENROLLED") return true;
    try {
      const token = await readCredential(environment, "socle-enrollment-token");
      if (token === undefined) return true;
      // Whom a certificate is for is known once libvirt, or the configuration, has said who this host is.
      if (identity().id === "") return false;
      await this.enroll(config.enrollAt, token.toString(), signal);
    } catch (thrown) {
      if (signal.aborted) return true;
      const { reason, message } = toSocleError(thrown);
      this.#log.warn({ reason }, `this host could not enroll: ${message}; it is tried again`);
      return false;
    }
    return true;
  }

  /** As `#enrollIfNew`. */
  async #renewIfDue(signal: AbortSignal): Promise<boolean> {
    const { trust, clock } = this.#options;
    const { material } = trust;
    const dueMs = this.renewsAtMs;
    if (material === undefined || dueMs === undefined || clock.now() < dueMs) return true;
    try {
      await this.#renew(this.#address ?? "", material, signal);
      this.#failure = undefined;
      return true;
    } catch (thrown) {
      if (signal.aborted) return true;
      this.#failure = toSocleError(thrown);
      const until = new Date(material.notAfterMs).toISOString();
      const { reason, message } = this.#failure;
      this.#log.warn({ reason, until }, `the certificate was not renewed: ${message}; it is tried again`);
      return false;
    }
  }

  async #renew(address: string, before: Material, signal: AbortSignal): Promise<void> {
    const { service, identity } = this.#options;
    const key = await newHostKey(identity().hostname);
    const { certification } = await askAuthority(
      { address, authoritiesPem: before.tls.ca, domain: this.#domain() },
      service.Renew,
      {
        certificate: new X509Certificate(before.tls.cert).raw,
        certificateRequest: key.request,
        proof: proofOf(before.tls.key, key.request),
      },
      signal,
    );
    await this.#install(certification, key.keyPem);
  }

  /** Key and certificate in one file, so that no crash leaves one of another pair; whom to believe before it. */
  async #install(certification: Certification__Output | null, keyPem: string): Promise<Material> {
    const { config, trust } = this.#options;
    if (certification === null) throw unfit("it holds no certificate");
    const { certificateChain, authorities, revocationLists } = certification;
    await mkdir(config.directory, { recursive: true, mode: 0o700 });
    await replaceFile(this.#path(files.authorities), Buffer.from(authorities));
    if (revocationLists !== "")
      await replaceFile(this.#path(files.revocations), Buffer.from(revocationLists));
    await replaceFile(this.#path(files.pair), Buffer.from(`${keyPem.trim()}\n${certificateChain.trim()}\n`));
    await trust.reload();
    if (trust.problem !== undefined || trust.material === undefined)
      throw unfit(trust.problem?.message ?? "");
    return trust.material;
  }

  async #recordedAddress(): Promise<string | undefined> {
    try {
      return recordSchema.parse(JSON.parse(await readFile(this.#path(recordFile), "utf8"))).address;
    } catch (thrown) {
      if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return undefined;
      this.#log.error(
        { err: thrown },
        `${recordFile} is damaged: certificates are not renewed; enroll this host again`,
      );
      return undefined;
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

/** Wall clock. Half of the life, and up to a tenth more, by the first 32 bits of SHA-256 of the host's id. */
export function renewalMs({ notBeforeMs, notAfterMs }: Material, hostId: string): number {
  const share = createHash("sha256").update(hostId).digest().readUInt32BE(0) / 2 ** 32;
  return notBeforeMs + (notAfterMs - notBeforeMs) * (0.5 + 0.1 * share);
}

const unfit = (why: string): SocleError =>
  new SocleError("internal", "CERTIFICATE_UNFIT", `what the authority answered cannot be used: ${why}`);
