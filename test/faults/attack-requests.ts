import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import { bootSector } from "../support/socle-host.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import type { Answer, Caller } from "./attack-calls.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

const MIB = 2 ** 20;
/** The agent accepts 256 KiB per message. */
const FITTING_BYTES = 250_000;
const ASKED_TIMES = 9;
/** Relative to one long field of the same size. Decoding as many elements takes a hundred times as long. */
const MOST_TIMES_AS_LONG = 8;

/** Requests with values or element counts that no valid request has: they start nothing and are not decoded. */
export async function requests(stage: Stage): Promise<Theme> {
  const { host, authority, contract } = stage;
  const { CreateVm, StartVm } = contract.vms;
  const callers: readonly (readonly [who: string, by: Caller])[] = [
    ["a scheduler", stage.callerOf(await authority.issue("scheduler/requests"))],
    ["the operator", stage.onSocket()],
  ];
  const begun = await host.client.ask(CreateVm, {
    requestId: randomUUID(),
    spec: bootSector("numbered"),
    leaveStopped: true,
  });
  const { vmId } = await host.ended(begun, 60_000);
  const tries: Try[] = [];
  for (const [who, by] of callers) {
    for (const placementEpoch of ["9007199254740992", "9007199254740993", "18446744073709551615"]) {
      const start = { requestId: randomUUID(), vm: vmId, placementEpoch };
      const create = { requestId: randomUUID(), spec: bootSector("too-late"), placementEpoch };
      for (const [what, path, request] of [
        ["a start", StartVm.path, StartVm.requestSerialize(start)],
        ["a creation", CreateVm.path, CreateVm.requestSerialize(create)],
      ] as const)
        tries.push({
          what: `${what} with the placement epoch ${placementEpoch} by ${who}`,
          attack: async () => {
            const { code, reason } = await by.call(path, request);
            const states = await host.witness.states();
            if (states.has("too-late") || states.get("numbered") !== "shut off")
              return { letThrough: `it was done (${status[code]})` };
            return isInvalid({ code, reason }, "REQUEST_INVALID");
          },
        });
    }
    for (const [what, most, spec] of [
      ["NICs", FITTING_BYTES / 2, (count: number) => ({ nics: empty(count) })],
      ["disks", FITTING_BYTES / 2, (count: number) => ({ disks: empty(count) })],
      [
        "addresses of one NIC",
        FITTING_BYTES / 2,
        (count: number) => ({
          nics: [{ name: "n", allowedAddresses: Array.from({ length: count }, () => "") }],
        }),
      ],
    ] as const)
      tries.push({
        what: `a creation of ${most} empty ${what} by ${who}`,
        attack: () => isRefusedQuickly(stage, by, spec(most)),
      });
    const large = CreateVm.requestSerialize({ requestId: "r", spec: { nics: empty(MIB / 2) } });
    tries.push({
      what: `a creation of 1 MiB of empty NICs by ${who}`,
      attack: async () => {
        const { code, reason } = await by.call(CreateVm.path, large);
        if (code === status.RESOURCE_EXHAUSTED) return "refused";
        return isInvalid({ code, reason }, "REQUEST_TOO_LARGE");
      },
    });
  }
  return {
    name: "requests",
    tries,
    check: async () => {
      for (const [, by] of callers) by.close();
      await host.succeeds({ kind: "DELETE", vm: vmId, requestId: randomUUID() });
    },
  };
}

const empty = (count: number): Record<string, never>[] => Array.from({ length: count }, () => ({}));

function isInvalid({ code, reason }: Pick<Answer, "code" | "reason">, expected: string): Outcome {
  if (code === status.INVALID_ARGUMENT && reason === expected) return "refused";
  return { letThrough: `it is not refused as ${expected}: ${status[code]} ${reason}` };
}

/** Refused by the element count, before decoding: as fast as a request with one long field, which is refused too. */
async function isRefusedQuickly({ host, contract }: Stage, by: Caller, spec: VmSpec): Promise<Outcome> {
  const { path, requestSerialize } = contract.vms.CreateVm;
  const medianMs = async (
    asked: VmSpec,
    reason: string,
    which: "ownMs" | "tookMs",
  ): Promise<number | Outcome> => {
    const request = requestSerialize({ requestId: "r", spec: asked });
    const times: number[] = [];
    for (let turn = 0; turn < ASKED_TIMES; turn += 1) {
      const timed = await host.timed(() => by.call(path, request));
      const outcome = isInvalid(timed.answer, reason);
      if (outcome !== "refused") return outcome;
      times.push(timed[which]);
    }
    return times.sort((a, b) => a - b)[Math.floor(ASKED_TIMES / 2)] ?? 0;
  };
  const one = await medianMs({ tenant: "x".repeat(FITTING_BYTES) }, "SPEC_INVALID", "tookMs");
  const many = await medianMs(spec, "REQUEST_TOO_LARGE", "ownMs");
  if (typeof one !== "number") throw new Error(`the request of one field: ${JSON.stringify(one)}`);
  if (typeof many !== "number") return many;
  if (many <= MOST_TIMES_AS_LONG * one) return "refused";
  return { letThrough: `it takes ${many.toFixed(1)} ms, one field of that size ${one.toFixed(1)} ms` };
}
