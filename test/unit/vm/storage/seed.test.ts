import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { SEED_BYTES } from "../../../../agent/vm/model/volume-names.ts";
import { hostnameOf, seedImage, seedSecretsOf, type Seed } from "../../../../agent/vm/storage/seed.ts";
import { publicKey } from "../../../support/vm/seeds.ts";

const seed: Seed = {
  instance: "0b0c7c1e-9d2f-4f59-8f0e-2f4a8f6f5d10",
  hostname: "web-1.example.com",
  sshKeys: [publicKey],
  macs: ["52:54:00:12:34:56", "52:54:00:12:34:57"],
  userData: "#cloud-config\npackages: [nginx]\n",
};
const has = (image: Buffer, text: string): boolean => image.includes(Buffer.from(text));

test("a seed's bytes are the same on every host and at any time", () => {
  const image = seedImage(seed);
  assert.equal(image.length, SEED_BYTES);
  assert.equal(hash("sha256", image), "e753fe7bd7a4e6789f1e6d4d81750e710ccb08dd40fca8590b165d0f9d273d86");
});

test("without a network configuration every NIC uses DHCP, found by its MAC; the first alone delays the boot", () => {
  const image = seedImage(seed);
  const of = (mac: string, name: string, more = ""): string =>
    `"${name}":{"match":{"macaddress":"${mac}"},"set-name":"${name}","dhcp4":true,"dhcp6":true${more}}`;
  const ethernets = [of("52:54:00:12:34:56", "eth0"), of("52:54:00:12:34:57", "eth1", ',"optional":true')];
  assert.ok(has(image, `{"version":2,"ethernets":{${ethernets.join(",")}}}\n`));
  const given = seedImage({ ...seed, networkConfig: "version: 1\n" });
  assert.ok(has(given, "version: 1\n") && !has(given, "macaddress"));
  // A guest without NICs: cloud-init's own default.
  assert.ok(!has(seedImage({ ...seed, macs: [] }), "NETWORK-CONFIG"));
});

test("the largest seed fits", () => {
  const image = seedImage({
    ...seed,
    // JSON doubles a quotation mark.
    sshKeys: [`ssh-rsa AAAA ${'"'.repeat(16 * 1024)}`],
    macs: Array.from({ length: 16 }, (_, index) => `52:54:00:00:00:${String(index).padStart(2, "0")}`),
    userData: "é".repeat(32 * 1024),
    networkConfig: "#".repeat(16 * 1024),
  });
  assert.equal(image.length, SEED_BYTES);
});

test("every VM name has a host name", () => {
  for (const [name, hostname] of [
    ["web-1", "web-1"],
    ["Web_1.Example.com", "web-1.example.com"],
    ["a..b_.-c", "a.b.c"],
    ["9_", "9"],
  ] as const)
    assert.equal(hostnameOf(name), hostname);
});

test("a seed gives back its secret parts as they were given, and no network configuration that the agent made", () => {
  const { userData } = seed;
  assert.deepEqual(seedSecretsOf(seedImage(seed)), { userData });
  const networkConfig = "version: 1 # é\n";
  assert.deepEqual(seedSecretsOf(seedImage({ ...seed, networkConfig })), { userData, networkConfig });
  // A caller may have given what the agent makes for other NICs with other options.
  const given =
    '{"version":2,"ethernets":{"eth0":{"match":{"macaddress":"52:54:00:12:34:56"},"dhcp4":false}}}\n';
  assert.equal(seedSecretsOf(seedImage({ ...seed, networkConfig: given })).networkConfig, given);
  const { userData: _, ...none } = seed;
  assert.deepEqual(seedSecretsOf(seedImage({ ...none, macs: [] })), {});
});

test("an image that is no seed, or is damaged anywhere, gives a RangeError or texts of its own", () => {
  const image = seedImage(seed);
  for (const other of [Buffer.alloc(0), Buffer.alloc(SEED_BYTES), image.subarray(0, 40_000)])
    assert.throws(() => seedSecretsOf(other), RangeError);
  // The primary descriptor and the directory, byte by byte.
  for (const [from, to] of [
    [16 * 2048, 16 * 2048 + 200],
    [23 * 2048, 23 * 2048 + 300],
  ] as const)
    for (let at = from; at < to; at += 1)
      for (const value of [0, 1, 0x7f, 0xff]) {
        const damaged = Buffer.from(image);
        damaged[at] = value;
        try {
          seedSecretsOf(damaged);
        } catch (thrown) {
          assert.ok(thrown instanceof RangeError, `${at}: ${String(thrown)}`);
        }
      }
});
