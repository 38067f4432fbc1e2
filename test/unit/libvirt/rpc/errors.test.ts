import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ErrorKind } from "../../../../agent/kernel/errors.ts";
import { ErrorNumber } from "../../../../agent/libvirt/protocol/index.ts";
import { libvirtError, remoteError } from "../../../../agent/libvirt/rpc/errors.ts";
import { XdrReader } from "../../../../agent/libvirt/rpc/xdr.ts";
import { errorBody } from "../../../support/libvirt/fake-daemon.ts";

function kindOf(code: number, int1 = 0): string {
  const error = remoteError.decode(new XdrReader(errorBody(code, "words of libvirt", int1)));
  const { kind, reason } = libvirtError(error, "DOMAIN_CREATE_WITH_FLAGS");
  return `${kind} ${reason}`;
}

describe("libvirt's error numbers become kinds and reasons", () => {
  const cases: readonly [number, ErrorKind, string][] = [
    [1, "internal", "INTERNAL_ERROR"],
    [2, "exhausted", "NO_MEMORY"],
    [3, "unsupported", "NO_SUPPORT"],
    [8, "invalid", "INVALID_ARG"],
    [27, "invalid", "XML_ERROR"],
    [28, "already_exists", "DOM_EXIST"],
    [29, "denied", "OPERATION_DENIED"],
    [38, "internal", "SYSTEM_ERROR"],
    [42, "not_found", "NO_DOMAIN"],
    [43, "not_found", "NO_NETWORK"],
    [45, "denied", "AUTH_FAILED"],
    [49, "not_found", "NO_STORAGE_POOL"],
    [50, "not_found", "NO_STORAGE_VOL"],
    [55, "conflict", "OPERATION_INVALID"],
    [66, "not_found", "NO_SECRET"],
    [67, "invalid", "CONFIG_UNSUPPORTED"],
    [68, "timeout", "OPERATION_TIMEOUT"],
    [78, "cancelled", "OPERATION_ABORTED"],
    [79, "denied", "AUTH_CANCELLED"],
    [84, "unsupported", "OPERATION_UNSUPPORTED"],
    [86, "unavailable", "AGENT_UNRESPONSIVE"],
    [87, "conflict", "RESOURCE_BUSY"],
    [88, "denied", "ACCESS_DENIED"],
    [90, "already_exists", "STORAGE_VOL_EXIST"],
    [112, "timeout", "AGENT_COMMAND_TIMEOUT"],
    [9999, "internal", "ERROR_9999"],
  ];
  for (const [code, kind, name] of cases) {
    it(`${code} is ${kind} LIBVIRT_${name}`, () => assert.equal(kindOf(code), `${kind} LIBVIRT_${name}`));
  }

  it("a number with a kind has libvirt's name for it", () => {
    const unnamed = Object.entries(ErrorNumber).filter(([name, code]) => {
      const reason = kindOf(code).split(" ")[1];
      return reason !== `LIBVIRT_${name.replace(/^ERR_/, "")}` && reason !== `LIBVIRT_ERROR_${code}`;
    });
    assert.deepEqual(unnamed, []);
  });

  it("a system error is classified by its errno, if that is more precise", () => {
    assert.equal(kindOf(38, 28), "exhausted LIBVIRT_NO_SPACE");
    assert.equal(kindOf(38, 17), "already_exists LIBVIRT_FILE_EXISTS");
    assert.equal(kindOf(38, 5), "internal LIBVIRT_SYSTEM_ERROR");
    assert.equal(kindOf(42, 28), "not_found LIBVIRT_NO_DOMAIN", "other errors carry no errno");
  });

  it("a QEMU message of several lines becomes one", () => {
    const text = 'process exited: Failed to get "write" lock\nIs another process using the image [/p/a]?\n';
    const body = new XdrReader(errorBody(1, text));
    const { message } = libvirtError(remoteError.decode(body), "DOMAIN_CREATE_WITH_FLAGS");
    assert.match(message, /Failed to get "write" lock Is another process using the image \[\/p\/a\]\?$/);
  });

  it("with libvirt's message, the call and the numbers", () => {
    const error = libvirtError(
      remoteError.decode(new XdrReader(errorBody(42, "no domain 'x'"))),
      "DOMAIN_GET_INFO",
    );
    assert.match(error.message, /DOMAIN_GET_INFO.*no domain 'x'/);
    assert.deepEqual(error.details.metadata, {
      libvirtCode: "42",
      libvirtDomain: "10",
      procedure: "DOMAIN_GET_INFO",
    });
  });
});
