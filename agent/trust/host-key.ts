import { createPrivateKey, sign, webcrypto } from "node:crypto";

/** A key that never leaves this host, and the request for its certificate. */
export interface HostKey {
  /** PKCS #8. */
  readonly keyPem: string;
  /** PKCS #10, DER: signed by the key, which proves possession. */
  readonly request: Buffer;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** ECDSA on P-256. The authority decides the certificate's identity; the request names the host for people. */
export async function newHostKey(hostname: string): Promise<HostKey> {
  const x509 = await import("./x509.ts");
  x509.cryptoProvider.set(webcrypto);
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const name = [{ CN: [hostname.slice(0, 64)] }];
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name,
    keys,
    signingAlgorithm: algorithm,
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    keyPem: x509.PemConverter.encode(pkcs8, "PRIVATE KEY"),
    request: Buffer.from(request.rawData),
  };
}

/** Proves possession of the previous certificate's key: ECDSA over SHA-256, in the form of IEEE P1363. */
export const proofOf = (keyPem: string, request: Buffer): Buffer =>
  sign("sha256", request, { key: createPrivateKey(keyPem), dsaEncoding: "ieee-p1363" });
