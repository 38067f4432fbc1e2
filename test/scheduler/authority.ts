import { webcrypto, randomBytes, X509Certificate } from "node:crypto";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";

x509.cryptoProvider.set(webcrypto);

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 24 * 3_600_000;
const bothUsages = [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth] as const;

export interface Issued {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly serial: string;
}

export interface IssueOptions {
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Subject alternative names besides the identity, or none at all. */
  readonly names?: x509.JsonGeneralNames;
  /** As "CN=NAME"; default: empty. */
  readonly subject?: string;
  /** The key's extended usages; default: server and client. */
  readonly usages?: readonly x509.ExtendedKeyUsage[];
}

/** A small certificate authority, as an example for schedulers and for the tests: ECDSA P-256, only in memory. */
export class Authority {
  readonly domain: string;
  readonly certificatePem: string;
  readonly #certificate: x509.X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #revoked: { serialNumber: string; revocationDate: Date }[] = [];

  static async make(domain: string): Promise<Authority> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: newSerial(),
      name: `CN=Authority of ${domain}`,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + 3650 * DAY_MS),
      signingAlgorithm: algorithm,
      keys: keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 1, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new Authority(domain, certificate, keys);
  }

  private constructor(domain: string, certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.domain = domain;
    this.#certificate = certificate;
    this.#keys = keys;
    this.certificatePem = certificate.toString("pem");
  }

  /** A certificate and its key for `ROLE/NAME` (or `ROLE/NAME/tenant/TENANT`) of the domain; valid for a day by default. */
  async issue(holder: string, options: IssueOptions = {}): Promise<Issued> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const certificate = await this.#sign(keys.publicKey, holder, options);
    const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
    const keyPem = x509.PemConverter.encode(pkcs8, "PRIVATE KEY");
    return { certificatePem: certificate.toString("pem"), keyPem, serial: certificate.serialNumber };
  }

  /** A certificate for the key of a PKCS #10 request (DER); throws if its own key did not sign the request. */
  async certify(request: Buffer, holder: string, options: IssueOptions = {}): Promise<string> {
    const asked = new x509.Pkcs10CertificateRequest(request);
    if (!(await asked.verify())) throw new Error("the request is not signed by its own key");
    const { rawData } = asked.publicKey;
    const publicKey = await webcrypto.subtle.importKey("spki", rawData, algorithm, true, ["verify"]);
    return (await this.#sign(publicKey, holder, options)).toString("pem");
  }

  /** Whether it issued the certificate and has not revoked it. */
  stands(certificate: X509Certificate): boolean {
    const serial = certificate.serialNumber.toLowerCase();
    return (
      certificate.verify(new X509Certificate(this.certificatePem).publicKey) &&
      !this.#revoked.some(({ serialNumber }) => serialNumber === serial)
    );
  }

  revoke(serial: string): void {
    this.#revoked.push({ serialNumber: serial, revocationDate: new Date() });
  }

  /** The revocation list so far, as PEM. */
  async revocationList(dates: { readonly issuedAt?: Date; readonly nextAt?: Date } = {}): Promise<string> {
    const list = await x509.X509CrlGenerator.create({
      issuer: this.#certificate.subject,
      thisUpdate: dates.issuedAt ?? new Date(Date.now() - 60_000),
      nextUpdate: dates.nextAt ?? new Date(Date.now() + DAY_MS),
      entries: this.#revoked,
      signingAlgorithm: algorithm,
      signingKey: this.#keys.privateKey,
    });
    return x509.PemConverter.encode(list.rawData, "X509 CRL");
  }

  async #sign(
    publicKey: webcrypto.CryptoKey,
    holder: string,
    options: IssueOptions,
  ): Promise<x509.X509Certificate> {
    const uri = `spiffe://${this.domain}/${holder}`;
    return await x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      issuer: this.#certificate.subject,
      subject: options.subject ?? "",
      notBefore: options.notBefore ?? new Date(Date.now() - 60_000),
      notAfter: options.notAfter ?? new Date(Date.now() + DAY_MS),
      signingAlgorithm: algorithm,
      publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        // Each host's agent is a server to its scheduler and a client of it.
        new x509.ExtendedKeyUsageExtension([...(options.usages ?? bothUsages)]),
        new x509.SubjectAlternativeNameExtension(options.names ?? [{ type: "url", value: uri }], true),
        await x509.AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
      ],
    });
  }
}

/** Writes a host's certificate, key and authority to the agent's trust directory, each file atomically. */
export async function installTrust(
  directory: string,
  authority: Authority,
  issued: Issued,
  revocationList?: string,
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await putTrustFile(directory, "ca.crt", authority.certificatePem);
  if (revocationList !== undefined) await writeRevocations(directory, revocationList);
  await putTrustFile(directory, "agent.key", issued.keyPem);
  await putTrustFile(directory, "agent.crt", issued.certificatePem);
}

/** Only the revocation list. */
export const writeRevocations = (directory: string, list: string): Promise<void> =>
  putTrustFile(directory, "ca.crl", list);

/** Writes one file of a trust directory atomically. */
export async function putTrustFile(directory: string, name: string, text: string): Promise<void> {
  await writeFile(join(directory, `.${name}`), text, { mode: 0o600 });
  await rename(join(directory, `.${name}`), join(directory, name));
}

/** 127 random bits, never zero, never negative (RFC 5280, 4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}

/** SHA-256 of a certificate, as lower-case hexadecimal. */
export const fingerprintOf = (pem: string): string =>
  new X509Certificate(pem).fingerprint256.replaceAll(":", "").toLowerCase();
