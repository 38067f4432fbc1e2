import assert from "node:assert/strict";
import test from "node:test";
import type { EnrollHostRequest__Output } from "../../../agent/gen/socle/v1/EnrollHostRequest.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";

test("trust without a domain prints whether TCP is open without TLS", async (context) => {
  const printed = async (state: object): Promise<string> => {
    const socket = await fakeAgent(context, { trust: { GetTrust: (_call, done) => done(null, state) } });
    return (await socle(["trust"], { socket })).stdout;
  };
  assert.match(await printed({}), /no TLS, only the unix socket$/m);
  const open = await printed({ insecureListen: "127.0.0.1:7440" });
  assert.match(
    open,
    /no TLS, the unix socket and 127\.0\.0\.1:7440 \(trust\.insecureLoopback\).*acts as a scheduler$/m,
  );
});

test("enroll sends an administrator's fingerprint; trust shows those in use", async (context) => {
  const requests: EnrollHostRequest__Output[] = [];
  const fingerprint = "ab".repeat(32);
  const state = {
    trustDomain: "cloud.example",
    identity: "spiffe://cloud.example/agent/host-1",
    authorityFingerprints: [fingerprint],
    revoked: 3,
    revocationsExpireAt: { seconds: 1_800_000_000, nanos: 0 },
  };
  const socket = await fakeAgent(context, {
    trust: {
      EnrollHost: ({ request }, done) => {
        requests.push(request);
        done(null, state);
      },
      GetTrust: (_call, done) => done(null, state),
    },
  });
  const enroll = ["enroll", "--scheduler", "127.0.0.1:7451", "--token-file", import.meta.filename];
  assert.equal((await socle(enroll, { socket })).exitCode, 0);
  assert.equal((await socle([...enroll, "--authority-fingerprint", fingerprint], { socket })).exitCode, 0);
  assert.deepEqual(
    requests.map(({ authorityFingerprint }) => authorityFingerprint),
    ["", fingerprint],
  );
  const { stdout } = await socle(["trust"], { socket });
  assert.match(stdout, new RegExp(`^authority +${fingerprint}$`, "m"));
  assert.match(stdout, /^revoked +3 certificates on the list, good until 2027-/m);
});
