import assert from "node:assert/strict";
import { test } from "node:test";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import {
  isPublicAddress,
  parseSource,
  requireAllowedAddress,
  requireAllowedSource,
  shownUrl,
} from "../../../../agent/vm/images/source-policy.ts";

const strict = { allowHttp: false, allowPrivateAddresses: false, allowedHosts: [] };

const reasonOf = (act: () => unknown): string => {
  try {
    act();
  } catch (thrown) {
    return toSocleError(thrown).reason;
  }
  return "none";
};

test("addresses of this host, its networks and groups of hosts are not public, in any notation", () => {
  const notPublic = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2001:0:1::1",
    "fc00::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "not an address",
  ];
  assert.deepEqual(notPublic.filter(isPublicAddress), []);
  const open = [
    "8.8.8.8",
    "100.63.255.255",
    "172.32.0.1",
    "192.169.0.1",
    "2606:4700::1111",
    "2a04:4e42::644",
  ];
  assert.deepEqual(open.filter(isPublicAddress), open);
});

test("private addresses need the host's permission, and groups of hosts are denied with it", () => {
  const url = new URL("https://images.example/x");
  const lax = { ...strict, allowPrivateAddresses: true };
  assert.equal(
    reasonOf(() => requireAllowedAddress(url, "10.0.0.1", strict)),
    "IMAGE_SOURCE_DENIED",
  );
  assert.equal(
    reasonOf(() => requireAllowedAddress(url, "10.0.0.1", lax)),
    "none",
  );
  assert.equal(
    reasonOf(() => requireAllowedAddress(url, "::1", lax)),
    "none",
  );
  for (const address of ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "::ffff:127.0.0.1"])
    assert.equal(
      reasonOf(() => requireAllowedAddress(url, address, lax)),
      "IMAGE_SOURCE_DENIED",
      address,
    );
});

test("a URL in another spelling of a private address names that address", () => {
  for (const text of [
    "https://0x7f.1/x",
    "https://2130706433/x",
    "https://127.1/x",
    "https://0177.0.0.1/x",
  ]) {
    const url = parseSource(text);
    assert.equal(
      reasonOf(() => requireAllowedAddress(url, url.hostname, strict)),
      "IMAGE_SOURCE_DENIED",
      text,
    );
  }
});

test("only https is allowed, http by configuration, and no other scheme ever", () => {
  const http = parseSource("http://images.example/x");
  assert.equal(
    reasonOf(() => requireAllowedSource(http, strict)),
    "IMAGE_SOURCE_DENIED",
  );
  assert.equal(
    reasonOf(() => requireAllowedSource(http, { ...strict, allowHttp: true })),
    "none",
  );
  for (const text of [
    "file:///etc/shadow",
    "ftp://a/x",
    "nbd://a/x",
    "https://%zz@a/x",
    "/etc/shadow",
    "",
    "https://",
    "x".repeat(5000),
  ])
    assert.equal(
      reasonOf(() => parseSource(text)),
      "SPEC_INVALID",
      text.slice(0, 30),
    );
});

test("the allowed hosts are names, or whole domains", () => {
  const rules = { ...strict, allowedHosts: ["cloud.debian.org", "*.mirror.example"] };
  const allowed = (host: string): string =>
    reasonOf(() => requireAllowedSource(new URL(`https://${host}/x`), rules));
  assert.equal(allowed("cloud.debian.org"), "none");
  assert.equal(allowed("a.b.mirror.example"), "none");
  for (const host of ["debian.org", "evil-cloud.debian.org.example", "mirror.example", "xmirror.example"])
    assert.equal(allowed(host), "IMAGE_SOURCE_DENIED", host);
});

test("a shown URL has neither credentials nor a query", () => {
  const url = parseSource("https://user:secret@images.example:8443/a/b.qcow2?token=secret#secret");
  assert.equal(shownUrl(url), "https://images.example:8443/a/b.qcow2");
});
