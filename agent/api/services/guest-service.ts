import { invalidField } from "../../kernel/errors.ts";
import type { ExecInGuestRequest__Output } from "../../gen/socle/v1/ExecInGuestRequest.ts";
import type { GuestInfo as ProtoInfo } from "../../gen/socle/v1/GuestInfo.ts";
import type { GuestServiceHandlers } from "../../gen/socle/v1/GuestService.ts";
import { withoutUndefined } from "../../kernel/defined.ts";
import type { GuestInfo } from "../../vm/model/guest-info.ts";
import type { Guest, GuestProgram } from "../../vm/operations/guest.ts";
import { durationMs, toTimestamp } from "../convert/time.ts";
import type { Caller } from "../auth/identity.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { Methods } from "./handler.ts";
import { forCaller } from "./tenancy.ts";

const FREEZE_MS = { least: 1000, usual: 30_000, most: 300_000 } as const;
const EXEC_MS = { usual: 30_000, most: 300_000 } as const;
const MOST_KEYS = 64;
const MOST_INPUT_BYTES = 64 * 1024;
const MOST_ARGUMENTS = 128;
const MOST_ENVIRONMENT = 64;
const MOST_COMMAND_BYTES = 32 * 1024;

export function guestService(dependencies: ServiceDependencies): Methods<GuestServiceHandlers> {
  const of = forCaller(dependencies);
  const guest = (vm: string, caller: Caller): Guest => of(caller).vms.guest(vm);
  return {
    GetGuestInfo: async ({ vm }, { caller, signal }) => infoToProto(await guest(vm, caller).info(signal)),
    async SetGuestPassword({ vm, user, password, hashed }, { caller, signal }) {
      requireText("user", user, 64, /^[^\s:/]+$/);
      requireText("password", password, 1024, hashed ? /^[!-~]+$/ : /^[^\n\r]+$/);
      await guest(vm, caller).setPassword(user, password, hashed, signal);
      return {};
    },
    async SetGuestSshKeys({ vm, user, keys, replace }, { caller, signal }) {
      requireText("user", user, 64, /^[^\s:/]+$/);
      if (keys.length > MOST_KEYS || (keys.length === 0 && !replace))
        throw invalidField(
          "REQUEST_INVALID",
          "keys",
          `must have 1 to ${MOST_KEYS} keys; none only with replace`,
        );
      for (const [index, key] of keys.entries()) requireText(`keys[${index}]`, key, 8192, /^[!-~][ -~]*$/);
      await guest(vm, caller).setSshKeys(user, keys, replace ? "replace" : "add", signal);
      return {};
    },
    TrimGuest: async ({ vm }, { caller, signal }) => ({
      filesystems: [...(await guest(vm, caller).trim(signal))],
    }),
    async SyncGuestTime({ vm }, { caller, signal }) {
      await guest(vm, caller).syncTime(signal);
      return {};
    },
    async FreezeFilesystems({ vm, timeout }, { caller, signal }) {
      const forMs = timeout === null ? FREEZE_MS.usual : durationMs("timeout", timeout);
      if (forMs < FREEZE_MS.least || forMs > FREEZE_MS.most)
        throw invalidField("REQUEST_INVALID", "timeout", "must be 1 s to 300 s");
      const { filesystems, untilMs } = await guest(vm, caller).freeze(forMs, signal);
      return { filesystems, frozenUntil: toTimestamp(untilMs) };
    },
    async ThawFilesystems({ vm }, { caller, signal }) {
      return { filesystems: await guest(vm, caller).thaw(signal) };
    },
    async ExecInGuest(request, { caller, signal }) {
      const program = programOf(request);
      const { exitCode, signal: ending, ...rest } = await guest(request.vm, caller).exec(program, signal);
      const { output, errorOutput, isTruncated: truncated } = rest;
      return { ...withoutUndefined({ exitCode, signal: ending }), output, errorOutput, truncated };
    },
  };
}

/** NUL ends libvirt's texts, so it is in none. */
function requireText(field: string, text: string, mostLength: number, form: RegExp): void {
  if (text.length >= 1 && text.length <= mostLength && form.test(text) && !text.includes("\0")) return;
  throw invalidField("REQUEST_INVALID", field, `must be 1 to ${mostLength} characters of one line`);
}

function programOf(request: ExecInGuestRequest__Output): GuestProgram {
  const { path, arguments: args, environment, input, timeout } = request;
  requireText("path", path, 4096, /^\S.*$/);
  const timeoutMs = timeout === null ? EXEC_MS.usual : durationMs("timeout", timeout);
  if (timeoutMs > EXEC_MS.most) throw invalidField("REQUEST_INVALID", "timeout", "must be at most 300 s");
  if (args.length > MOST_ARGUMENTS)
    throw invalidField("REQUEST_INVALID", "arguments", `must be at most ${MOST_ARGUMENTS}`);
  if (environment.length > MOST_ENVIRONMENT || !environment.every((entry) => /^[^=\0]+=/.test(entry)))
    throw invalidField(
      "REQUEST_INVALID",
      "environment",
      `must be at most ${MOST_ENVIRONMENT} of the form NAME=VALUE`,
    );
  const texts = [...args, ...environment];
  if (texts.some((text) => text.includes("\0")))
    throw invalidField("REQUEST_INVALID", "arguments", "must have no NUL, also in the environment");
  if (texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) > MOST_COMMAND_BYTES)
    throw invalidField("REQUEST_INVALID", "arguments", "must be at most 32 KiB with the environment");
  if (input.length > MOST_INPUT_BYTES)
    throw invalidField("REQUEST_INVALID", "input", "must be at most 64 KiB");
  return { path, arguments: args, environment, input, timeoutMs };
}

function infoToProto({ os, timeMs, users, filesystems, interfaces, ...info }: GuestInfo): ProtoInfo {
  return {
    ...info,
    osId: os.id,
    osName: os.name,
    osVersion: os.version,
    kernel: os.kernel,
    time: timeMs === undefined ? null : toTimestamp(timeMs),
    users: users.map(({ name, loginMs }) => ({
      name,
      loginAt: loginMs === undefined ? null : toTimestamp(loginMs),
    })),
    filesystems: filesystems.map(withoutUndefined),
    interfaces: interfaces.map(({ addresses, ...nic }) => ({ ...nic, addresses: [...addresses] })),
  };
}
