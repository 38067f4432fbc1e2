// Which tokens name the acting person: the identity provider's, and none that only resembles them.
import assert from "node:assert/strict";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { silentLog } from "../../../agent/kernel/log.ts";
import { People } from "../../../agent/trust/index.ts";
import { folder } from "../../support/state/folder.ts";
import {
  annsClaims,
  audience,
  encoded,
  hmacToken,
  IdentityProvider,
  issuer,
} from "../../support/trust/identity-provider.ts";

const hostId = "11111111-2222-4333-8444-555555555555";

async function peopleOf(t: TestContext, keys: string) {
  const path = join(await folder(t), "keys");
  await writeFile(path, keys);
  let aheadMs = 0;
  const people = new People({
    keys: path,
    rules: () => ({ issuer, audiences: [audience, hostId], maxAgeMs: 1_800_000 }),
    now: () => Date.now() + aheadMs,
    log: silentLog,
  });
  const first = await people.reload();
  const wait = (ms: number): void => void (aheadMs += ms);
  return { people, path, first, wait };
}

test("a person with a token of the identity provider is known, by either algorithm, from PEM and from a JWK set", async (t) => {
  const [eddsa, es256] = [new IdentityProvider("EdDSA"), new IdentityProvider("ES256")];
  const rsa = { kty: "RSA", n: "AQAB", e: "AQAB", kid: "r" };
  const files = {
    PEM: [eddsa.pem + es256.pem, {}, {}],
    "a JWK set": [
      JSON.stringify({ keys: [rsa, eddsa.jwk("a"), es256.jwk("b")] }),
      { kid: "a" },
      { kid: "b" },
    ],
  } as const;
  for (const [what, [text, ofEddsa, ofEs256]] of Object.entries(files)) {
    const { people } = await peopleOf(t, text);
    const ann = { name: "ann@example", token: "t-1" };
    assert.deepEqual(people.verify(eddsa.token({}, ofEddsa)), ann, what);
    const withTicket = es256.token({ ticket: "CHG-7", aud: ["other", hostId] }, { ...ofEs256, typ: "JWT" });
    assert.deepEqual(people.verify(withTicket), { ...ann, ticket: "CHG-7" }, what);
  }
});

test("a token that only resembles the provider's is refused, and its text is in no message", async (t) => {
  const idp = new IdentityProvider();
  const es256 = new IdentityProvider("ES256");
  const stranger = new IdentityProvider();
  const { people } = await peopleOf(t, JSON.stringify({ keys: [idp.jwk("a"), es256.jwk("b")] }));
  const kid = { kid: "a" };
  const good = idp.token({}, kid);
  assert.equal(people.verify(good).name, "ann@example");
  const [header = "", payload = "", signature = ""] = good.split(".");
  const now = Math.floor(Date.now() / 1000);
  const evil = encoded({ ...annsClaims(), sub: "root@example" });
  const without = (claim: string): string => idp.token({ [claim]: undefined }, kid);
  const attacks: Record<string, string> = {
    "no algorithm": `${encoded({ alg: "none", ...kid })}.${payload}.`,
    "no algorithm, in capitals": `${encoded({ alg: "NONE", ...kid })}.${payload}.${signature}`,
    "no signature": `${header}.${payload}.`,
    "the public key as an HMAC secret": hmacToken(idp.pem),
    "another algorithm than the key's": `${encoded({ alg: "ES256", ...kid })}.${payload}.${signature}`,
    "changed claims": `${header}.${evil}.${signature}`,
    "a signature with a bit flipped": `${header}.${payload}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`,
    "a zero signature of ECDSA": `${encoded({ alg: "ES256", kid: "b" })}.${payload}.${Buffer.alloc(64).toString("base64url")}`,
    "an unknown key": stranger.token({}, kid),
    "a key in its own header": stranger.token({}, { jwk: stranger.jwk("x"), jku: "https://evil.example" }),
    "an unknown key id": idp.token({}, { kid: "../../etc/passwd" }),
    "the key id of another key": idp.token({}, { kid: "b" }),
    "no key id": idp.token(),
    "an extension that must be understood": idp.token({}, { ...kid, crit: ["b64"], b64: false }),
    "another issuer": idp.token({ iss: "https://evil.example" }, kid),
    "another audience": idp.token({ aud: "other.example" }, kid),
    "an empty audience": idp.token({ aud: "" }, kid),
    "no audience in a list": idp.token({ aud: [] }, kid),
    "from the future": idp.token({ iat: now + 3600, exp: now + 7200 }, kid),
    "not before the future": idp.token({ nbf: now + 3600 }, kid),
    "an end that is not a number": idp.token({ exp: String(now + 600) }, kid),
    "an end beyond all numbers": `${header}.${Buffer.from(JSON.stringify(annsClaims()).replace(/"exp":\d+/, '"exp":1e999')).toString("base64url")}.${signature}`,
    "a name with a line break": idp.token({ sub: "ann\nroot" }, kid),
    "an empty name": idp.token({ sub: "" }, kid),
    "no name": without("sub"),
    "no issuer": without("iss"),
    "no end": without("exp"),
    "no beginning": without("iat"),
    "no id": without("jti"),
    "too large": idp.token({ more: "x".repeat(5000) }, kid),
    "a fourth part": `${good}.${signature}`,
    padding: `${good}==`,
    "another spelling of its last character": `${good.slice(0, -1)}${good.endsWith("A") ? "B" : String.fromCharCode(good.charCodeAt(good.length - 1) + 1)}`,
    "JSON serialization": JSON.stringify({ payload, protected: header, signature }),
    "a header that is a list": `${encoded(["EdDSA"])}.${payload}.${signature}`,
    nothing: "",
  };
  for (const [what, token] of Object.entries(attacks)) {
    assert.throws(
      () => people.verify(token),
      (thrown: { kind?: string; reason?: string; message?: string }) => {
        assert.equal(thrown.kind, "unauthenticated", `${what}: ${thrown.message ?? ""}`);
        assert.equal(thrown.reason, "PERSON_TOKEN_INVALID", what);
        for (const part of token.split(".").filter((text) => text.length > 8))
          assert.ok(!thrown.message?.includes(part), what);
        return true;
      },
      what,
    );
  }
});

