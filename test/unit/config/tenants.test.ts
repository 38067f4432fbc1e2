import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../../../agent/config/load.ts";
import { tenantRules } from "../../../agent/config/tenants.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";

const parsed = (text: string) => parseConfig(text, "agent.yaml").config;

function problemsOf(text: string): string {
  try {
    parsed(text);
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError);
    return thrown.message;
  }
  return "";
}

test("a tenant's own keys override the default ones, key by key", () => {
  const { tenants } = parsed(`
vm: {bridges: [br0]}
tenants:
  default: {networks: [shared], quotas: {vms: 10, vcpus: 40}}
  byName:
    acme: {bridges: [br0], quotas: {vms: 2}}
`);
  const usual = tenantRules(tenants, "other");
  assert.deepEqual([usual.networks, usual.bridges, usual.quotas.vms], [["shared"], [], 10]);
  const acme = tenantRules(tenants, "acme");
  assert.deepEqual([acme.networks, acme.bridges], [["shared"], ["br0"]]);
  assert.deepEqual([acme.quotas.vms, acme.quotas.vcpus, acme.quotas.diskMiB], [2, 40, null]);
  assert.deepEqual(tenantRules(tenants, "constructor"), usual);
});

test("by default a tenant's callers may not choose networks, addresses or devices", () => {
  const { networks, bridges, macAddresses, addresses, devices, ...rest } = tenantRules(
    parsed("").tenants,
    "acme",
  );
  assert.deepEqual([networks, bridges, macAddresses, addresses, devices], [[], [], [], [], []]);
  assert.deepEqual([rest.allowSpoofing, rest.hugePages, rest.dedicatedCpus], [false, false, false]);
});

test("a tenant's permissions must be valid, and their objects must exist on this host", () => {
  const problems = problemsOf(`
host: {deviceAliases: {gpu: "10de:20b0"}}
tenants:
  default: {bridges: [br9], devices: [gpu, tpu, "0000:3b:00.0"], quotas: {vms: -1}}
  byName:
    acme: {macAddresses: ["52:54"], addresses: [10.0.0.0/33], network: [x]}
    "a b": {}
`);
  for (const expected of [
    /tenants\.default\.quotas\.vms: must be at least 0/,
    /tenants\.byName\.acme\.macAddresses\.0: must be a MAC address/,
    /tenants\.byName\.acme\.addresses\.0: must be an IP address/,
    /tenants\.byName\.acme\.network: unknown key/,
    /tenants\.byName\.a b: must be a tenant's name/,
  ])
    assert.match(problems, expected);
  const absent = problemsOf(
    "tenants: {default: {bridges: [br9]}, byName: {acme: {devices: [tpu, '0000:3b:00.0']}}}",
  );
  assert.match(absent, /tenants\.default\.bridges: br9 is not among vm\.bridges/);
  assert.match(absent, /tenants\.byName\.acme\.devices: tpu is neither a name/);
  assert.doesNotMatch(absent, /3b:00/);
});
