import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { checkSeed, checkSpec } from "../../../agent/vm/model/spec-check.ts";
import { publicKey } from "../../support/vm/seeds.ts";

const disk = { name: "root", source: { kind: "new", pool: "fast", capacityBytes: 1 << 30 } };
const attached = { name: "root", source: { kind: "volume", volume: { pool: "slow", volume: "a.raw" } } };
const specWith = (cloudInit: object, disks: readonly object[] = [disk]) =>
  checkSpec(
    {
      name: "web-1",
      id: "6f1c2f1e-0000-4000-8000-000000000001",
      vcpus: 1,
      memoryBytes: 1 << 30,
      disks,
      cloudInit,
    },
    { bridges: [], allowSpoofing: false },
  );

/** The wrong fields, with what they must be. */
function refused(check: () => unknown): Readonly<Record<string, string>> {
  try {
    check();
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError && thrown.reason === "SPEC_INVALID");
    return thrown.details.fields ?? {};
  }
  return {};
}

test("a seed's pool is that of the first new disk, and must be given without one", () => {
  assert.equal(
    specWith(
      {},
      [attached, disk].map((each, index) => ({ ...each, name: `d${index}` })),
    ).cloudInit?.pool,
    "fast",
  );
  assert.equal(specWith({ pool: "seeds" }, [attached]).cloudInit?.pool, "seeds");
  const fields = refused(() => specWith({}, [attached]));
  assert.match(fields["spec.cloudInit.pool"] ?? "", /^must be given/);
});

test("a spec has no secret part of a seed", () => {
  for (const secret of ["userData", "networkConfig"])
    assert.notDeepEqual(
      refused(() => specWith({ [secret]: "#cloud-config" })),
      {},
    );
});

test("public keys of every type are accepted in one line each, and anything else is refused without being repeated", () => {
  const typed = (type: string, rest = ""): string => {
    const blob = Buffer.concat([Buffer.from([0, 0, 0, type.length]), Buffer.from(type), Buffer.alloc(40, 7)]);
    return `${type} ${blob.toString("base64")}${rest}`;
  };
  const types = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com"];
  const sshKeys = [publicKey, ...types.map((type) => typed(type)), typed("ssh-rsa", ' ada\'s "key" é')];
  assert.deepEqual(specWith({ sshKeys }).cloudInit?.sshKeys, sshKeys);
  const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  for (const key of [
    pem,
    pem.replaceAll("\n", " "),
    `${publicKey}\n`,
    `${publicKey}\n${publicKey}`,
    `command="id" ${publicKey}`,
    publicKey.slice(0, 30),
    publicKey.replace("ssh-ed25519", "ssh-rsa"),
    "ssh-ed25519",
    "",
  ]) {
    const fields = refused(() => specWith({ sshKeys: [key] }));
    assert.deepEqual(Object.keys(fields), ["spec.cloudInit.sshKeys[0]"], key);
    assert.match(Object.values(fields)[0] ?? "", /^must (be an OpenSSH public key|not contain control)/);
  }
  const long = typed("ssh-rsa", ` ${"x".repeat(9000)}`);
  assert.match(refused(() => specWith({ sshKeys: [long, long] }))["spec.cloudInit.sshKeys"] ?? "", /16 KiB/);
  const many = Array.from({ length: 33 }, () => publicKey);
  assert.match(refused(() => specWith({ sshKeys: many }))["spec.cloudInit.sshKeys"] ?? "", /at most 32/);
});

test("a host name follows RFC 1123", () => {
  for (const hostname of ["a", "web-1", "WEB.example.com", "1.2.3", `${"a".repeat(63)}.b`])
    assert.equal(specWith({ hostname }).cloudInit?.hostname, hostname);
  for (const hostname of [
    "",
    "-a",
    "a-",
    "a..b",
    ".a",
    "a.",
    "a_b",
    "a b",
    "é",
    "a\n",
    "a".repeat(64),
    "a.".repeat(127) + "ab",
  ])
    assert.deepEqual(
      Object.keys(refused(() => specWith({ hostname }))),
      ["spec.cloudInit.hostname"],
      hostname,
    );
});

test("the secret parts are bounded texts without NUL, in bytes, and a refusal does not repeat them", () => {
  const secrets = { userData: "é".repeat(32 * 1024), networkConfig: "#".repeat(16 * 1024) };
  assert.deepEqual(checkSeed(secrets), secrets);
  for (const [name, text] of Object.entries(secrets))
    for (const wrong of [`${text}!`, "hunter2\0"]) {
      const fields = refused(() => checkSeed({ [name]: wrong }));
      assert.deepEqual(Object.keys(fields), [`spec.cloudInit.${name}`]);
      assert.match(
        Object.values(fields)[0] ?? "",
        /^must be (at most \d+ KiB|text, without NUL characters)$/,
      );
    }
});
