import { webcrypto } from "node:crypto";
import { once } from "node:events";
import { connect, type ConnectionOptions } from "node:tls";
import { credentials, status } from "@grpc/grpc-js";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { within } from "../support/wait.ts";
import { writeRevocations, type Authority, type Issued, type IssueOptions } from "../scheduler/authority.ts";
import { Caller, credentialsOf, secureOptions } from "./attack-calls.ts";
import { DOMAIN, type Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

const HOUR_MS = 3_600_000;
const HELLO_WITHIN_MS = 20_000;
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** Callers without a valid identity: each is refused before any work, for every method. */
export async function identity(stage: Stage): Promise<Theme> {
  const { authority, impostor, revoked } = stage;
  const past = { notBefore: new Date(Date.now() - 2 * HOUR_MS), notAfter: new Date(Date.now() - HOUR_MS) };
  const future = { notBefore: new Date(Date.now() + HOUR_MS), notAfter: new Date(Date.now() + 2 * HOUR_MS) };
  const by = (holder: string, options?: IssueOptions, of: Authority = authority) => of.issue(holder, options);
  const urls = (...values: string[]): IssueOptions => ({
    names: values.map((value) => ({ type: "url", value })),
  });
  const scheduler = "scheduler/s-1";
  const good = `spiffe://${DOMAIN}/${scheduler}`;
  const trusted = await by(scheduler);

  const intruders: readonly [who: string, issued: Issued][] = [
    ["of another authority", await by(scheduler, {}, impostor)],
    ["of another authority, as an admin", await by("admin/a", {}, impostor)],
    ["signed by itself", await signedBySelf(good)],
    ["signed by a scheduler, which is no authority", await signedBy(trusted, good)],
    ["expired", await by(scheduler, past)],
    ["expired, as an admin", await by("admin/a", past)],
    ["not valid yet", await by(scheduler, future)],
    ["revoked", revoked],
    ["a host's", await by("agent/host-1")],
    ["another host's", await by("agent/host-2")],
    ["of an unknown role", await by("root/me")],
    ["of the role none", await by("none/me")],
    ["of a role named like a JavaScript property", await by("constructor/me")],
    ["of a role in capitals", await by("Admin/me")],
    ["of a role with a blank", await by("admin%20/me")],
    ["of an invalid tenant", await by("scheduler/s-1/tenant/")],
    ["of a tenant with a path", await by("scheduler/s-1/tenant/../../admin/a")],
    ["of two tenants", await by("scheduler/s-1/tenant/a/tenant/b")],
    ["with trailing bytess name", await by("scheduler/s-1/admin")],
    ["with a query", await by("scheduler/s-1?role=admin")],
    ["with a fragment", await by("scheduler/s-1#admin")],
    ["without a name", await by("admin/")],
    ["without anything", await by("")],
    ["of another domain", await by("x", urls(`spiffe://other.example/${scheduler}`))],
    ["of a domain below", await by("x", urls(`spiffe://evil.${DOMAIN}/${scheduler}`))],
    ["of a domain that ends alike", await by("x", urls(`spiffe://evil${DOMAIN}/${scheduler}`))],
    ["of a domain with a port", await by("x", urls(`spiffe://${DOMAIN}:443/${scheduler}`))],
    ["of a domain with a user", await by("x", urls(`spiffe://me@${DOMAIN}/${scheduler}`))],
    ["with two identities", await by("x", urls(good, `spiffe://${DOMAIN}/admin/a`))],
    ["with one identity twice", await by("x", urls(good, good))],
    ["with an identity that holds another", await by("x", urls(`x, URI:${good}`))],
    ["with an identity in quotes", await by("x", urls(`"${good}"`))],
    ["of another scheme", await by("x", urls(`https://${DOMAIN}/${scheduler}`))],
    ["with a DNS name alone", await by("x", { names: [{ type: "dns", value: "scheduler.cloud.example" }] })],
    ["with its identity as a DNS name", await by("x", { names: [{ type: "dns", value: good }] })],
    ["with its identity as an e-mail address", await by("x", { names: [{ type: "email", value: good }] })],
    ["with its identity as its common name", await by("x", { names: [], subject: `CN=${good}` })],
    ["for servers alone", await by(scheduler, { usages: [x509.ExtendedKeyUsage.serverAuth] })],
  ];
  const tries: Try[] = intruders.flatMap(([who, issued]) =>
    (["/socle.v1.HostService/GetHost", "/socle.v1.VmService/DeleteVm"] as const).map((path) => ({
      what: `a certificate ${who} at ${path}`,
      attack: () => calls(stage, path, credentialsOf(secureOptions(authority.certificatePem, issued))),
    })),
  );
  const anonymous = credentials.createSsl(Buffer.from(authority.certificatePem), null, null, {
    checkServerIdentity: () => undefined,
  });
  tries.push(
    { what: "no certificate", attack: () => calls(stage, "/socle.v1.HostService/GetHost", anonymous) },
    {
      what: "no TLS",
      attack: () => calls(stage, "/socle.v1.HostService/GetHost", credentials.createInsecure()),
    },
  );
  const own = secureOptions(authority.certificatePem, trusted);
  if ((await hello(stage, own)) === undefined)
    throw new Error("a valid caller is refused, so the other tries prove nothing");
  const handshakes: readonly [what: string, options: ConnectionOptions][] = [
    ["TLS 1.2", { ...own, maxVersion: "TLSv1.2" }],
    ["TLS 1.1", { ...own, minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }],
    ["TLS 1.0", { ...own, minVersion: "TLSv1", maxVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" }],
    ["HTTP/1.1", { ...own, ALPNProtocols: ["http/1.1"] }],
    ["an unknown protocol", { ...own, ALPNProtocols: ["h3", "spdy/1", "x".repeat(255)] }],
    ["no certificate", { ca: authority.certificatePem }],
    ["a revoked certificate", secureOptions(authority.certificatePem, revoked)],
  ];
  for (const [what, options] of handshakes)
    tries.push({ what: `a handshake with ${what}`, attack: () => shakesHands(stage, options) });
  tries.push({
    what: "a session that was begun before its certificate was revoked",
    attack: () => resumes(stage),
  });
  return { name: "identity", tries };
}

/** Any answer means that the caller was admitted. */
async function calls(stage: Stage, path: string, by: Parameters<typeof newCaller>[1]): Promise<Outcome> {
  const caller = newCaller(stage, by);
  try {
    const { code, reason } = await caller.call(path, Buffer.alloc(0));
    return code === status.UNAVAILABLE ? "refused" : { letThrough: `answered ${status[code]} ${reason}` };
  } finally {
    caller.close();
  }
}

const newCaller = (stage: Stage, by: ConstructorParameters<typeof Caller>[1]): Caller =>
  new Caller(stage.address, by, stage.contract);

/** The peer's first HTTP/2 frame: its settings. Undefined: it closed the connection. */
async function hello(stage: Stage, options: ConnectionOptions): Promise<string | undefined> {
  const socket = connect({
    ALPNProtocols: ["h2"],
    checkServerIdentity: () => undefined,
    ...options,
    host: "127.0.0.1",
    port: stage.port,
  });
  const ended = new Promise<undefined>((resolve) => {
    for (const event of ["error", "close"]) socket.once(event, () => resolve(undefined));
    setTimeout(() => resolve(undefined), HELLO_WITHIN_MS).unref();
  });
  const talks = new Promise<string>((resolve) => {
    socket.once("data", () => resolve(`${socket.getProtocol() ?? ""} ${String(socket.alpnProtocol)}`));
  });
  const agreed = await Promise.race([ended, talks]);
  socket.destroy();
  return agreed;
}

async function shakesHands(stage: Stage, options: ConnectionOptions): Promise<Outcome> {
  const agreed = await hello(stage, options);
  return agreed === undefined ? "refused" : { letThrough: `the agent talked ${agreed}` };
}

/** TLS resumes a session without requesting the certificate. */
async function resumes(stage: Stage): Promise<Outcome> {
  const { authority, host, trustDirectory } = stage;
  const issued = await authority.issue("scheduler/to-be-dismissed");
  const options: ConnectionOptions = {
    ...secureOptions(authority.certificatePem, issued),
    host: "127.0.0.1",
    port: stage.port,
    ALPNProtocols: ["h2"],
    checkServerIdentity: () => undefined,
  };
  const first = connect(options);
  first.on("error", () => undefined).resume();
  const ended = new Promise<void>((resolve) => first.once("close", () => resolve()));
  const [session] = (await once(first, "session")) as [Buffer];
  authority.revoke(issued.serial);
  await writeRevocations(trustDirectory, await authority.revocationList());
  host.agent.signal("SIGHUP");
  try {
    await within(ended, 60_000, "the connection of the revoked certificate to be ended");
  } catch (thrown) {
    return { letThrough: String(thrown) };
  } finally {
    first.destroy();
  }
  return await shakesHands(stage, { ...options, session });
}

async function signedBySelf(uri: string): Promise<Issued> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  return await certificate(keys, uri, { issuer: "CN=me", signingKey: keys.privateKey });
}

async function signedBy(issuer: Issued, uri: string): Promise<Issued> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const pkcs8 = x509.PemConverter.decodeFirst(issuer.keyPem);
  const signingKey = await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]);
  const made = await certificate(keys, uri, {
    issuer: new x509.X509Certificate(issuer.certificatePem).subject,
    signingKey,
  });
  return { ...made, certificatePem: `${made.certificatePem}\n${issuer.certificatePem}` };
}

async function certificate(
  keys: webcrypto.CryptoKeyPair,
  uri: string,
  { issuer, signingKey }: { issuer: string; signingKey: webcrypto.CryptoKey },
): Promise<Issued> {
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: "4711",
    issuer,
    subject: "CN=me",
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + HOUR_MS),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: "url", value: uri }])],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  return {
    certificatePem: made.toString("pem"),
    keyPem: x509.PemConverter.encode(pkcs8, "PRIVATE KEY"),
    serial: made.serialNumber,
  };
}
