import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import { annsClaims, encoded, hmacToken, IdentityProvider } from "../support/trust/identity-provider.ts";
import type { Answer, Caller } from "./attack-calls.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

/** Operators and admins without a valid person: a missing, foreign, expired or forged token; and remote break-glass. */
export async function people(stage: Stage): Promise<Theme> {
  const { authority, provider, served } = stage;
  const callers: Caller[] = [];
  const as = async (holder: string): Promise<Caller> => {
    const caller = stage.callerOf(await authority.issue(holder));
    callers.push(caller);
    return caller;
  };
  const [operator, admin, viewer, auditor] = await Promise.all(
    ["operator/o", "admin/a", "viewer/v", "auditor/x"].map(as),
  );
  if (operator === undefined || admin === undefined || viewer === undefined || auditor === undefined)
    throw new Error("unreachable");
  const method = served.methods.find(({ path }) => path.endsWith("/Reserve"));
  if (method === undefined) throw new Error("nothing can be reserved");
  const ask = (caller: Caller, metadata: Readonly<Record<string, string>>): Promise<Answer> => {
    const request = {
      requestId: randomUUID(),
      vcpus: 1,
      memoryBytes: 2 ** 20,
      ttl: { seconds: 1, nanos: 0 },
    };
    return caller.call(method.path, method.serialize(request), { metadata });
  };
  const good = await ask(operator, { "socle-person": provider.token() });
  if (good.code !== status.OK)
    throw new Error(`a valid token is refused, so the other tries prove nothing: ${good.message}`);

  const stranger = new IdentityProvider();
  const nowSeconds = Math.floor(Date.now() / 1000);
  const [header = "", claims = "", signature = ""] = provider.token().split(".");
  const changed = encoded({ ...annsClaims(), sub: "root@example" });
  const tokens: Readonly<Record<string, string>> = {
    "that is none": "x",
    unsigned: `${encoded({ alg: "none" })}.${claims}.`,
    "unsigned, in capitals": `${encoded({ alg: "NONE" })}.${claims}.${signature}`,
    "signed with the public key": hmacToken(provider.pem),
    "signed by another provider": stranger.token(),
    "with its own key in the header": stranger.token({}, { jwk: stranger.jwk("own"), kid: "own" }),
    "with a URL as its key": stranger.token(
      {},
      { jku: "http://127.0.0.1:1/keys", x5u: "file:///etc/shadow" },
    ),
    "whose key's name is a path": stranger.token({}, { kid: "../../../../dev/null" }),
    "of another algorithm": `${encoded({ alg: "ES256" })}.${claims}.${signature}`,
    "whose claims were changed": `${header}.${changed}.${signature}`,
    "without its signature": `${header}.${claims}.`,
    "with trailing bytes": `${header}.${claims}.${signature}.${signature}`,
    "with a signature that is longer": `${header}.${claims}.${signature}AAAA`,
    "with unknown critical extensions": provider.token({}, { crit: ["b64"], b64: false }),
    "of another issuer": provider.token({ iss: "https://evil.example" }),
    "for another cloud": provider.token({ aud: "other.example" }),
    "for no audience": provider.token({ aud: [] }),
    "that is over": provider.token({ iat: nowSeconds - 7200, exp: nowSeconds - 3600 }),
    "that is old and expires late": provider.token({ iat: nowSeconds - 86_400, exp: nowSeconds + 86_400 }),
    "of tomorrow": provider.token({ iat: nowSeconds + 86_400, exp: nowSeconds + 90_000 }),
    "that is not valid yet": provider.token({ nbf: nowSeconds + 3600 }),
    "without an end": provider.token({ exp: undefined }),
    "whose expiry is a word": provider.token({ exp: "never" }),
    "of a person without a name": provider.token({ sub: "" }),
    "of a person whose name has lines": provider.token({ sub: "ann\nroot" }),
    "without an id": provider.token({ jti: undefined }),
    "of an absurd length": provider.token({ padding: "x".repeat(5000) }),
    "that is two": `${provider.token()}, ${provider.token()}`,
  };
  const tries: Try[] = [];
  const add = (what: string, caller: Caller, metadata: Readonly<Record<string, string>>): void =>
    void tries.push({ what, attack: async () => judge(await ask(caller, metadata)) });
  for (const [who, caller] of [
    ["an operator", operator],
    ["an admin", admin],
  ] as const) {
    add(`${who} without a token`, caller, {});
    for (const [what, token] of Object.entries(tokens))
      add(`${who}, a token ${what}`, caller, { "socle-person": token });
    add(`${who}, a token under another name`, caller, { authorization: `Bearer ${provider.token()}` });
    add(`${who}, break-glass over the network`, caller, { "socle-break-glass": "I must" });
    add(`${who}, break-glass over the network, with a token`, caller, {
      "socle-break-glass": "I must",
      "socle-person": provider.token(),
    });
    add(`${who}, another ticket than the token's`, caller, {
      "socle-person": provider.token({ ticket: "A" }),
      "socle-ticket": "B",
    });
  }
  for (const [who, caller] of [
    ["a viewer", viewer],
    ["an auditor", auditor],
  ] as const) {
    add(`${who} with a valid token`, caller, { "socle-person": provider.token() });
    add(`${who} with a token that names an admin`, caller, {
      "socle-person": provider.token({ sub: "admin", role: "admin", roles: ["admin"] }),
    });
    add(`${who}, break-glass over the network`, caller, { "socle-break-glass": "I must" });
  }
  const check = (): Promise<void> => {
    for (const caller of callers) caller.close();
    return Promise.resolve();
  };
  return { name: "people", tries, check };
}

const refusals: ReadonlySet<status> = new Set([
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
  status.INVALID_ARGUMENT,
]);

function judge({ code, reason }: Answer): Outcome {
  return refusals.has(code) ? "refused" : { letThrough: `answered ${status[code]} ${reason}` };
}
