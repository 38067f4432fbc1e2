/** libvirt's calls for saved memory: a domain's managed save image. */
import * as libvirt from "../../../../agent/libvirt/index.ts";
import { cloneElement, writeXml } from "./element.ts";
import { active, ended } from "./guest-run.ts";
import { answering, Refusal, type Entry, type ModelDomain, type Subject, type World } from "./world.ts";

const State = libvirt.DomainState;
const Reason = libvirt.DomainStateReason;

const ofDomain = ({ dom }: { dom: libvirt.Domain }): Subject => ({ vm: dom.uuid });

const isSaving = ({ state, reason }: ModelDomain): boolean =>
  state === State.PAUSED && reason === Reason.PAUSED.SAVE;

/** The guest is paused while libvirt writes its memory. */
function beginSave(world: World, dom: libvirt.Domain): void {
  const domain = active(world, dom);
  if (!domain.isPersistent)
    throw new Refusal(55, "Requested operation is not valid: cannot do managed save for transient domain");
  const { live, starts, state } = domain;
  if (live === undefined) return;
  const isPaused = state === State.PAUSED;
  domain.saved = { live: cloneElement(live), run: starts, isPaused, isWhole: false };
  domain.state = State.PAUSED;
  domain.reason = Reason.PAUSED.SAVE;
  if (!isPaused) world.emit(domain, { kind: "lifecycle", event: "suspended", detail: "paused" });
}

/** Another client may have ended the guest meanwhile: then nothing is saved. */
function endSave(world: World, dom: libvirt.Domain): void {
  const domain = world.domain(dom);
  const { saved, starts } = domain;
  if (saved === undefined || !isSaving(domain) || saved.run !== starts) {
    if (saved?.isWhole === false) domain.saved = undefined;
    throw new Refusal(9, "operation failed: domain is not running");
  }
  saved.isWhole = true;
  world.emit(domain, { kind: "lifecycle", event: "shutdown", detail: "host" });
  ended(world, domain, "SAVED");
}

/** A new daemon lets a guest run on that its predecessor was saving; a part of the image stays. */
export function cancelSave(domain: ModelDomain): void {
  if (!isSaving(domain)) return;
  const wasPaused = domain.saved?.isPaused === true;
  domain.state = wasPaused ? State.PAUSED : State.RUNNING;
  domain.reason = wasPaused ? Reason.PAUSED.USER : Reason.RUNNING.SAVE_CANCELED;
}

export const saveCalls: readonly Entry[] = [
  answering(
    libvirt.domainManagedSave,
    (world, { dom }) => {
      endSave(world, dom);
      return {};
    },
    { call: "save", of: ofDomain },
    (world, { dom }) => beginSave(world, dom),
  ),
  answering(libvirt.domainHasManagedSaveImage, (world, { dom }) => ({
    result: world.domain(dom).saved !== undefined,
  })),
  answering(
    libvirt.domainManagedSaveRemove,
    (world, { dom }) => {
      const domain = world.domain(dom);
      if (domain.saved === undefined)
        throw new Refusal(38, "Failed to remove managed save file: No such file or directory", 2);
      domain.saved = undefined;
      return {};
    },
    { call: "save_remove", of: ofDomain },
  ),
  answering(libvirt.domainManagedSaveGetXmlDesc, (world, { dom }) => {
    const { saved } = world.domain(dom);
    if (saved === undefined)
      throw new Refusal(55, "Requested operation is not valid: domain does not have managed save image");
    if (!saved.isWhole) throw new Refusal(9, "operation failed: save image is incomplete");
    return { xml: writeXml(saved.live) };
  }),
];
