// Revocation of the certificates between a peer's own and its root.
import assert from "node:assert/strict";
import { webcrypto, X509Certificate } from "node:crypto";
import { test } from "node:test";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { peerOf } from "../../../agent/trust/index.ts";

x509.cryptoProvider.set(webcrypto);
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const domain = "cloud.example";

interface Holder {
  readonly name: string;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly certificate: X509Certificate;
}

async function made(name: string, serialNumber: string, by?: Holder, uri?: string): Promise<Holder> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const isAuthority = uri === undefined;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber,
    subject: `CN=${name}`,
    issuer: `CN=${by?.name ?? name}`,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: (by?.keys ?? keys).privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(isAuthority),
      ...(isAuthority ? [] : [new x509.SubjectAlternativeNameExtension([{ type: "url", value: uri }])]),
    ],
  });
  return { name, keys, certificate: new X509Certificate(certificate.toString("pem")) };
}

test("a revoked issuer is refused, also behind another certificate of its name", async () => {
  const root = await made("root", "01");
  const issuer = await made("issuer", "4712", root);
  const leaf = await made("leaf", "4713", issuer, `spiffe://${domain}/scheduler/s`);
  const [decoy, selfSigned] = [await made("issuer", "4714", root), await made("issuer", "4715")];
  const judge = (chain: readonly Holder[], revoked: readonly string[]): string => {
    const rules = { domain, revoked: new Set(revoked), roots: [root.certificate] };
    try {
      return peerOf(
        chain.map(({ certificate }) => certificate),
        rules,
        Date.now(),
      ).identity.role;
    } catch (thrown) {
      return (thrown as { reason: string }).reason;
    }
  };
  assert.equal(judge([leaf, issuer, root], ["9999"]), "scheduler");
  assert.equal(judge([leaf, issuer], ["9999"]), "scheduler");
  // The root's own serial number is small, and may be another authority's too.
  assert.equal(judge([leaf, issuer, root], ["1"]), "scheduler");
  assert.equal(judge([leaf, issuer, root], ["4713"]), "CERTIFICATE_REVOKED");
  assert.equal(judge([leaf, issuer, root], ["4712"]), "CERTIFICATE_REVOKED");
  for (const other of [decoy, selfSigned]) {
    assert.equal(judge([leaf, other, issuer, root], ["4712"]), "CERTIFICATE_REVOKED");
    assert.equal(judge([leaf, other], ["4712"]), "CERTIFICATE_CHAIN");
  }
  assert.equal(judge([leaf], ["4712"]), "CERTIFICATE_CHAIN");
});
