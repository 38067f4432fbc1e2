import * as libvirt from "../../agent/libvirt/index.ts";
import { parseVmDomain } from "../../agent/vm/model/vm-domain.ts";
import { pool } from "./libvirt-model-storage.ts";
import { step, uuidOf, type Side, type Step } from "./libvirt-model-step.ts";

const { LIVE, CONFIG } = libvirt.DomainModificationImpact;
const BYTES = 2 ** 20;

const diskXml = ({ images }: Side, name: string, target: string): string =>
  `<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='${images}/${name}.img'/>
   <target dev='${target}' bus='virtio'/><alias name='ua-disk-${name}'/></disk>`;

const driveXml = (medium = ""): string =>
  `<disk type='file' device='cdrom'><driver name='qemu' type='raw'/>${medium}
   <target dev='sda' bus='sata'/><readonly/><alias name='ua-disk-drive'/></disk>`;

const devicesOf = ({ xml }: { xml: string }): readonly (string | undefined)[] =>
  parseVmDomain(xml).devices.disks.flatMap(({ alias, device, source }) => {
    if (alias?.startsWith("ua-") !== true) return [];
    return device === "cdrom" && source !== undefined ? `${alias} with a medium` : alias;
  });

const QUERY = JSON.stringify({ execute: "query-block" });

function driveInQemu({ result }: { result: string }): readonly string[] {
  const blocks = (JSON.parse(result) as { return: { qdev?: string; inserted?: { file: string } }[] }).return;
  return blocks.flatMap(({ qdev, inserted }) =>
    qdev === "ua-disk-drive" ? [inserted?.file ?? "no medium"] : [],
  );
}

/** Every call for devices, on a missing, a stopped and a running domain. */
export function deviceSteps(what: string, number: number): readonly Step[] {
  const dom = { name: "", uuid: uuidOf(number), id: -1 };
  const attach = (how: string, name: string, target: string, flags: number): Step =>
    step(`${what}, ${how}`, libvirt.domainAttachDeviceFlags, (side) => ({
      dom,
      xml: diskXml(side, name, target),
      flags,
    }));
  const detach = (how: string, alias: string, flags: number): Step =>
    step(`${what}, ${how}`, libvirt.domainDetachDeviceAlias, { dom, alias, flags });
  const shown = (how: string, flags: number): Step =>
    step(`${what}, ${how}`, libvirt.domainGetXmlDesc, { dom, flags }, devicesOf);
  const { INACTIVE } = libvirt.DomainXMLFlags;
  const insert = (how: string, flags: number, isEmpty = false): readonly Step[] => [
    step(`${what}, ${how}`, libvirt.domainUpdateDeviceFlags, ({ images }) => ({
      dom,
      xml: driveXml(isEmpty ? "" : `<source file='${images}/medium.img'/>`),
      flags,
    })),
    shown(`${how}, as configured`, INACTIVE),
    shown(`${how}, as shown`, 0),
    step(
      `${what}, ${how}, in QEMU`,
      libvirt.domainMonitorCommand,
      { dom, cmd: QUERY, flags: 0 },
      driveInQemu,
    ),
  ];
  return [
    attach("defined", "more", "vdb", CONFIG),
    attach("defined again", "more", "vdb", CONFIG),
    attach("live", "more", "vdc", LIVE),
    attach("live again", "more", "vdc", LIVE),
    attach("live, without its file", "missing", "vdd", LIVE),
    shown("as configured", INACTIVE),
    shown("as shown", 0),
    step(`${what}, defined`, libvirt.domainUpdateDeviceFlags, (side) => ({
      dom,
      xml: diskXml(side, "more", "vdb"),
      flags: CONFIG,
    })),
    ...insert("a medium, defined", CONFIG),
    ...insert("a medium, live", LIVE),
    ...insert("no medium", CONFIG | LIVE, true),
    ...insert("no medium, defined", CONFIG, true),
    detach("an unknown one, defined", "ua-disk-other", CONFIG),
    detach("an unknown one, live", "ua-disk-other", LIVE),
    // This guest has no driver that gives a device back.
    detach("asked", "ua-disk-more", LIVE),
    shown("asked", 0),
    detach("defined", "ua-disk-more", CONFIG),
    shown("without it", INACTIVE),
  ];
}

/** The files of the disk and of the medium: QEMU does not open one twice. */
export const deviceVolumes: readonly Step[] = ["more", "medium"].map((name) =>
  step(
    name,
    libvirt.storageVolCreateXml,
    {
      pool,
      xml: `<volume><name>${name}.img</name><capacity>${BYTES}</capacity><target><format type='raw'/></target></volume>`,
      flags: 0,
    },
    () => "made",
  ),
);

/** A guest gets a device only where it has a port for it, and a medium only in its drive. */
export const portsAndDrive = [1, 2, 3, 4]
  .map((index) => `<controller type='pci' index='${index}' model='pcie-root-port'/>`)
  .join("")
  .concat(driveXml());