test("a token is valid for many calls until it expires by itself or by the host's limit", async (t) => {
  const idp = new IdentityProvider();
  const { people, wait } = await peopleOf(t, idp.pem);
  const [short, long] = [idp.token(), idp.token({ exp: (annsClaims()["iat"] as number) + 86_400 })];
  const expired = { kind: "unauthenticated", reason: "PERSON_TOKEN_EXPIRED" };
  for (let call = 0; call < 3; call += 1) assert.equal(people.verify(short).name, "ann@example");
  wait(620_000);
  assert.equal(people.verify(short).name, "ann@example", "clocks may differ a little");
  wait(60_000);
  assert.throws(() => people.verify(short), expired);
  assert.equal(people.verify(long).name, "ann@example");
  wait(1_200_000);
  assert.throws(() => people.verify(long), expired, "the host accepts no token older than its limit");
  assert.throws(() => people.verify(idp.token({ exp: 1e300, iat: -1e300 })), expired);
});

test("unusable keys are refused with their fault, and the last good ones stay", async (t) => {
  const [idp, next] = [new IdentityProvider(), new IdentityProvider("ES256")];
  const { people, path, first } = await peopleOf(t, idp.pem);
  assert.match(first.changedTo ?? "", /^[0-9a-f]{64}$/);
  assert.deepEqual(await people.reload(), {}, "the same keys are no change");
  const bad: Record<string, string> = {
    empty: "",
    "no key": "hello",
    "a private key": idp.privatePem,
    "a private key in a set": JSON.stringify({ keys: [idp.privateJwk] }),
    "a secret": JSON.stringify({ keys: [{ kty: "oct", k: "c2VjcmV0", kid: "a" }] }),
    "a damaged key": idp.pem.replace("MCow", "MCox"),
    "a point that is on no curve": JSON.stringify({ keys: [{ ...next.jwk("a"), x: "AAAA" }] }),
    "for encryption": JSON.stringify({ keys: [{ ...idp.jwk("a"), use: "enc" }] }),
  };
  for (const [what, text] of Object.entries(bad)) {
    await writeFile(path, text);
    assert.deepEqual(await people.reload(), { problem: "PERSON_KEYS_INVALID" }, what);
    assert.equal(people.verify(idp.token()).name, "ann@example", what);
  }
  await writeFile(path, next.pem);
  await chmod(path, 0o666);
  assert.deepEqual(await people.reload(), { problem: "PERSON_KEYS_INVALID" }, "any user can write it");
  await chmod(path, 0o644);
  assert.ok((await people.reload()).changedTo);
  assert.throws(() => people.verify(idp.token()), { reason: "PERSON_TOKEN_INVALID" }, "the old key is gone");
  assert.equal(people.verify(next.token()).name, "ann@example");
});

test("without any key no token is accepted", async (t) => {
  const { people, first } = await peopleOf(t, "");
  assert.deepEqual(first, { problem: "PERSON_KEYS_INVALID" });
  assert.throws(() => people.verify(new IdentityProvider().token()), { reason: "PERSON_KEYS_MISSING" });
});
