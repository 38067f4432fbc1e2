import { createHash, X509Certificate } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { newHostKey } from "../../agent/trust/index.ts";
import { Authority } from "../scheduler/authority.ts";
import { enrollmentService } from "../scheduler/contract.ts";
import { Enroller } from "../scheduler/enroller.ts";
import { Caller, credentialsOf, type Answer } from "./attack-calls.ts";
import { DOMAIN, type Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

const HOUR_MS = 3_600_000;
const LONG_MS = 60_000;

/** Tokens that are used, expired, for another host or forged; two concurrent enrolments with one token; another authority. */
export async function enrolment(stage: Stage): Promise<Theme> {
  const { authority, impostor, host, trustDirectory } = stage;
  const [enroller, false1, foreign] = await Promise.all([
    Enroller.start(authority),
    Enroller.start(impostor),
    Enroller.start(await Authority.make("other.example")),
  ]);
  for (const each of [enroller, false1, foreign]) stage.run.cleanUp(() => each.stop());
  const operator = stage.onSocket();
  stage.run.cleanUp(() => operator.close());
  const { trust, host: hostService } = host.client.contract;
  const { identity } = await host.client.ask(hostService.GetHost, {});
  const hostId = identity?.hostId ?? "";
  // The host is enrolled already: an administrator names the authority of each token, so that only the rest is tested.
  const enroll = (token: string, address = enroller.address): Promise<Answer> => {
    const authorityFingerprint = /^socle1\.([0-9a-f]{64})\./.exec(token)?.[1] ?? "0".repeat(64);
    const request = { address, token, authorityFingerprint };
    return operator.call(trust.EnrollHost.path, trust.EnrollHost.requestSerialize(request), {
      timeoutMs: LONG_MS,
    });
  };
  const good = (lifeMs = HOUR_MS): string => enroller.token([hostId], lifeMs);
  const fake = (secret: string, of = authority): string =>
    `socle1.${createHash("sha256").update(new X509Certificate(of.certificatePem).raw).digest("hex")}.${secret}`;

  /** Refused, and the host keeps its previous certificate. */
  const fails = async (act: () => Promise<Answer>): Promise<Outcome> => {
    const before = await holdings(trustDirectory);
    const { code, reason, message } = await act();
    if (code === status.INTERNAL || code === status.UNKNOWN)
      throw new Error(`it ends in ${reason}: ${message}`);
    if (code === status.OK) return { letThrough: "the host was enrolled" };
    return (await holdings(trustDirectory)) === before
      ? "refused"
      : { letThrough: "its certificate was replaced" };
  };
  const tries: Try[] = [];
  const add = (what: string, attack: () => Promise<Outcome>): void => void tries.push({ what, attack });
  add("a used token", async () => {
    const token = good();
    const first = await enroll(token);
    if (first.code !== status.OK) throw new Error(`a valid token is refused: ${first.message}`);
    return await fails(() => enroll(token));
  });
  add("one token, two concurrent enrolments", async () => {
    const token = good();
    const codes = (await Promise.all([enroll(token), enroll(token)])).map(({ code }) => code);
    const enrolled = codes.filter((code) => code === status.OK).length;
    return enrolled === 1 ? "refused" : { letThrough: `${enrolled} of two were enrolled` };
  });
  add("one token, twenty concurrent requests to the authority", async () => {
    const token = good();
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => await asks(stage, enroller, token, hostId)),
    );
    const enrolled = answers.filter(({ code }) => code === status.OK).length;
    return enrolled === 1 ? "refused" : { letThrough: `${enrolled} of twenty got a certificate` };
  });
  add("an expired token", () => fails(() => enroll(good(-1))));
  add("a token for another host", () => fails(() => enroll(enroller.token(["another-host"], HOUR_MS))));
  add("a guessed token", () => fails(() => enroll(fake("x".repeat(32)))));
  add("a token of another authority of the same name", () =>
    fails(() => enroll(false1.token([hostId], HOUR_MS))),
  );
  add("a valid token at another authority with the same name", () =>
    fails(() => enroll(good(), false1.address)),
  );
  add("another authority with a token of its own", () =>
    fails(() => enroll(foreign.token([hostId], HOUR_MS), foreign.address)),
  );
  add("an authority of another domain that names itself in the token", () =>
    fails(() => enroll(fake("y".repeat(32), impostor), foreign.address)),
  );
  const token = good();
  for (const [what, text] of [
    ["cut short", token.slice(0, -1)],
    ["longer", `${token}x`],
    ["in capitals", token.toUpperCase()],
    ["of another version", token.replace("socle1", "socle2")],
    ["with a NUL", `${token}\0`],
    ["with a new line in it", `${token}\n${token}`],
    ["without a secret", token.split(".").slice(0, 2).join(".")],
    ["with a path", token.replace(/[^.]+$/, "../../../../etc/shadow")],
    ["that is empty", ""],
    ["that is long", `${token}${"x".repeat(500_000)}`],
  ] as const)
    add(`a token ${what}`, () => fails(() => enroll(text)));
  for (const [what, address] of [
    ["nowhere", "127.0.0.1:1"],
    ["of the agent itself", stage.address],
    ["of the metrics", host.agent.metricsAddress],
    ["without a port", "127.0.0.1"],
    ["of a port that is none", "127.0.0.1:99999999"],
    ["of a path", "unix:/etc/shadow"],
    ["with another one behind it", `${enroller.address}@127.0.0.1:1`],
    ["that is empty", ""],
  ] as const)
    add(`an address ${what}`, () => fails(() => enroll(good(), address)));

  add("a token for this host, used for another host at the authority", async () =>
    refusedBy(await asks(stage, enroller, good(), "another-host", "another-host")),
  );
  for (const [what, name] of [
    ["that goes up", `../../admin/${hostId}`],
    ["of a role", "x/tenant/acme"],
    ["that is empty", ""],
  ] as const)
    add(`a host's id ${what}, with a token for it`, async () => {
      const answer = await asks(stage, enroller, enroller.token([name], HOUR_MS), name);
      // Every agent refuses the issued certificate: it is not a host's, or it is a host's, which may not call an agent.
      if (answer.code !== status.OK || answer.bytes === undefined) return "refused";
      const { certification } = enrollmentService.Enroll.responseDeserialize(answer.bytes);
      const uri = new X509Certificate(certification?.certificateChain ?? "").subjectAltName ?? "";
      return uri.includes(`URI:spiffe://${DOMAIN}/agent/`) ? "inert" : { letThrough: `it became ${uri}` };
    });
  add("a certificate's renewal without its key", async () => {
    const pair = await readFile(join(trustDirectory, "agent.crt"), "utf8");
    const key = await newHostKey("thief");
    const request = {
      certificate: new X509Certificate(pair).raw,
      certificateRequest: key.request,
      proof: Buffer.alloc(64, 1),
    };
    return refusedBy(await asksFor(stage, enroller, enrollmentService.Renew, request));
  });
  return { name: "enrolment", tries };
}

