import { specEnums } from "../../contract/spec-enums.ts";
import type { VmSpec } from "../../contract/spec.ts";
import type { VmSpec as ProtoSpec, VmSpec__Output } from "../../gen/socle/v1/VmSpec.ts";
import { withoutUndefined } from "../../kernel/defined.ts";

const { graphics: screens, watchdogModel: models, watchdogAction: actions } = specEnums;

/** Unchecked, as `specFromProto`. */
export const machineFromProto = ({
  graphics,
  watchdog,
}: Pick<VmSpec__Output, "graphics" | "watchdog">): Readonly<Record<string, unknown>> => ({
  graphics: screens.fromProto("spec.graphics", graphics),
  watchdog:
    watchdog === null
      ? undefined
      : withoutUndefined({
          model: models.fromProto("spec.watchdog.model", watchdog.model),
          action: actions.fromProto("spec.watchdog.action", watchdog.action),
        }),
});

export const machineToProto = ({
  graphics,
  watchdog,
}: {
  readonly graphics: VmSpec["graphics"] | undefined;
  readonly watchdog: VmSpec["watchdog"] | undefined;
}): Pick<ProtoSpec, "graphics" | "watchdog"> => ({
  ...(graphics === undefined ? {} : { graphics: screens.toProto(graphics) }),
  watchdog:
    watchdog === undefined
      ? null
      : {
          ...(watchdog.model === undefined ? {} : { model: models.toProto(watchdog.model) }),
          action: actions.toProto(watchdog.action),
        },
});
