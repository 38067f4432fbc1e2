import assert from "node:assert/strict";
import { test } from "node:test";
import type { TypedParameter } from "../../../../agent/libvirt/index.ts";
import { guestInfoOf } from "../../../../agent/vm/model/guest-info.ts";

const text = (field: string, value: string): TypedParameter => ({ field, value: { type: "string", value } });
const uint = (field: string, value: number): TypedParameter => ({ field, value: { type: "uint", value } });

test("what a guest reports is read, and what it leaves out is empty", () => {
  const info = guestInfoOf([
    text("hostname", "web"),
    text("os.pretty-name", "Debian 13"),
    uint("if.count", 1),
    text("if.0.name", "eth0"),
    text("if.0.hwaddr", "52:54:00:00:00:01"),
    uint("if.0.addr.count", 1),
    text("if.0.addr.0.addr", "192.0.2.9"),
    uint("if.0.addr.0.prefix", 24),
  ]);
  assert.equal(info.hostname, "web");
  assert.equal(info.os.name, "Debian 13");
  assert.deepEqual(info.interfaces, [
    { name: "eth0", mac: "52:54:00:00:00:01", addresses: ["192.0.2.9/24"] },
  ]);
  assert.deepEqual([info.users, info.filesystems, info.timezone], [[], [], ""]);
});

test("a guest that lies about its lists and texts gets short ones", () => {
  const info = guestInfoOf([
    text("hostname", `\u001b]0;x\u0007${"h".repeat(100_000)}`),
    uint("user.count", 4_000_000_000),
    text("user.0.name", "u"),
    uint("fs.count", -1),
    { field: "fs.0.total-bytes", value: { type: "double", value: NaN } },
    text("if.count", "many"),
  ]);
  assert.ok(info.hostname.length <= 255 && !/\p{Cc}/u.test(info.hostname));
  assert.equal(info.users.length, 32);
  assert.deepEqual([info.filesystems, info.interfaces], [[], []]);
});