/** The content of the trust directory. */
async function holdings(directory: string): Promise<string> {
  const names = (await readdir(directory)).sort();
  const hash = createHash("sha256");
  for (const name of names) hash.update(`${name}\n`).update(await readFile(join(directory, name)));
  return hash.digest("hex");
}

/** Calls the authority itself, as any host can. */
async function asks(
  stage: Stage,
  enroller: Enroller,
  token: string,
  hostId: string,
  hostname = "",
): Promise<Answer> {
  const { request } = await newHostKey("thief");
  return await asksFor(stage, enroller, enrollmentService.Enroll, {
    token,
    hostId,
    hostname,
    certificateRequest: request,
  });
}

async function asksFor<Request>(
  stage: Stage,
  enroller: Enroller,
  {
    path,
    requestSerialize,
  }: { readonly path: string; readonly requestSerialize: (request: Request) => Buffer },
  request: Request,
): Promise<Answer> {
  const caller = new Caller(
    enroller.address,
    credentialsOf({ ca: stage.authority.certificatePem }),
    stage.contract,
  );
  try {
    return await caller.call(path, requestSerialize(request), { timeoutMs: LONG_MS });
  } finally {
    caller.close();
  }
}

const refusedBy = ({ code }: Answer): Outcome =>
  code === status.PERMISSION_DENIED || code === status.INVALID_ARGUMENT
    ? "refused"
    : { letThrough: `the authority answered ${status[code]}` };
