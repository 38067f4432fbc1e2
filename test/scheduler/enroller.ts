import { randomBytes, timingSafeEqual, verify, X509Certificate } from "node:crypto";
import { Server, ServerCredentials, status, type sendUnaryData } from "@grpc/grpc-js";
import type { Certification } from "../../agent/gen/socle/v1/Certification.ts";
import type { EnrollmentServiceHandlers } from "../../agent/gen/socle/v1/EnrollmentService.ts";
import type { EnrollRequest__Output } from "../../agent/gen/socle/v1/EnrollRequest.ts";
import type { RenewRequest__Output } from "../../agent/gen/socle/v1/RenewRequest.ts";
import { fingerprintOf, type Authority, type Issued } from "./authority.ts";
import { enrollmentService } from "./contract.ts";

export interface EnrollerOptions {
  /** The lifetime of its certificates. */
  readonly lifeMs?: number;
  /** How long after its expiry a certificate may be renewed. */
  readonly graceMs?: number;
  /** 0: any free port. */
  readonly port?: number;
  /** The wall clock for its certificates. */
  readonly now?: () => number;
  /** Its server certificate; default: issued by itself. */
  readonly own?: Issued;
}

interface Token {
  readonly secret: Buffer;
  /** The host ids and names for which the token is valid. */
  readonly hosts: readonly string[];
  readonly endsAtMs: number;
}

const MONTH_MS = 30 * 24 * 3_600_000;

class Refused extends Error {}

/** Issues hosts' certificates: the first for a token, each later one for the previous certificate. Tokens are in memory. */
export class Enroller {
  readonly address: string;
  readonly own: Issued;
  readonly #authority: Authority;
  readonly #options: EnrollerOptions;
  readonly #server: Server;
  readonly #tokens = new Set<Token>();
  /** Fields that a test replaces in each reply. */
  tamper: (right: Certification, request: Buffer) => Promise<Certification> | Certification = () => ({});

  static async start(authority: Authority, options: EnrollerOptions = {}): Promise<Enroller> {
    const own = options.own ?? (await Enroller.identityOf(authority));
    const server = new Server();
    // Followed by its authority, which a host compares with its token.
    const chain = Buffer.from(`${own.certificatePem}\n${authority.certificatePem}\n`);
    const credentials = ServerCredentials.createSsl(null, [
      { private_key: Buffer.from(own.keyPem), cert_chain: chain },
    ]);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${options.port ?? 0}`, credentials, (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    const enroller = new Enroller(authority, server, `127.0.0.1:${port}`, { ...options, own });
    const handlers: EnrollmentServiceHandlers = {
      Enroll: ({ request }, answer) => enroller.#answer(enroller.#enroll(request), answer),
      Renew: ({ request }, answer) => enroller.#answer(enroller.#renew(request), answer),
    };
    server.addService(enrollmentService, { ...handlers });
    return enroller;
  }

  /** Its server certificate, valid for a month. */
  static async identityOf(authority: Authority): Promise<Issued> {
    return await authority.issue("scheduler/enroller", { notAfter: new Date(Date.now() + MONTH_MS) });
  }

  private constructor(
    authority: Authority,
    server: Server,
    address: string,
    options: EnrollerOptions & { readonly own: Issued },
  ) {
    this.own = options.own;
    this.#authority = authority;
    this.#server = server;
    this.address = address;
    this.#options = options;
  }

  /** Valid for one of these hosts (ids or names), once, for that time. */
  token(hosts: readonly string[], lifeMs: number): string {
    const secret = randomBytes(24).toString("base64url");
    const text = `socle1.${fingerprintOf(this.#authority.certificatePem)}.${secret}`;
    this.#tokens.add({ secret: Buffer.from(text), hosts, endsAtMs: performance.now() + lifeMs });
    return text;
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  async #enroll({
    token,
    hostId,
    hostname,
    certificateRequest,
  }: EnrollRequest__Output): Promise<Certification> {
    const given = Buffer.from(token);
    const found = [...this.#tokens].find(
      ({ secret }) => secret.length === given.length && timingSafeEqual(secret, given),
    );
    if (found === undefined || found.endsAtMs < performance.now())
      throw new Refused("the token is not valid (any more)");
    if (![hostId, hostname].some((host) => found.hosts.includes(host)))
      throw new Refused("the token is for other hosts");
    // Consumed first: a second request with it fails, whatever the outcome of this one.
    this.#tokens.delete(found);
    return await this.#certify(certificateRequest, `agent/${hostId}`);
  }

  async #renew({ certificate, certificateRequest, proof }: RenewRequest__Output): Promise<Certification> {
    const before = new X509Certificate(certificate);
    const key = { key: before.publicKey, dsaEncoding: "ieee-p1363" } as const;
    if (!this.#authority.stands(before))
      throw new Refused("the certificate is revoked, or of another authority");
    if (!verify("sha256", certificateRequest, key, proof))
      throw new Refused("the proof does not match the certificate's key");
    const lateMs = (this.#options.now?.() ?? Date.now()) - Date.parse(before.validTo);
    if (lateMs > (this.#options.graceMs ?? 7 * 24 * 3_600_000))
      throw new Refused("the certificate expired too long ago");
    const holder = /URI:spiffe:\/\/[^/]+\/(agent\/[A-Za-z0-9._-]+)$/.exec(before.subjectAltName ?? "")?.[1];
    if (holder === undefined) throw new Refused("the certificate is not a host's");
    return await this.#certify(certificateRequest, holder);
  }

  async #certify(request: Buffer, holder: string): Promise<Certification> {
    const { lifeMs = 24 * 3_600_000 } = this.#options;
    const notBefore = new Date(this.#options.now?.() ?? Date.now());
    const notAfter = new Date(notBefore.getTime() + lifeMs);
    const certification = {
      certificateChain: await this.#authority.certify(request, holder, { notBefore, notAfter }),
      authorities: this.#authority.certificatePem,
      revocationLists: "",
    };
    return { ...certification, ...(await this.tamper(certification, request)) };
  }

  #answer(work: Promise<Certification>, answer: sendUnaryData<{ certification: Certification }>): void {
    work.then(
      (certification) => answer(null, { certification }),
      (thrown: unknown) => {
        const code = thrown instanceof Refused ? status.PERMISSION_DENIED : status.INVALID_ARGUMENT;
        answer({ code, details: thrown instanceof Error ? thrown.message : String(thrown) });
      },
    );
  }
}
