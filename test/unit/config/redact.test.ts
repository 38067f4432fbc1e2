import assert from "node:assert/strict";
import { test } from "node:test";
import { redacted } from "../../../agent/config/redact.ts";
import { configSchema } from "../../../agent/config/schema.ts";

test("secrets are not printed, at any place", () => {
  const printed = redacted({
    api: { token: "t0p", tokenFile: "/etc/socle/token", list: [{ password: "p" }] },
    "private-key": "k",
    api_key: { nested: "n" },
    clientSecret: "s",
    unset: { password: null },
    libvirt: { uri: "qemu+tcp://me:hunter2@host/system" },
  });
  assert.deepEqual(printed, {
    api: { token: "[redacted]", tokenFile: "/etc/socle/token", list: [{ password: "[redacted]" }] },
    "private-key": "[redacted]",
    api_key: "[redacted]",
    clientSecret: "[redacted]",
    unset: { password: null },
    libvirt: { uri: "qemu+tcp://me:[redacted]@host/system" },
  });
});

test("the current configuration has no secret and is printed unchanged", () => {
  const config = configSchema.parse({});
  assert.deepEqual(redacted(config), config);
});
