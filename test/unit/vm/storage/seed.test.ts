import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { SEED_BYTES } from "../../../../agent/vm/model/volume-names.ts";
import { hostnameOf, seedImage, type Seed } from "../../../../agent/vm/storage/seed.ts";
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
