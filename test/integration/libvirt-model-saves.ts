import * as libvirt from "../../agent/libvirt/index.ts";
import { parseVmDomain } from "../../agent/vm/model/vm-domain.ts";
import { step, uuidOf, type Step } from "./libvirt-model-step.ts";

/** Every call for saved memory, on a missing, a stopped, a running and a paused domain. */
export function saveSteps(number: number, define: Step): readonly Step[] {
  const dom = { name: "", uuid: uuidOf(number), id: -1 };
  const { MANAGED_SAVE } = libvirt.DomainUndefineFlagsValues;
  const { START_FORCE_BOOT, START_PAUSED } = libvirt.DomainCreateFlags;
  const state = (what: string): Step => step(what, libvirt.domainGetState, { dom, flags: 0 });
  const save = (what: string): readonly Step[] => [
    step(what, libvirt.domainManagedSave, { dom, flags: 0 }),
    state(`${what}, saved`),
    ...image(`${what}, saved`),
  ];
  const image = (what: string): readonly Step[] => [
    step(what, libvirt.domainHasManagedSaveImage, { dom, flags: 0 }),
    step(what, libvirt.domainManagedSaveGetXmlDesc, { dom, flags: 0 }, ({ xml }) => parseVmDomain(xml).uuid),
  ];
  const start = (what: string, flags: number): readonly Step[] => [
    step(what, libvirt.domainCreateWithFlags, { dom, flags }, () => "started"),
    state(`${what}, started`),
    ...image(`${what}, started`),
  ];
  const remove = (what: string): Step => step(what, libvirt.domainManagedSaveRemove, { dom, flags: 0 });
  const undefine = (what: string, flags: number): Step =>
    step(what, libvirt.domainUndefineFlags, { dom, flags });
  return [
    ...save("missing"),
    remove("missing"),
    define,
    ...save("off"),
    remove("off"),
    ...start("off", 0),
    ...save("running"),
    ...save("again"),
    undefine("saved", 0),
    ...start("saved", 0),
    step("restored", libvirt.domainSuspend, { dom }),
    ...save("paused"),
    ...start("saved as paused", 0),
    step("restored as paused", libvirt.domainResume, { dom }),
    ...save("resumed"),
    ...start("saved, to be paused", START_PAUSED),
    step("restored, to be paused", libvirt.domainResume, { dom }),
    ...save("to be booted"),
    ...start("to be booted", START_FORCE_BOOT),
    ...save("to be removed"),
    remove("saved"),
    ...image("removed"),
    ...start("removed", 0),
    ...save("to be undefined"),
    undefine("with its image", MANAGED_SAVE),
  ];
}
