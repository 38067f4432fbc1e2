import assert from "node:assert/strict";
import test from "node:test";
import type { EnrollHostRequest__Output } from "../../../agent/gen/socle/v1/EnrollHostRequest.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";

test("trust without a domain says whether TCP is open without TLS", async (context) => {
  const told = async (state: object): Promise<string> => {
    const socket = await fakeAgent(context, { trust: { GetTrust: (_call, done) => done(null, state) } });
    return (await socle(["trust"], { socket })).stdout;
  };
  assert.match(await told({}), /no TLS, only the unix socket$/m);
  const open = await told({ insecureListen: "127.0.0.1:7440" });
  assert.match(
    open,
    /no TLS, the unix socket and 127\.0\.0\.1:7440 \(trust\.insecureLoopback\).*acts as a scheduler$/m,
  );
});

test("enroll sends the fingerprint that an administrator names; trust shows those in use", async (context) => {
  const asked: EnrollHostRequest__Output[] = [];
  const fingerprint = "ab".repeat(32);
  const state = {
    trustDomain: "cloud.example",
    identity: "spiffe://cloud.example/agent/host-1",
    authorityFingerprints: [fingerprint],
    revoked: 3,
    revocationsUntil: { seconds: 1_800_000_000, nanos: 0 },
  };
  const socket = await fakeAgent(context, {
    trust: {
      EnrollHost: ({ request }, done) => {
        asked.push(request);
        done(null, state);
      },
      GetTrust: (_call, done) => done(null, state),
    },
  });
  const enroll = ["enroll", "--scheduler", "127.0.0.1:7451", "--token-file", import.meta.filename];
  assert.equal((await socle(enroll, { socket })).exitCode, 0);
  assert.equal((await socle([...enroll, "--authority-fingerprint", fingerprint], { socket })).exitCode, 0);
  assert.deepEqual(
    asked.map(({ authorityFingerprint }) => authorityFingerprint),
    ["", fingerprint],
  );
  const { stdout } = await socle(["trust"], { socket });
  assert.match(stdout, new RegExp(`^authority +${fingerprint}$`, "m"));
  assert.match(stdout, /^revoked +3 certificates on the list, good until 2027-/m);
});
