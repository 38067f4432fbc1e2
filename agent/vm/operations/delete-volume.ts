import * as z from "../../kernel/zod.ts";
import { defined } from "../../kernel/defined.ts";
import { SocleError } from "../../kernel/errors.ts";
import { volumeKey } from "../storage/volume-users.ts";
import { defineOperation, type Result } from "./definition.ts";
import { volumeSchema } from "./erasure.ts";
import { requireVolumeFree } from "./volume-free.ts";
import { mayHaveBegun } from "./work.ts";

const DELETE = "delete";

/** Removes a volume that nothing uses. `erase`: overwrites it with zeros before. */
export const deleteVolume = defineOperation({
  kind: "DELETE_VOLUME",
  intent: z.object({
    volume: volumeSchema,
    erase: z.literal(true).exactOptional(),
    onlyTenant: z.string().exactOptional(),
  }),
  lane: ({ erase }) => (erase === true ? "erasure" : "command"),
  mayLeaveHalf: true,
  checksInstance: "always",
  // New VMs are refused it from before the users are known.
  removes: ({ volume }) => [volume],
  async run(context, { volume, erase, onlyTenant }, run) {
    const { volumes } = context;
    const { step, signal } = run;
    const mayBeGone = mayHaveBegun(run, DELETE);
    const checkUsers = async (): Promise<void> => {
      if (mayBeGone && !(await volumes.isThere(volume))) return;
      // A VM may have got it between the runs.
      await requireVolumeFree(context, { volume, change: "delete", onlyTenant });
    };
    await step("check users", checkUsers, 0.3);
    let erasedBytes: number | undefined;
    if (erase === true)
      erasedBytes = await step("erase", () => volumes.erasure.overwrite(volume, signal), 0.5).catch(
        (thrown: unknown) => {
          throw signal.aborted ? partlyErased(volumeKey(volume)) : thrown;
        },
      );
    await step(DELETE, () => volumes.remove(volume), 0.2);
    const erased = erasedBytes === undefined ? undefined : String(erasedBytes);
    return defined<Result>({ volume: volumeKey(volume), ...defined({ erased_bytes: erased }) });
  },
});

const partlyErased = (volume: string): SocleError =>
  new SocleError(
    "conflict",
    "ERASURE_CANCELLED",
    `the erasure was cancelled at ${volume}, which may be overwritten in part: delete the volume again`,
  );
